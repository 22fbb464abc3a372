package ends

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/archive"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
	"github.com/gofrs/flock"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// begin opens the stage of an end. What an earlier run left in it is used again, except its index.
func begin(ctx context.Context, r *Reading, output io.Writer, end ref.Repo) (*stage, error) {
	g := &stage{end: end, reading: r, output: output, before: &tree{}}
	if end.Dir == ref.Stream {
		if output == nil {
			return nil, noStream("open archive", end, "standard output")
		}
		if err := g.borrow(); err != nil {
			return nil, err
		}
	} else if how := archive.Unwritten(end.Dir); how != "" && end.Host != ref.Directory {
		return nil, unwritten(end, how)
	} else if err := g.occupy(ctx); err != nil {
		return nil, err
	}
	if err := g.prepare(ctx); err != nil {
		g.keep()
		return nil, cmp.Or(err, g.release())
	}
	return g, nil
}

// occupy opens what the end holds, and locks the stage.
func (g *stage) occupy(ctx context.Context) error {
	var err error
	if g.path, err = placeOf(g.end); err != nil {
		return failed("open "+g.end.Host, g.end.String(), err)
	}
	empty, err := isEmpty(g.end.Host, g.path)
	if err != nil {
		return failed("open "+g.end.Host, g.end.String(), err)
	}
	if err := irregular(g.end); err != nil {
		return err
	}
	g.part = g.path + partSuffix
	if err := g.acquire(); err != nil {
		return err
	}
	if !empty {
		g.over, err = g.reading.Files(ctx, g.end)
		if err = Occupied(g.end, err); err == nil {
			err = g.mayChange()
		}
	}
	if err == nil && g.end.Host == ref.Directory {
		err = g.tryDirectory()
	}
	if err != nil {
		g.keep()
		return cmp.Or(err, g.release())
	}
	return nil
}

// Ready returns the error of a run that would write an end, as far as it can be known without writing anything: it
// holds something else, or its directory does not exist or cannot be written. Of a layout it looks only whether it is a
// bundle.
func (r *Reading) Ready(ctx context.Context, end ref.Repo) error {
	if end.Dir == ref.Stream {
		return nil
	}
	if end.Host == ref.Layout {
		return Bundled(end)
	}
	g := &stage{end: end, reading: r}
	op := "open " + end.Host
	var err error
	if g.path, err = placeOf(end); err != nil {
		return failed(op, end.String(), err)
	}
	if how := archive.Unwritten(end.Dir); how != "" && end.Host != ref.Directory {
		return unwritten(end, how)
	}
	beside := filepath.Dir(g.path)
	if _, err := os.Stat(beside); errors.Is(err, fs.ErrNotExist) {
		return noDirectory(end, beside, err)
	}
	if err := mayWrite(beside); err != nil {
		return failed(op, end.String(), err)
	}
	if empty, err := isEmpty(end.Host, g.path); err != nil || empty {
		return failed(op, end.String(), err)
	}
	if _, err = r.Files(ctx, end); err != nil {
		return Occupied(end, err)
	}
	return g.mayChange()
}

// placeOf returns the file or directory that an end names, with links resolved. Its last part is a name: the stage is
// beside it.
func placeOf(end ref.Repo) (string, error) {
	path := follow(end.Dir)
	if base := filepath.Base(path); base == "." || base == ".." {
		return filepath.Abs(path)
	}
	return path, nil
}

// maxLinks is how many links may follow one another.
const maxLinks = 40

// follow returns the path of the file or directory that dir leads to through links, which may not exist yet.
func follow(dir string) string {
	path := filepath.Clean(dir)
	for range maxLinks {
		if to, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
			path = filepath.Join(to, filepath.Base(path))
		}
		to, err := os.Readlink(path)
		if err != nil {
			return path
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = filepath.Clean(to)
	}
	return path
}

// Same reports whether two ends are in one file or directory, although their names differ.
func Same(x, y ref.Repo) bool {
	if x.In("") == y.In("") || x.Dir == ref.Stream || y.Dir == ref.Stream {
		return false
	}
	one, err1 := filepath.Abs(follow(x.Dir))
	two, err2 := filepath.Abs(follow(y.Dir))
	return err1 == nil && err2 == nil && one == two
}

// IsEmpty reports whether an end on disk holds nothing yet: it does not exist, or it is an empty file or
// directory, or the standard output.
func IsEmpty(end ref.Repo) bool {
	if end.Dir == ref.Stream {
		return true
	}
	empty, err := isEmpty(end.Host, filepath.Clean(end.Dir))
	return err == nil && empty
}

// isEmpty reports whether nothing is at path: no file, an empty file as mktemp makes it, or an empty directory for an
// end that is one. A directory of skopeo is begun by its version, and has no image before its manifest is there.
func isEmpty(host, path string) (bool, error) {
	info, err := os.Stat(path)
	archive := host == ref.Archive || host == ref.DockerArchive
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil || archive == info.IsDir():
		return false, err
	case archive:
		return info.Size() == 0 && info.Mode().IsRegular(), nil
	}
	if host == ref.Layout {
		return layout.IsVacant(path), nil
	}
	entries, err := os.ReadDir(path)
	has := func(name string) bool {
		return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
	}
	return len(entries) == 0 || host == ref.Directory && has(versionFile) && !has(rootFile), err
}

// acquire makes the directory of the stage and locks it. Another process may remove the directory at
// the same time, because it is done with it.
func (g *stage) acquire() error {
	const op = "make directory"
	for range 10 {
		if err := os.Mkdir(g.part, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			f := failed(op, g.part, err)
			if fault.Is(f, fault.NotFound) {
				return noDirectory(g.end, filepath.Dir(g.path), err)
			}
			return f
		}
		name := filepath.Join(g.part, lockName)
		g.lock = flock.New(name)
		locked, err := g.lock.TryLock()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return failed("lock", name, err)
		}
		if !locked {
			return &fault.Fault{Kind: fault.Conflict, Op: "open " + g.end.Host, Name: g.end.String(),
				Err: errors.New("another process is writing it"), Hint: "wait for that process, or end it"}
		}
		if g.holdsLock(name) {
			return nil
		}
		_ = g.lock.Close() // the file was removed before it was locked
	}
	return &fault.Fault{Kind: fault.Conflict, Op: "lock", Name: g.part,
		Err: errors.New("other processes write it again and again"), Hint: "wait for them"}
}

// holdsLock reports whether the file at name is the locked one, so that nobody else can lock it.
func (g *stage) holdsLock(name string) bool {
	another := flock.New(name, flock.SetFlag(os.O_RDWR))
	locked, err := another.TryLock()
	_ = another.Close()
	return err == nil && !locked
}

// prepare makes the layout of the stage, with the index of what the end holds.
func (g *stage) prepare(ctx context.Context) error {
	const op = "make directory"
	if err := os.RemoveAll(g.packed()); err != nil {
		return failed(op, g.part, err)
	}
	if err := os.MkdirAll(g.layoutDir(), 0o755); err != nil { //nolint:gosec // as a layout
		return failed(op, g.part, err)
	}
	if err := g.checkArrived(ctx); err != nil {
		return err
	}
	index := []byte(emptyIndex)
	if g.over != nil {
		t, err := collect(g.end.String(), g.over)
		if err != nil {
			return err
		}
		g.before = t
		if err := g.tidy(); err != nil {
			return err
		}
		if index, _, err = readAll(g.over, v1.ImageIndexFile, maxIndex); err != nil {
			return failed("read "+v1.ImageIndexFile, g.end.String(), err)
		}
	}
	for name, raw := range map[string][]byte{v1.ImageLayoutFile: []byte(layoutHeader), v1.ImageIndexFile: index} {
		if err := os.WriteFile(filepath.Join(g.layoutDir(), name), raw, 0o644); err != nil { //nolint:gosec // as a layout
			return failed("write "+name, g.part, err)
		}
	}
	return nil
}

// checkArrived verifies what an earlier run left in the stage, and removes what is damaged. The layout of a stage is a
// draft: a blob has its name before its bytes are on disk, and the machine may have stopped in between.
func (g *stage) checkArrived(ctx context.Context) error {
	const op = "read directory"
	root, err := os.OpenRoot(g.layoutDir())
	if err != nil {
		return failed(op, g.part, err)
	}
	defer func() { _ = root.Close() }() // at most files were removed through it
	err = fs.WalkDir(root.FS(), v1.ImageBlobsDir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		dgst := oci.Digest(path.Base(path.Dir(name)) + ":" + d.Name())
		err = verifyFile(ctx, root, name, dgst)
		if fault.Is(err, fault.Corrupt) || fault.Is(err, fault.Refused) {
			return root.Remove(name)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if ctx.Err() != nil {
		return &fault.Fault{Kind: fault.Canceled, Op: op, Name: g.part, Err: context.Cause(ctx)}
	}
	return failed(op, g.part, err)
}

// verifyFile compares a file with its digest. The error is Corrupt if they differ, and Refused if dgst is no digest.
func verifyFile(ctx context.Context, root *os.Root, name string, dgst oci.Digest) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	v, err := oci.NewVerifier(oci.Descriptor{Digest: dgst, Size: info.Size()})
	if err != nil {
		return err
	}
	buf := make([]byte, min(info.Size()+1, 256<<10))
	for {
		n, err := f.Read(buf)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, err := v.Write(buf[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return v.Verify()
		}
		if err != nil {
			return err
		}
	}
}
