package layout

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Open opens the repository repo of the layout in the directory repo.Dir. Call Close when it is no longer needed.
//
// With Read, the directory must hold a layout of version 1; otherwise the error is NotFound. With
// Write, an absent or empty directory becomes an empty layout. Write also removes temporary files
// that a writer left more than a day ago. A directory that holds anything else is a Conflict and
// stays unchanged. Draft is like Write, for content that is verified or thrown away after the machine stopped.
func Open(repo ref.Repo, mode Mode) (*Dir, error) { return new(Layouts).Open(repo, mode) }

// Open is like the function Open. It shares the directory with the other repositories that are open.
func (l *Layouts) Open(repo ref.Repo, mode Mode) (*Dir, error) {
	return l.share(repo, repo.Dir, nil, mode)
}

// Stage opens a repository for writing, of the layout in the directory dir over the files of over, which may be nil:
// what dir lacks is read from over, and what is written goes into dir. It is a Draft: after the machine stopped, blobs
// in dir may be damaged.
func (l *Layouts) Stage(repo ref.Repo, dir string, over Files) (*Dir, error) {
	return l.share(repo, dir, over, Draft)
}

// Over opens a repository of the layout whose files are in over, for reading.
func Over(repo ref.Repo, over Files) (*Dir, error) {
	d := &Dir{repo: repo, disk: new(Layouts).disk("", over, Read)}
	return d, d.check()
}

func (l *Layouts) share(repo ref.Repo, path string, over Files, mode Mode) (*Dir, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if on := l.open[opened{path, mode}]; on != nil {
		on.users++
		return &Dir{repo: repo, disk: on}, nil
	}
	d := &Dir{repo: repo, disk: l.disk(path, over, mode)}
	if err := d.open(); err != nil {
		return nil, err
	}
	if l.open == nil {
		l.open = map[opened]*disk{}
	}
	l.open[opened{path, mode}] = d.disk
	return d, nil
}

// disk returns a disk that one Dir uses.
func (l *Layouts) disk(path string, over Files, mode Mode) *disk {
	return &disk{
		path: path, over: over, mode: mode,
		turn: make(chan struct{}, 1), known: map[oci.Digest]*linked{}, among: l, users: 1,
	}
}

// open opens the directory and checks that it is a layout. With Write it makes one.
func (d *Dir) open() error {
	whole, err := filepath.Abs(d.path)
	if err != nil {
		return d.failed("open layout", d.whole(), err)
	}
	info, err := os.Stat(whole)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return fault.Misuse("open layout", d.whole(), "not a directory", "check the path, a part of which is a file")
	case err == nil && !info.IsDir():
		return fault.Misuse("open layout", d.whole(), "this is a file, and a layout is a directory", "name a directory")
	}
	if d.mode != Read {
		if err := os.MkdirAll(whole, 0o755); err != nil { //nolint:gosec // other users read layouts, too
			return d.failed("make layout", d.whole(), err)
		}
	}
	d.root, err = os.OpenRoot(whole)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &fault.Fault{
			Kind: fault.NotFound,
			Op:   "open layout",
			Name: d.whole(),
			Err:  errors.New("there is no such directory"),
			Hint: "check the path, which is " + whole,
		}
	case err != nil:
		return d.failed("open layout", d.whole(), err)
	}
	if d.mode != Read {
		err = d.prepare()
	}
	if err == nil {
		err = d.check()
	}
	if err != nil {
		_ = d.root.Close()
		return err
	}
	return nil
}

// check checks that dray can read this layout.
func (d *Dir) check() error {
	raw, err := d.readJSON(v1.ImageLayoutFile, maxHeader)
	if errors.Is(err, fs.ErrNotExist) {
		return &fault.Fault{
			Kind: fault.NotFound,
			Op:   "open layout",
			Name: d.whole(),
			Err:  errors.New("this is no image layout, because it has no file " + v1.ImageLayoutFile),
			Hint: "write the directory that has this file; with the slash of oci:DIR/, transfer reads all layouts below DIR",
		}
	}
	if err != nil {
		return d.failed("open layout", d.whole(), err)
	}
	var header v1.ImageLayout
	if err := json.Unmarshal(raw, &header); err != nil {
		return d.malformed(v1.ImageLayoutFile, "not a JSON object")
	}
	if major, _, _ := strings.Cut(header.Version, "."); major != "1" {
		return d.malformed(v1.ImageLayoutFile, "image layout version %.50q; dray reads version 1", header.Version)
	}
	_, err = d.readIndex()
	if fault.Is(err, fault.Refused) && d.root != nil && IsVacant(d.root.Name()) {
		return &fault.Fault{
			Kind: fault.NotFound,
			Op:   "open layout",
			Name: d.whole(),
			Err:  errors.New("it was begun, and holds no image yet"),
			Hint: "copy an image into it first",
		}
	}
	return err
}

// prepare creates the layout if the directory is empty, and removes old temporary files.
func (d *Dir) prepare() error {
	names, err := d.names()
	if err != nil {
		return err
	}
	if !slices.Contains(names, v1.ImageLayoutFile) && slices.ContainsFunc(names, foreign) {
		return d.occupied()
	}
	unlock, err := d.lock(context.Background()) // waits at most lockWait
	if err != nil {
		return err
	}
	defer unlock()
	if names, err = d.names(); err != nil {
		return err
	}
	d.sweep(names)
	return d.initialize(names)
}

// initialize writes the files that every layout has. It writes oci-layout first. So if another of
// these files exists without oci-layout, dray did not write it.
func (d *Dir) initialize(names []string) error {
	if !slices.Contains(names, v1.ImageLayoutFile) {
		if slices.ContainsFunc(names, func(n string) bool { return !ours(n) }) {
			return d.occupied()
		}
		if err := d.replace(v1.ImageLayoutFile, []byte(layoutBytes)); err != nil {
			return err
		}
	}
	if err := d.makeParent("make layout", d.whole(), v1.ImageBlobsDir+"/sha256/"); err != nil {
		return err
	}
	if slices.Contains(names, v1.ImageIndexFile) {
		return nil
	}
	return d.replace(v1.ImageIndexFile, []byte(emptyIndex))
}

// foreign reports whether a file cannot be part of a layout that is being created.
func foreign(name string) bool {
	return !ours(name) && name != v1.ImageLayoutFile && name != v1.ImageIndexFile && name != v1.ImageBlobsDir
}

func ours(name string) bool {
	return name == lockFile || strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// sweep removes temporary files that a crashed writer left long ago. Errors are ignored.
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
		return nil, d.failed("open layout", d.whole(), err)
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, d.failed("open layout", d.whole(), err)
	}
	return names, nil
}

// IsVacant reports whether dir is a directory that holds nothing yet: it is empty, or has no more than what was left by
// a writer that was ended while it made the layout.
func IsVacant(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		blobs := e.IsDir() && e.Name() == v1.ImageBlobsDir && isHollow(filepath.Join(dir, e.Name()))
		file := e.Type().IsRegular() && (ours(e.Name()) || e.Name() == v1.ImageLayoutFile)
		if !blobs && !file {
			return false
		}
	}
	return true
}

// isHollow reports whether there are only directories below dir.
func isHollow(dir string) bool {
	return filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = fs.ErrExist
		}
		return err
	}) == nil
}
