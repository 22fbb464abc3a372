// Package layout is an OCI image layout on disk as a place to read images from
// and to write them to.
//
// It follows image-spec v1.1.1 §Image Layout. Names are read as the tools write
// them: an entry of index.json has the tag of its annotation
// org.opencontainers.image.ref.name; where that is a full image name, as docker
// and skopeo may write, or where containerd's io.containerd.image.name is one,
// the tag part of it counts too, unless another entry has that very tag.
//
// All files are reached through an os.Root: no link and no name leads out of
// the layout's directory, and nothing but regular files is read.
package layout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
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

// Open opens the layout in the directory path; call Close when done.
//
// To Read, the directory must hold a layout of version 1: NotFound when it does
// not. To Write, an absent or empty directory becomes an empty layout, and
// temporary files that a writer left there more than a day ago are removed; a
// directory that holds something else is a Conflict and is left alone.
func Open(path string, mode Mode) (*Dir, error) {
	d := &Dir{repo: ref.Repo{Host: ref.Layout, Path: filepath.Clean(path)}, mode: mode, turn: make(chan struct{}, 1)}
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, d.failed("open layout", d.repo.String(), err)
	}
	if mode == Write {
		if err := os.MkdirAll(whole, 0o755); err != nil {
			return nil, d.failed("make layout", d.repo.String(), err)
		}
	}
	if d.root, err = os.OpenRoot(whole); err != nil {
		return nil, d.failed("open layout", d.repo.String(), err)
	}
	if mode == Write {
		err = d.prepare()
	}
	if err == nil {
		err = d.check()
	}
	if err != nil {
		d.root.Close()
		return nil, err
	}
	return d, nil
}

// Close lets go of the directory. Bodies that Blob returned may still be read.
func (d *Dir) Close() error { return d.root.Close() }

// Repo is the layout's identity: ref.Layout and the cleaned path it was opened by.
func (d *Dir) Repo() ref.Repo { return d.repo }

// check says whether this is a layout that we understand.
func (d *Dir) check() error {
	raw, err := d.readFile(v1.ImageLayoutFile, maxHeader)
	if errors.Is(err, fs.ErrNotExist) {
		return &fault.Fault{Kind: fault.NotFound, Op: "open layout", Name: d.repo.String(), Err: errors.New("there is no image layout: it has no file " + v1.ImageLayoutFile)}
	}
	if err != nil {
		return d.failed("open layout", d.repo.String(), err)
	}
	var header v1.ImageLayout
	if err := json.Unmarshal(raw, &header); err != nil {
		return d.malformed(v1.ImageLayoutFile, "not a JSON object")
	}
	if major, _, _ := strings.Cut(header.Version, "."); major != "1" {
		return d.malformed(v1.ImageLayoutFile, "image layout version %.50q; dray reads version 1", header.Version)
	}
	_, err = d.readIndex()
	return err
}

// prepare makes d a layout if it is empty, and sweeps.
func (d *Dir) prepare() error {
	names, err := d.names()
	if err != nil {
		return err
	}
	if !slices.Contains(names, v1.ImageLayoutFile) && slices.ContainsFunc(names, foreign) {
		return d.occupied()
	}
	unlock, err := d.lock(context.Background()) // bounded by lockWait
	if err != nil {
		return err
	}
	defer unlock()
	if names, err = d.names(); err != nil {
		return err
	}
	d.sweep(names)
	return d.initialise(names)
}

// initialise writes what a layout has to have. The file oci-layout comes first:
// whoever finds another of these files without it knows that they are not ours.
func (d *Dir) initialise(names []string) error {
	if !slices.Contains(names, v1.ImageLayoutFile) {
		if slices.ContainsFunc(names, func(n string) bool { return !ours(n) }) {
			return d.occupied()
		}
		if err := d.replace(v1.ImageLayoutFile, []byte(layoutBytes)); err != nil {
			return err
		}
	}
	if err := d.makeParent("make layout", d.repo.String(), v1.ImageBlobsDir+"/sha256/"); err != nil {
		return err
	}
	if slices.Contains(names, v1.ImageIndexFile) {
		return nil
	}
	return d.replace(v1.ImageIndexFile, []byte(emptyIndex))
}

// foreign reports whether a file has no place in a layout that is being made.
func foreign(name string) bool {
	return !ours(name) && name != v1.ImageLayoutFile && name != v1.ImageIndexFile && name != v1.ImageBlobsDir
}

func ours(name string) bool {
	return name == lockFile || strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// sweep removes what writers that died long ago left. It is no matter if it fails.
func (d *Dir) sweep(names []string) {
	for _, name := range names {
		if name == lockFile || !ours(name) {
			continue
		}
		if info, err := d.root.Lstat(name); err == nil && time.Since(info.ModTime()) > staleAfter {
			d.root.Remove(name)
		}
	}
}

func (d *Dir) names() ([]string, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, d.failed("open layout", d.repo.String(), err)
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, d.failed("open layout", d.repo.String(), err)
	}
	return names, nil
}

// lock makes the caller the only one, in all processes, to change index.json.
// The lock ends with the process that holds it, however that ends.
func (d *Dir) lock(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockWait, &fault.Fault{Kind: fault.Unavailable, Op: "lock layout", Name: d.repo.String(), Err: fmt.Errorf("another process holds %s for %s", lockFile, lockWait), Hint: "end that process, then try again"})
	defer cancel()
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, canceled(ctx, "lock layout", d.repo.String())
	}
	defer func() {
		if err != nil {
			<-d.turn
		}
	}()
	// The file is made through the root, which lets no link lead elsewhere; flock opens it by name, only to lock it.
	f, err := d.openRegular(lockFile, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, d.failed("lock layout", d.repo.String(), err)
	}
	f.Close()
	l := flock.New(filepath.Join(d.root.Name(), lockFile), flock.SetFlag(os.O_RDWR))
	if _, err := l.TryLockContext(ctx, lockPause); err != nil {
		l.Close()
		if ctx.Err() != nil {
			return nil, canceled(ctx, "lock layout", d.repo.String())
		}
		return nil, d.failed("lock layout", d.repo.String(), err)
	}
	return func() { l.Close(); <-d.turn }, nil
}

// openRegular opens a file that is, links followed inside the layout, a regular
// one. It is asked before the opening, which could hang or have effects, and
// after it, when it can not change any more.
func (d *Dir) openRegular(name string, flag int) (*os.File, error) {
	info, err := d.root.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return nil, &irregular{name}
	}
	if err != nil && (!errors.Is(err, fs.ErrNotExist) || flag&os.O_CREATE == 0) {
		return nil, err
	}
	f, err := d.root.OpenFile(name, flag|nonblock, 0o644)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = &irregular{name}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readFile reads a file of at most limit bytes.
func (d *Dir) readFile(name string, limit int64) ([]byte, error) {
	f, err := d.openRegular(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = &fault.Fault{Kind: fault.TooLarge, Op: "read file", Name: name, Err: fmt.Errorf("the limit is %d bytes", limit)}
	}
	return raw, err
}

// blobPath is where d's bytes are. The error is Refused when d is no digest that we know.
func blobPath(d oci.Digest) (string, error) {
	if ref.Digest(string(d)) != nil {
		return "", &fault.Fault{Kind: fault.Refused, Op: "find blob", Name: fmt.Sprintf("%.100q", string(d)), Err: errors.New("not a digest of sha256, sha384 or sha512")}
	}
	return v1.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded(), nil
}
