package ledger

import (
	"errors"
	"io/fs"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/trouble"
)

// diskFault converts an error of the disk to a fault of the matching Kind; nil stays nil, and so does a fault.
func diskFault(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if _, told := errors.AsType[*fault.Fault](err); told {
		return err
	}
	kind, step, isDisk := trouble.Of(err, path)
	switch {
	case isDisk:
	case errors.Is(err, fs.ErrPermission):
		kind = fault.Denied
	default:
		kind = fault.Unavailable
	}
	return &fault.Fault{Kind: kind, Op: op + " state", Name: path, Err: err, Hint: step}
}
