package registry

import (
	"context"
	"errors"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry/backing"
	"github.com/drayage/dray/internal/registry/locks"
	"github.com/drayage/dray/internal/shell"
)

var errNotSHA256 = errors.New("the embedded registry stores only content with sha256 digests")

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
	f := &fault.Fault{Kind: backing.KindOf(err), Op: op, Name: name, Err: err}
	if l, ok := errors.AsType[*locks.Locked](err); ok {
		if f.Kind = fault.Conflict; l.Attribute == "readEnabled" {
			f.Kind = fault.Denied
		}
		f.Hint = "unlock it, for example with az acr repository update, or use another name"
	}
	if f.Kind == fault.Full {
		f.Hint = fullHint()
	}
	return f
}

func fullHint() string {
	return "free space on the disk of the server: delete images and run " + shell.Dray("serve", "gc") +
		", or give it a larger disk"
}
