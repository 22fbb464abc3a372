package ledger

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/drayage/dray/fault"
)

// diskFault converts an error of the disk to a fault of the matching Kind; nil stays nil, and so does a fault.
func diskFault(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if _, told := errors.AsType[*fault.Fault](err); told {
		return err
	}
	kind := fault.Unavailable
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		kind = fault.Full
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		kind = fault.Denied
	}
	return &fault.Fault{Kind: kind, Op: op + " state", Name: path, Err: err}
}
