package layout

import (
	"os"
	"sync"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/ref"
)

// Mode says what a layout is opened for.
type Mode int

const (
	Read  Mode = iota // it has to be there; nothing is written, not even a lock
	Write             // it is made when it is not there
)

// Names of our own files in a layout; the spec lets additional files be.
const (
	lockFile   = ".dray.lock"
	tempPrefix = ".dray-"
	tempSuffix = ".tmp"
)

const (
	maxIndex    = 64 << 20         // bytes of index.json that are read
	maxHeader   = 1 << 20          // bytes of oci-layout that are read
	lockWait    = 30 * time.Second // an index.json is held for milliseconds
	lockPause   = 5 * time.Millisecond
	staleAfter  = 24 * time.Hour // a temporary file that old has no living writer
	emptyIndex  = `{"schemaVersion":2,"mediaType":"` + v1.MediaTypeImageIndex + `","manifests":[]}`
	layoutBytes = `{"imageLayoutVersion":"` + v1.ImageLayoutVersion + `"}`
)

// Dir is an image layout. It is a transfer.Source and, opened to Write, a
// transfer.Target; its methods are safe for concurrent use, and any number of
// processes may write to one layout at once without losing a tag.
type Dir struct {
	repo ref.Repo
	mode Mode
	root *os.Root
	turn chan struct{} // held by the one goroutine that changes index.json

	doubted sync.Map // digests of blobs whose files are to be replaced
}

// Close lets go of the directory. Bodies that Blob returned may still be read.
func (d *Dir) Close() error { return d.root.Close() }

// Repo is the layout's identity: ref.Layout and the cleaned path it was opened by.
func (d *Dir) Repo() ref.Repo { return d.repo }
