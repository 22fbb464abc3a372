package layout

import (
	"io"
	"os"
	"sync"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Mode selects what a layout is opened for.
type Mode int

// Modes in which a layout is opened.
const (
	Read  Mode = iota // the layout must exist; nothing is written, not even a lock
	Write             // the layout is created if it does not exist
	Draft             // as Write, but nothing is synced to disk: the machine may lose it when it stops
)

// Names of dray's own files in a layout. The specification allows additional files.
const (
	lockFile   = ".dray.lock"
	tempPrefix = ".dray-"
	tempSuffix = ".tmp"
)

const (
	maxIndex    = 64 << 20         // most bytes of index.json that are read
	maxHeader   = 1 << 20          // most bytes of oci-layout that are read
	lockWait    = 30 * time.Second // a writer holds index.json only for milliseconds
	lockPause   = 5 * time.Millisecond
	settled     = 50 * time.Millisecond // a file this old was not written within the precision of its time
	staleAfter  = 24 * time.Hour        // the writer of a temporary file this old is no longer running
	emptyIndex  = `{"schemaVersion":2,"mediaType":"` + v1.MediaTypeImageIndex + `","manifests":[]}`
	layoutBytes = `{"imageLayoutVersion":"` + v1.ImageLayoutVersion + `"}`
)

// Dir is one repository of an image layout. It is a transfer.Source and, if it was opened with
// Write or Draft, a transfer.Target. Its methods are safe for concurrent use. Several processes may write to
// the same layout at once without losing a tag.
//
// All repositories of a layout share its content. A document or blob that one of them has, all have.
type Dir struct {
	repo ref.Repo
	*disk
}

// disk is an open directory, which all repositories of a layout share.
type disk struct {
	path string   // the directory, or "" if all files are in over
	root *os.Root // nil if all files are in over
	over Files    // has the files that root lacks; nil if there are none
	mode Mode
	turn chan struct{} // held by the goroutine that is changing index.json

	doubted sync.Map // digests of blobs whose files have to be replaced

	linking   sync.Mutex
	known     map[oci.Digest]*linked          // documents that were read
	referrers map[oci.Digest][]oci.Descriptor // by subject, of the entries in linkedOf
	linkedOf  *index

	mu      sync.Mutex
	current *index      // what index.json has; nil if it was not read yet
	seen    os.FileInfo // of the index.json that current was read from
	waiting []*change   // changes of index.json that are not written yet

	among *Layouts
	users int // guarded by among
}

// Layouts opens layouts, and shares what it knows of each among those who use it at the same time. Its zero value is
// ready to use. Its methods are safe for concurrent use.
type Layouts struct {
	mu   sync.Mutex
	open map[opened]*disk
}

// opened is a directory that is open, and what for.
type opened struct {
	dir  string
	mode Mode
}

// Close closes the repository. Bodies that Blob returned can still be read.
func (d *Dir) Close() error {
	d.among.mu.Lock()
	defer d.among.mu.Unlock()
	if d.users--; d.users > 0 || d.root == nil {
		return nil
	}
	delete(d.among.open, opened{d.path, d.mode})
	return d.root.Close()
}

// Repo returns the repository that was opened.
func (d *Dir) Repo() ref.Repo { return d.repo }

// whole returns the name of the layout, for errors that are about no repository in it.
func (d *Dir) whole() string { return d.repo.In("").String() }

// change is a change of index.json. Changes that wait at the same time are written together, so that the time to
// write many tags does not grow with the square of their number.
type change struct {
	doc    oci.Descriptor
	names  []label         // names that doc gets; none gives it an entry without a name
	within map[string]bool // digests of documents that can be reached from doc, or from its names
	remove func(entry) (entry, keeping)

	done chan error // gets the result
}

// keeping says what a removal does with an entry.
type keeping int

const (
	kept keeping = iota
	changed
	removed
)

// linked is what Referrers needs of a document. It does not change, because the digest determines the document.
type linked struct {
	as      oci.Descriptor // the document as a list of referrers describes it
	subject oci.Digest     // what it refers to, or ""
	below   []oci.Descriptor
}

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
