package layout

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/drayage/dray/ref"
)

// Files are the files of a layout that is not a directory, by their names in a layout, such as
// "index.json". They do not change.
type Files interface {
	// Open opens a file. The error is fs.ErrNotExist if there is none.
	Open(name string) (File, error)
}

// File is a file to read.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Over opens a repository of the layout whose files are in over, for reading.
func Over(repo ref.Repo, over Files) (*Dir, error) {
	d := new(Layouts).dir(repo, Read)
	d.over = over
	return d, d.check()
}

// Stage opens a repository for writing, of the layout in the directory dir over the files of over,
// which may be nil: what dir lacks is read from over, and what is written goes into dir.
func Stage(repo ref.Repo, dir string, over Files) (*Dir, error) {
	d := new(Layouts).dir(repo, Write)
	d.over = over
	return d, d.openIn(dir)
}

// open opens a file for reading.
func (d *Dir) open(name string) (File, error) {
	if d.root == nil {
		return d.over.Open(name)
	}
	f, err := d.openRegular(name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) && d.over != nil {
		return d.over.Open(name)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return onDisk{f, info.Size()}, nil
}

// onDisk is a file in the directory of a layout.
type onDisk struct {
	*os.File
	size int64
}

func (f onDisk) Size() int64 { return f.size }

// sizeOver returns the size of a file of over.
func (d *Dir) sizeOver(name string) (int64, error) {
	f, err := d.over.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Size(), nil
}
