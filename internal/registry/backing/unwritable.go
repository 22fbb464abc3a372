package backing

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/drayage/dray/fault"
)

// Unwritable is the error of a write that the storage cannot take now: it has no space, is read-only or is damaged. No
// other write succeeds until somebody acts, unless it is Busy. The text of the error contains no path of this machine.
type Unwritable struct {
	Full bool  // no space or no quota is left
	Busy bool  // this process has too many files open: the same write may succeed soon
	Err  error // what the system says, with paths; nil if less would be free than must stay free

	why string
}

func (u *Unwritable) Error() string { return u.why }

// Unwrap returns u.Err.
func (u *Unwritable) Unwrap() error { return u.Err }

// Watch returns a context for the methods of a Driver, and what knows how they went. distribution hands no error to
// who calls its handlers, and after an error it leaves files open.
func Watch(ctx context.Context) (context.Context, *Watched) {
	w := &Watched{}
	return context.WithValue(ctx, watchKey{}, w), w
}

type watchKey struct{}

// Watched keeps the first Unwritable of one Watch, and the files that are open. A nil Watched keeps nothing.
type Watched struct {
	mu    sync.Mutex
	first *Unwritable
	open  map[storagedriver.FileWriter]bool
}

func watchedIn(ctx context.Context) *Watched {
	w, _ := ctx.Value(watchKey{}).(*Watched)
	return w
}

// Why returns why content could not be written, or nil.
func (c *Watched) Why() *Unwritable {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// End closes the files that are still open. A file that was deleted takes space until it is closed.
func (c *Watched) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.open {
		_ = w.Close() // its content is lost anyway
	}
	c.open = nil
}

func (c *Watched) opened(w storagedriver.FileWriter) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[storagedriver.FileWriter]bool{}
	}
	c.open[w] = true
}

func (c *Watched) closed(w storagedriver.FileWriter) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, w)
}

// of returns the error of a write without paths, and keeps it if it is the first Unwritable.
func (c *Watched) of(err error) error {
	if err == nil {
		return nil
	}
	u, ok := errors.AsType[*Unwritable](err)
	if !ok {
		if u = unwritableOf(systemError(err)); u == nil {
			return withoutPath(err)
		}
	}
	if c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.first == nil {
			c.first = u
		}
	}
	return u
}

func unwritable(ctx context.Context, err error) error { return watchedIn(ctx).of(err) }

// unwritableOf returns err as an Unwritable, or nil if it is none.
func unwritableOf(err error) *Unwritable {
	switch {
	case isFull(err):
		return &Unwritable{Full: true, Err: err, why: "no space is left on the disk of the storage"}
	case errors.Is(err, syscall.EDQUOT):
		return &Unwritable{Full: true, Err: err, why: "the disk quota of the storage is used up"}
	case errors.Is(err, syscall.EROFS):
		return &Unwritable{Err: err, why: "the disk of the storage is read-only"}
	case tooMany(err):
		return &Unwritable{Busy: true, Err: err, why: "the server has too many files open"}
	case errors.Is(err, syscall.EIO):
		return &Unwritable{Err: err, why: "the disk of the storage has an input/output error"}
	}
	return nil
}

// tooMany reports whether err says that this process or the system has too many files open.
func tooMany(err error) bool {
	err = systemError(err)
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// KindOf returns the Kind of an error of the storage.
func KindOf(err error) fault.Kind {
	u, ok := errors.AsType[*Unwritable](err)
	switch {
	case ok && u.Full:
		return fault.Full
	case errors.Is(err, fs.ErrPermission):
		return fault.Denied
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, fs.ErrExist):
		return fault.Invalid
	case isFull(err):
		return fault.Full
	}
	return fault.Unavailable
}

// systemError returns what a driver has wrapped. distribution's type for that does not unwrap itself.
func systemError(err error) error {
	if e, ok := errors.AsType[storagedriver.Error](err); ok {
		return e.Detail
	}
	return err
}

// withoutPath returns err with a text that contains no path of this machine. Errors of other kinds stay as they are,
// because distribution compares them.
func withoutPath(err error) error {
	inner := systemError(err)
	if p, ok := errors.AsType[*fs.PathError](inner); ok {
		return &pathless{p.Op + ": " + p.Err.Error(), inner}
	}
	if l, ok := errors.AsType[*os.LinkError](inner); ok {
		return &pathless{l.Op + ": " + l.Err.Error(), inner}
	}
	return err
}

// pathless is an error of the system without its path. Its JSON, which distribution puts into answers, is empty.
type pathless struct {
	text string
	err  error
}

func (p *pathless) Error() string { return p.text }

func (p *pathless) Unwrap() error { return p.err }
