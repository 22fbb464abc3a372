package ends

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Names in the directory of a stage, which is beside the end and has its name and partSuffix.
const (
	partSuffix = ".dray-part"
	lockName   = "lock"   // locked while a process writes the end
	layoutName = "layout" // what arrived, as a layout
	packedName = "packed" // the end that is being made
	olderName  = "older"  // the directory that was replaced
)

// emptyIndex is the index of a layout without images.
const emptyIndex = `{"schemaVersion":2,"mediaType":"` + v1.MediaTypeImageIndex + `","manifests":[]}`

// stage is where the content of an end is until Commit makes the end from it.
type stage struct {
	end     ref.Repo
	reading *Reading
	output  io.Writer // the standard output, or nil
	path    string    // the file or directory to make, with links resolved; "" for the standard output
	part    string
	lock    *flock.Flock   // nil for the standard output
	over    layout.Files   // what the end holds; nil if it does not exist
	layouts layout.Layouts // the repositories that are open in the layout of the stage
	before  map[oci.Digest]bool
}

func (g *stage) layoutDir() string { return filepath.Join(g.part, layoutName) }

func (g *stage) packed() string { return filepath.Join(g.part, packedName) }

// keep returns the directory of the stage if it holds content for the next run, and otherwise
// removes it.
func (g *stage) keep() string {
	blobs := filepath.Join(g.layoutDir(), v1.ImageBlobsDir)
	some := false
	_ = filepath.WalkDir(blobs, func(_ string, d fs.DirEntry, err error) error {
		some = some || err == nil && d.Type().IsRegular()
		return nil
	})
	if some && g.path != "" {
		os.RemoveAll(g.packed())
		return g.part
	}
	os.RemoveAll(g.part)
	return ""
}

// release ends the use of the stage. The directory of the stage may be gone.
func (g *stage) release() error {
	if g.lock == nil {
		return nil
	}
	return failed("unlock", g.part, g.lock.Close())
}
