package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// readInUse reads the file of --in-use; "" is none, "-" is stdin.
func readInUse(stdin io.Reader, path string) (plan.InUse, string, error) {
	if path == "" {
		return plan.InUse{}, "", nil
	}
	bad := func(err error) error {
		return &fault.Fault{Kind: fault.Invalid, Op: "read images in use", Name: path, Err: err, Hint: "as kubectl get pods -A -o json prints them, or one image a line"}
	}
	in := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return plan.InUse{}, "", bad(bare(err))
		}
		defer file.Close()
		in = file
	}
	raw, err := io.ReadAll(io.LimitReader(in, plan.MaxInUse+1))
	if err == nil && len(raw) > plan.MaxInUse {
		err = errors.New("longer than " + size(plan.MaxInUse))
	}
	if err != nil {
		return plan.InUse{}, "", bad(bare(err))
	}
	u, err := plan.ParseInUse(raw)
	if err != nil {
		return u, "", bad(errors.Unwrap(err))
	}
	return u, string(raw), nil
}

// tellLost is the section about images that are in use and that nothing brings. It is told even
// where only errors are.
func (c *console) tellLost(r *dray.InUseReport) (lost int) {
	if r == nil {
		return 0
	}
	if n := len(r.Lost); n > 0 {
		c.warn("in use and lost: %d of %s", n, plural(r.Images, "image"))
	}
	for _, l := range r.Lost {
		c.warn("  %s", l)
	}
	return len(r.Lost)
}

// inUse is a part of the last line: "12 of 14 images in use".
func inUse(r *dray.InUseReport) string {
	return fmt.Sprintf("%d of %s in use", r.Images-len(r.Lost), plural(r.Images, "image"))
}
