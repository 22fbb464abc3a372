package backing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"syscall"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

// Driver is the driver of a storage. It adds to distribution's drivers that
//
//   - errors contain no path of this machine, and those of a write are Unwritable if the storage takes nothing,
//   - content in a directory leaves free what Storage.Free says,
//   - an operation that finds too many files open in this process waits for some of them to be closed,
//   - a tag is set before its history is written, and a tag that is not set yet is not listed.
//
// It is safe for concurrent use.
type Driver struct {
	storagedriver.StorageDriver
	dir   string // where local content is; "" for other content
	least int64  // Storage.Free
}

// checkEvery is how many bytes of one file are written until the free space is looked at again.
const checkEvery = 8 << 20

// GetContent implements storagedriver.StorageDriver.
func (d *Driver) GetContent(ctx context.Context, name string) ([]byte, error) {
	raw, err := patient(ctx, func() ([]byte, error) { return d.StorageDriver.GetContent(ctx, name) })
	return raw, withoutPath(err)
}

// Reader implements storagedriver.StorageDriver.
func (d *Driver) Reader(ctx context.Context, name string, at int64) (io.ReadCloser, error) {
	body, err := patient(ctx, func() (io.ReadCloser, error) { return d.StorageDriver.Reader(ctx, name, at) })
	return body, withoutPath(err)
}

// PutContent implements storagedriver.StorageDriver. distribution writes the history of a tag first and then the tag.
// If the process is killed in between, the tag exists and leads nowhere. So the history is written after the tag.
func (d *Driver) PutContent(ctx context.Context, name string, content []byte) error {
	part := tagPart(name)
	if len(part) == 5 && part[1] == "index" {
		return nil
	}
	put := func() (struct{}, error) { return struct{}{}, d.StorageDriver.PutContent(ctx, name, content) }
	if _, err := patient(ctx, put); err != nil {
		d.dropPart(ctx, name)
		return unwritable(ctx, err)
	}
	algorithm, encoded, ok := strings.Cut(string(content), ":")
	if ok && slices.Equal(part[min(1, len(part)):], []string{"current", "link"}) {
		history := path.Join(path.Dir(path.Dir(name)), "index", algorithm, encoded, "link")
		_ = d.StorageDriver.PutContent(ctx, history, content) // the tag is set; no reader of it needs its history
	}
	return nil
}

// dropPart removes what is left in a directory of a file that could not be written.
func (d *Driver) dropPart(ctx context.Context, name string) {
	if d.dir == "" {
		return
	}
	ctx = context.WithoutCancel(ctx)
	all, _ := d.StorageDriver.List(ctx, path.Dir(name)) // none that is not found does harm
	for _, other := range all {
		if strings.HasPrefix(other, name+".") && strings.HasSuffix(other, ".tmp") {
			_ = d.StorageDriver.Delete(ctx, other)
		}
	}
}

// tagPart returns the elements of name below the directory of tags: the tag, "current", "link". It is nil for other
// names.
func tagPart(name string) []string {
	_, rest, ok := strings.Cut(name, allTags+"/")
	if !ok {
		return nil
	}
	return strings.Split(rest, "/")
}

const allTags = "/_manifests/tags" // ends the directory of the tags of a repository

// Stat implements storagedriver.StorageDriver.
func (d *Driver) Stat(ctx context.Context, name string) (storagedriver.FileInfo, error) {
	info, err := d.StorageDriver.Stat(ctx, name)
	return info, withoutPath(err)
}

// List implements storagedriver.StorageDriver.
func (d *Driver) List(ctx context.Context, name string) ([]string, error) {
	all, err := patient(ctx, func() ([]string, error) { return d.StorageDriver.List(ctx, name) })
	return all, withoutPath(err)
}

// Move implements storagedriver.StorageDriver.
func (d *Driver) Move(ctx context.Context, from, to string) error {
	return unwritable(ctx, d.StorageDriver.Move(ctx, from, to))
}

// Delete implements storagedriver.StorageDriver. If another request puts a file into a directory while it is deleted,
// such as the owner of an upload, Delete tries again.
func (d *Driver) Delete(ctx context.Context, name string) error {
	err := d.StorageDriver.Delete(ctx, name)
	for tries := 0; tries < 10 && errors.Is(systemError(err), syscall.ENOTEMPTY); tries++ {
		err = d.StorageDriver.Delete(ctx, name)
	}
	return unwritable(ctx, err)
}

// Walk implements storagedriver.StorageDriver. Of the tags of a repository in a directory, it visits only those that
// are set: between the creation of its directory and that of its link, a tag has none.
func (d *Driver) Walk(
	ctx context.Context, from string, f storagedriver.WalkFn, options ...func(*storagedriver.WalkOptions),
) error {
	visit := f
	if d.dir != "" && strings.HasSuffix(from, allTags) {
		visit = func(info storagedriver.FileInfo) error {
			if path.Dir(info.Path()) == from {
				_, err := d.StorageDriver.Stat(ctx, path.Join(info.Path(), "current/link"))
				var none storagedriver.PathNotFoundError
				switch {
				case errors.As(err, &none):
					return storagedriver.ErrSkipDir
				case err != nil:
					return err
				}
			}
			return f(info)
		}
	}
	return withoutPath(d.StorageDriver.Walk(ctx, from, visit, options...))
}

// Writer implements storagedriver.StorageDriver.
func (d *Driver) Writer(ctx context.Context, name string, more bool) (storagedriver.FileWriter, error) {
	w, err := patient(ctx, func() (storagedriver.FileWriter, error) { return d.StorageDriver.Writer(ctx, name, more) })
	if err != nil {
		return nil, unwritable(ctx, err)
	}
	watched := watchedIn(ctx)
	watched.opened(w)
	return &writer{FileWriter: w, driver: d, watched: watched}, nil
}

// writer is a FileWriter of a Driver.
type writer struct {
	storagedriver.FileWriter
	driver  *Driver
	watched *Watched
	since   int // bytes since the last look at the free space
}

func (w *writer) Write(p []byte) (int, error) {
	if w.since += len(p); w.since >= checkEvery {
		w.since = 0
		if err := w.driver.Check(0); err != nil {
			return 0, w.watched.of(err)
		}
	}
	n, err := w.FileWriter.Write(p)
	return n, w.watched.of(err)
}

func (w *writer) Close() error {
	w.watched.closed(w.FileWriter)
	return w.watched.of(w.FileWriter.Close())
}

func (w *writer) Commit(ctx context.Context) error { return w.watched.of(w.FileWriter.Commit(ctx)) }

func (w *writer) Cancel(ctx context.Context) error {
	w.watched.closed(w.FileWriter)
	return withoutPath(w.FileWriter.Cancel(ctx))
}

// Room returns how much space there is where the content is. ok is false if that is not known: an object store has no
// such limit.
func (d *Driver) Room() (room Room, ok bool) {
	if d.dir == "" {
		return Room{}, false
	}
	return roomIn(d.dir)
}

// Least returns how many bytes stay free in a storage of room; 0 means that it may become full.
func (d *Driver) Least(room Room) int64 { return least(d.least, room) }

// Check returns an Unwritable if less than Least would be free after n bytes.
func (d *Driver) Check(n int64) error {
	room, ok := d.Room()
	if !ok || d.Least(room) == 0 || room.Free-n >= d.Least(room) {
		return nil
	}
	return &Unwritable{Full: true, why: fmt.Sprintf(
		"no space is left for pushes, because %s must stay free", mebibytes(d.Least(room)))}
}

// Local reports whether the content is in a directory of this machine.
func (d *Driver) Local() bool { return d.dir != "" }
