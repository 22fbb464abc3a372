package flag

import (
	"errors"
	"io"
	"os"

	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// readInUse reads the file of --in-use and also returns its text. The path "" means no file, "-" means stdin.
func readInUse(stdin io.Reader, path string) (plan.InUse, string, error) {
	if path == "" {
		return plan.InUse{}, "", nil
	}
	bad := func(err error) error {
		return &fault.Fault{
			Kind: fault.Invalid,
			Op:   "read images in use",
			Name: path,
			Err:  err,
			Hint: "give the output of kubectl get pods -A -o json, or one image per line",
		}
	}
	in := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return plan.InUse{}, "", bad(out.Bare(err))
		}
		defer file.Close()
		in = file
	}
	raw, err := io.ReadAll(io.LimitReader(in, plan.MaxInUse+1))
	if err == nil && len(raw) > plan.MaxInUse {
		err = errors.New("the file is larger than " + out.Size(plan.MaxInUse))
	}
	if err != nil {
		return plan.InUse{}, "", bad(out.Bare(err))
	}
	u, err := plan.ParseInUse(raw)
	if err != nil {
		return u, "", bad(errors.Unwrap(err))
	}
	return u, string(raw), nil
}
