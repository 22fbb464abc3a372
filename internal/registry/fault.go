package registry

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/drayage/dray/fault"
)

var errNotSHA256 = errors.New("the embedded registry stores only content with sha256 digests")

func failed(dir string, kind fault.Kind, hint string, err error) error {
	return &fault.Fault{Kind: kind, Op: "open registry", Name: dir, Hint: hint, Err: err}
}

func errClosed(op, name string) error {
	return &fault.Fault{Kind: fault.Unavailable, Op: op, Name: name, Err: errors.New("the registry is closing")}
}

func faultOf(ctx context.Context, op, name string, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
		if _, ok := errors.AsType[*fault.Fault](err); ok {
			return err
		}
		return &fault.Fault{Kind: fault.Canceled, Op: op, Name: name, Err: err}
	}
	if _, ok := errors.AsType[*fault.Fault](err); ok {
		return err
	}
	return &fault.Fault{Kind: kindOf(err), Op: op, Name: name, Err: err}
}

func kindOf(err error) fault.Kind {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fault.Denied
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, fs.ErrExist):
		return fault.Invalid
	case errors.Is(err, syscall.ENOSPC):
		return fault.Full
	}
	return fault.Unavailable
}
