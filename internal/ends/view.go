package ends

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/internal/archive"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
)

// layoutHeader is the content of oci-layout.
const layoutHeader = `{"imageLayoutVersion":"` + v1.ImageLayoutVersion + `"}`

// view shows files under the names that they have in a layout.
type view struct {
	base layout.Files
	made map[string][]byte // files that base does not have, by their names in the layout
	at   map[string]string // names in base by names in the layout; other names are the same in both
}

func newView(base layout.Files) *view {
	return &view{base: base, made: map[string][]byte{}, at: map[string]string{}}
}

// Open opens a file by its name in the layout.
func (v *view) Open(name string) (layout.File, error) {
	if raw, ok := v.made[name]; ok {
		return inMemory{bytes.NewReader(raw)}, nil
	}
	if at, ok := v.at[name]; ok {
		return v.base.Open(at)
	}
	return v.base.Open(name)
}

// inMemory is a file that the view made.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// inArchive are the files of an archive.
type inArchive struct{ *archive.Archive }

func (a inArchive) Open(name string) (layout.File, error) {
	f, err := a.Archive.Open(name)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// blobName returns the name of the content d in a layout.
func blobName(d oci.Digest) string {
	return v1.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded()
}

// readAll reads a file of at most limit bytes. ok is false if it is larger.
func readAll(files layout.Files, name string, limit int64) (raw []byte, ok bool, err error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	if f.Size() > limit {
		return nil, false, nil
	}
	raw, err = io.ReadAll(io.NewSectionReader(f, 0, limit))
	return raw, err == nil, err
}

// reading is an end that is open for reading.
type reading struct {
	files layout.Files
	path  string      // the file that changes with the end; "" for a stream
	info  fs.FileInfo // of path when it was opened
	close func() error

	others []string // files that are no part of a layout, and of no image
}

// isCurrent reports whether the file is the one that was opened.
func (r *reading) isCurrent() bool {
	if r.path == "" {
		return true
	}
	now, err := os.Stat(r.path)
	return err == nil && os.SameFile(now, r.info) && now.ModTime().Equal(r.info.ModTime()) && now.Size() == r.info.Size()
}

// stacked are the files of upper, and those of lower that upper lacks.
type stacked struct{ upper, lower layout.Files }

func (s stacked) Open(name string) (layout.File, error) {
	f, err := s.upper.Open(name)
	if errors.Is(err, fs.ErrNotExist) && s.lower != nil {
		return s.lower.Open(name)
	}
	return f, err
}

// has reports whether upper has a file.
func (s stacked) has(name string) bool {
	f, err := s.upper.Open(name)
	if err == nil {
		f.Close()
	}
	return err == nil
}

// head is a file before the content of an archive.
type head struct {
	name string
	raw  []byte
}

// reader opens a file to read it from its beginning to its end.
func reader(files layout.Files, name string) (io.ReadCloser, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, 0, f.Size()), f}, nil
}
