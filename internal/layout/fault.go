package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/trouble"
	"github.com/drayage/dray/ref"
)

// failed converts an error of the file system to the fault for op on name.
func (d *Dir) failed(op, name string, err error) error {
	f := &fault.Fault{Op: op, Name: name, Err: err}
	kind, step, isDisk := trouble.Of(err, d.space())
	var known *fault.Fault
	var special *irregular
	var errno syscall.Errno
	switch {
	case errors.As(err, &known):
		f.Kind = known.Kind
	case errors.As(err, &special):
		f.Kind = fault.Refused
	case errors.Is(err, fs.ErrNotExist):
		f.Kind = fault.NotFound
	case isDisk:
		f.Kind, f.Hint = kind, step
	case errors.Is(err, fs.ErrPermission):
		f.Kind, f.Hint = fault.Denied, "check the permissions of "+d.repo.Dir
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR),
		errors.Is(err, fs.ErrExist):
		f.Kind = fault.Refused
	case errors.Is(err, fs.ErrClosed), errors.Is(err, fs.ErrInvalid):
		f.Kind = fault.Internal
	case !errors.As(err, &errno):
		// os.Root reports a path that leads out of the layout with an error that is not an errno.
		f.Kind, f.Err = fault.Refused, &outside{err}
		f.Hint = "copy the layout with the files that its links lead to, for example with cp -rL, and use the copy"
	default:
		f.Kind = fault.Unavailable
	}
	return f
}

// outside is the error for a link that leads out of the layout.
type outside struct{ err error }

func (e *outside) Unwrap() error { return e.err }

func (e *outside) Error() string {
	if at, ok := errors.AsType[*fs.PathError](e.err); ok {
		return at.Path + " is a link to a place outside of the layout"
	}
	return "a link leads to a place outside of the layout: " + e.err.Error()
}

// irregular is the error for a device, a pipe or a directory in the place of a content file.
type irregular struct{ name string }

func (e *irregular) Error() string { return e.name + " is not a regular file" }

func (d *Dir) malformed(file, format string, args ...any) error {
	return &fault.Fault{Kind: fault.Refused, Op: "read " + file, Name: d.whole(), Err: fmt.Errorf(format, args...)}
}

func (d *Dir) occupied() error {
	return &fault.Fault{
		Kind: fault.Conflict,
		Op:   "make layout",
		Name: d.whole(),
		Err:  errors.New("the directory is not empty and is not an image layout"),
		Hint: "name a new or an empty directory",
	}
}

// canceled returns nil until ctx ends, and then a fault of the Kind Canceled.
func canceled(ctx context.Context, op, name string) error {
	if ctx.Err() == nil {
		return nil
	}
	var f *fault.Fault
	if cause := context.Cause(ctx); errors.As(cause, &f) {
		return cause
	}
	return &fault.Fault{Kind: fault.Canceled, Op: op, Name: name, Err: context.Cause(ctx)}
}

// space returns where what is written is on a disk: an archive for the standard output is made in a temporary
// directory.
func (d *Dir) space() string {
	if d.repo.Dir == ref.Stream && d.repo.Host != ref.Layout {
		return os.TempDir()
	}
	return d.repo.Dir
}
