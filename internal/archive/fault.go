package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/trouble"
)

// again is the hint for an archive that is damaged.
const again = "make the archive again, or copy the file again"

// irregular is the error for a device, a pipe or a directory in the place of an archive.
type irregular struct {
	name  string
	isDir bool
}

func (e *irregular) Error() string {
	if e.isDir {
		return e.name + " is a directory"
	}
	return e.name + " is not a regular file"
}

func (a *Archive) refused(why, hint string) error {
	return a.faultOf(fault.Refused, "read archive", errors.New(why), hint)
}

func (a *Archive) broken(why, hint string) error {
	return a.faultOf(fault.Corrupt, "read archive", errors.New(why), hint)
}

func (a *Archive) tooLarge(why, hint string) error {
	return a.faultOf(fault.TooLarge, "read archive", errors.New(why), hint)
}

func (a *Archive) twice(name string) error {
	return a.refused(fmt.Sprintf("it has two files %.100q that differ", name), "")
}

// failed converts an error of the file system.
func (a *Archive) failed(op string, err error) error {
	var known *fault.Fault
	var special *irregular
	kind, step, isDisk := trouble.Of(err, a.name)
	switch {
	case errors.As(err, &known):
		return err
	case isDisk && kind == fault.Full:
		return a.faultOf(kind, op, err, step+", or set TMPDIR to a directory of another one")
	case isDisk:
		return a.faultOf(kind, op, err, step)
	case errors.As(err, &special) && special.isDir:
		return a.faultOf(fault.Invalid, op, err, "name the file of the archive; oci:DIR and dir:DIR name directories")
	case errors.As(err, &special):
		return a.faultOf(fault.Refused, op, err, "write - for the file, and connect the pipe to the standard input")
	case errors.Is(err, fs.ErrNotExist):
		if at, ok := errors.AsType[*fs.PathError](err); ok {
			err = at.Err // the fault names the file
		}
		return a.faultOf(fault.NotFound, op, err, "check the path of the file")
	case errors.Is(err, syscall.ENOTDIR):
		return a.faultOf(fault.Invalid, op, err, "check the path, a part of which is a file")
	case errors.Is(err, fs.ErrPermission):
		return a.faultOf(fault.Denied, op, err, "check the permissions of the file and of its directory")
	case errors.Is(err, os.ErrClosed):
		return a.faultOf(fault.Internal, op, err, "")
	}
	return a.faultOf(fault.Unavailable, op, err, "")
}

// canceled returns nil until ctx ends, and then a fault of the Kind Canceled.
func canceled(ctx context.Context, op, name string) error {
	if ctx.Err() == nil {
		return nil
	}
	if f, ok := errors.AsType[*fault.Fault](context.Cause(ctx)); ok {
		return f
	}
	return &fault.Fault{Kind: fault.Canceled, Op: op, Name: name, Err: context.Cause(ctx)}
}
