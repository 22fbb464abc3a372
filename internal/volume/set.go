package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// Set is some or all volumes of one bundle.
type Set struct {
	Contents *Contents
	Bundle   oci.Digest
	volumes  []*open
	broken   []Damage // volumes that could not be opened
	at       map[oci.Digest]place

	documents map[oci.Digest]Document // of the contents; made when it is needed
}

// place says where a blob or a document is.
type place struct {
	in   *open
	file File
}

// open is a volume that is open: a tar, or a directory.
type open struct {
	list List
	name string // of the file or the directory
	head File   // the list itself
	raw  []byte // the bytes of the list
	file *os.File
	at   map[string]int64 // in a tar: where the bytes of each file begin
	end  int64            // in a tar: its size
	root *os.Root         // in a directory
}

// Damage is one part of a bundle that is not as it was written.
type Damage struct {
	File   string     // the file or the directory of the volume
	Volume int        // its number; 0 if not even that can be read
	Path   string     // the file in the volume; "" for the volume as a whole
	Digest oci.Digest // of the document or blob; "" for another file
	Names  []string   // at most three of the images that need it
	Err    error
}

// String returns a line such as "a.2.tar: volume 2: blobs/sha256/…, of app:v1: 3 bytes are missing".
func (d Damage) String() string {
	var f *fault.Fault
	if d.Volume == 0 && errors.As(d.Err, &f) {
		return d.File + ": " + f.Err.Error()
	}
	parts := []string{d.File, fmt.Sprintf("volume %d", d.Volume)}
	if d.Path != "" {
		what := d.Path
		if len(d.Names) > 0 {
			what += ", of " + strings.Join(d.Names, ", ")
		}
		parts = append(parts, what)
	}
	return strings.Join(append(parts, d.Err.Error()), ": ")
}

func misused(path, why, hint string) error { return fault.Misuse("open bundle", path, why, hint) }

func damaged(path string, err error) error {
	return &fault.Fault{Kind: fault.Corrupt, Op: "open bundle", Name: path, Err: err, Hint: "copy the file again"}
}

func unreadable(path string, err error) error {
	kind := fault.Unavailable
	if errors.Is(err, fs.ErrPermission) {
		kind = fault.Denied
	}
	return &fault.Fault{Kind: kind, Op: "open bundle", Name: path, Err: err, Hint: "check that the file can be read"}
}
