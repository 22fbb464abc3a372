package archive

import (
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"slices"

	"github.com/drayage/dray/fault"
)

// maxHops is how many links may follow one another.
const maxHops = 16

// Archive is an open tar archive. Its methods are safe for concurrent use.
type Archive struct {
	name  string // for errors, as people type it
	file  *os.File
	temp  string // the temporary file, which Close removes; "" if there is none
	files map[string]span
	links map[string]string // clean target by clean name
}

// span is where the content of a file is in the archive.
type span struct{ at, size int64 }

// File is a file of an archive. Its methods are safe for concurrent use.
type File struct {
	*io.SectionReader
}

// Close does nothing: the archive has one open file for all.
func (File) Close() error { return nil }

// Open opens a file of the archive. The error is fs.ErrNotExist if there is none.
func (a *Archive) Open(name string) (File, error) {
	s, ok := a.files[a.follow(name)]
	if !ok {
		return File{}, fs.ErrNotExist
	}
	return File{io.NewSectionReader(a.file, s.at, s.size)}, nil
}

// Names returns the names of all files, sorted. A link counts as a file.
func (a *Archive) Names() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for _, all := range []iter.Seq[string]{maps.Keys(a.files), maps.Keys(a.links)} {
			for name := range all {
				if !yield(name) {
					return
				}
			}
		}
	})
}

// follow returns the name that name leads to.
func (a *Archive) follow(name string) string {
	for range maxHops {
		target, isLink := a.links[name]
		if !isLink {
			return name
		}
		name = target
	}
	return name
}

// faultOf is the fault about the archive.
func (a *Archive) faultOf(kind fault.Kind, op string, err error, hint string) error {
	return &fault.Fault{Kind: kind, Op: op, Name: a.name, Err: err, Hint: hint}
}
