package own

import (
	"errors"
	"fmt"
	"os"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/trouble"
)

// Unusable returns an error of the data directory dir as a Fault.
func Unusable(dir string, err error) error {
	if fault.Is(err, fault.Denied) { // it is not ours alone, and says so
		return err
	}
	kind, hint, isDisk := trouble.Of(err, dir)
	if !isDisk {
		kind, hint = fault.Unavailable, "choose a directory that this user may write"
	}
	switch {
	case errors.Is(err, os.ErrPermission):
		kind = fault.Denied
	case errors.Is(err, os.ErrExist):
		kind = fault.Invalid
	}
	return &fault.Fault{
		Kind: kind,
		Op:   "open data directory",
		Name: dir,
		Hint: hint,
		Err:  fmt.Errorf("%w", err),
	}
}
