package flag

import (
	"errors"
	"io"

	"github.com/drayage/dray/cmd/internal/config/text"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// readInUse reads the file of --in-use and also returns its text. The path "" means no file, "-" means stdin.
func readInUse(stdin io.Reader, path string) (plan.InUse, string, error) {
	if path == "" {
		return plan.InUse{}, "", nil
	}
	const op = "read images in use"
	in := stdin
	if path != "-" {
		file, err := text.Open(op, path)
		if err != nil {
			return plan.InUse{}, "", err
		}
		defer file.Close()
		in = file
	}
	raw, err := text.ReadAll(op, in, path, plan.MaxInUse)
	if err != nil {
		return plan.InUse{}, "", err
	}
	u, err := plan.ParseInUse(raw)
	if err != nil {
		return u, "", &fault.Fault{Kind: fault.Invalid, Op: op, Name: path, Err: errors.Unwrap(err), Hint: fault.HintOf(err)}
	}
	return u, string(raw), nil
}
