package layout

import (
	"io"
	"os"
	"sync"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/ref"
)

// Mode selects what a layout is opened for.
type Mode int

// Modes in which a layout is opened.
const (
	Read  Mode = iota // the layout must exist; nothing is written, not even a lock
	Write             // the layout is created if it does not exist
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
	staleAfter  = 24 * time.Hour // the writer of a temporary file this old is no longer running
	emptyIndex  = `{"schemaVersion":2,"mediaType":"` + v1.MediaTypeImageIndex + `","manifests":[]}`
	layoutBytes = `{"imageLayoutVersion":"` + v1.ImageLayoutVersion + `"}`
)

// Dir is an image layout. It is a transfer.Source and, if it was opened with Write, a
// transfer.Target. Its methods are safe for concurrent use. Several processes may write to the
// same layout at once without losing a tag.
type Dir struct {
	repo ref.Repo
	mode Mode
	root *os.Root      // nil if all files are in over
	over Files         // has the files that root lacks; nil if there are none
	turn chan struct{} // held by the goroutine that is changing index.json

	doubted sync.Map // digests of blobs whose files have to be replaced
}

// Close closes the directory. Bodies that Blob returned can still be read.
func (d *Dir) Close() error {
	if d.root == nil {
		return nil
	}
	return d.root.Close()
}

// Repo returns the repository that was opened.
func (d *Dir) Repo() ref.Repo { return d.repo }

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
