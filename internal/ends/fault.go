package ends

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/drayage/dray/fault"
)

// refused returns the error about the content of an end.
func refused(op, name, why, hint string) error {
	return &fault.Fault{Kind: fault.Refused, Op: op, Name: name, Err: errors.New(why), Hint: hint}
}

// failed converts an error of the file system. A Fault stays as it is.
func failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if _, known := errors.AsType[*fault.Fault](err); known {
		return err
	}
	f := &fault.Fault{Kind: fault.Unavailable, Op: op, Name: name, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Kind = fault.NotFound
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		f.Kind, f.Hint = fault.Denied, "check the permissions of the directory"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		f.Kind, f.Hint = fault.Full, "free space on the disk; what arrived is kept until then"
	case errors.Is(err, syscall.EPIPE):
		f.Hint = "check the program that reads the standard output"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		f.Kind = fault.Refused
	}
	return f
}
