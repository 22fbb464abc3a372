package ends

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/ours"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Names in the directory of a stage, which is beside the end and has its name and partSuffix.
const (
	partSuffix = ".dray-part"
	lockName   = "lock"   // locked while a process writes the end
	layoutName = "layout" // what arrived, as a layout
	packedName = "packed" // the end that is being made
	oldName    = "old"    // names of the files of the image in a directory that is being replaced
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
	lock    *flock.Flock
	over    layout.Files   // what the end holds; nil if it does not exist
	layouts layout.Layouts // the repositories that are open in the layout of the stage
	before  *tree          // of what the end holds

	nameless []string // images of the end that docker load shows without a name
}

func (g *stage) layoutDir() string { return filepath.Join(g.part, layoutName) }

func (g *stage) packed() string { return filepath.Join(g.part, packedName) }

// verified opens content to copy it into the end. What arrived in this run was verified then. What the end held is
// verified now: reading it fails if it is damaged.
func (g *stage) verified(files stacked, d oci.Descriptor) (io.ReadCloser, error) {
	from, err := reader(files, blobName(d.Digest))
	if err != nil || files.has(blobName(d.Digest)) {
		return from, err
	}
	v, err := oci.NewVerifier(d)
	if err != nil {
		from.Close()
		return nil, err
	}
	return &verifying{from, v, g.end}, nil
}

// verifying verifies what is read from it.
type verifying struct {
	io.ReadCloser
	verifier *oci.Verifier
	end      ref.Repo
}

func (v *verifying) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	_, bad := v.verifier.Write(p[:n])
	if bad == nil && errors.Is(err, io.EOF) {
		bad = v.verifier.Verify()
	}
	if bad != nil {
		return 0, &fault.Fault{Kind: fault.Corrupt, Op: "read " + v.end.Host, Name: v.end.String(), Err: bad,
			Hint: "what it holds is damaged: remove it, and copy all of its images again"}
	}
	return n, err
}

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

// borrow makes the directory of a stage for the standard output, below TMPDIR. It removes those of processes that
// were killed.
func (g *stage) borrow() error {
	const pattern = "dray-*"
	old, _ := filepath.Glob(filepath.Join(os.TempDir(), pattern, lockName)) // the pattern is well formed
	for _, name := range old {
		removeStale(name)
	}
	part, err := os.MkdirTemp("", pattern) // mode 0700
	if err != nil {
		return noTemp(g.end, err)
	}
	g.part, g.lock = part, flock.New(filepath.Join(part, lockName))
	if _, err := g.lock.TryLock(); err != nil {
		g.keep()
		return noTemp(g.end, err)
	}
	return nil
}

// staleAfter is how old a lock must be before its directory is removed. A process makes the lock before it holds it.
const staleAfter = time.Minute

// removeStale removes the directory of a lock that no process holds.
func removeStale(name string) {
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || time.Since(info.ModTime()) < staleAfter {
		return
	}
	d, err := ours.Open(filepath.Dir(name))
	if err != nil {
		return // it is of another user, and in a directory that everybody may write
	}
	_ = d.Close() // it was only looked at
	lock := flock.New(name, flock.SetFlag(os.O_RDWR))
	if locked, err := lock.TryLock(); err == nil && locked {
		_ = os.RemoveAll(filepath.Dir(name)) // the next run removes the rest
	}
	_ = lock.Close()
}

// release ends the use of the stage. The directory of the stage may be gone.
func (g *stage) release() error {
	return failed("unlock", g.part, g.lock.Close())
}
