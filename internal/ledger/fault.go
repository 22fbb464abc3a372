package ledger

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/drayage/dray/fault"
)

// diskFault converts an error of the disk to a fault of the matching Kind; nil stays nil.
func diskFault(op, path string, err error) error {
	if err == nil {
		return nil
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
