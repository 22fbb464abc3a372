package ends

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/archive"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/trouble"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// commit makes the end from its stage, and removes the stage.
func (g *stage) commit(ctx context.Context) error {
	root, err := os.OpenRoot(g.layoutDir())
	if err != nil {
		return failed("open directory", g.part, err)
	}
	files := stacked{inRoot{root}, g.over}
	if err = g.dropReferrers(ctx, files); err == nil {
		err = g.make(ctx, files)
	}
	_ = root.Close() // nothing was written through it
	if err != nil {
		return err
	}
	if g.path != "" {
		if err := g.replace(); err != nil {
			return err
		}
	}
	return failed("remove directory", g.part, os.RemoveAll(g.part))
}

// make makes the end: a file or a directory that will be renamed, or all of the standard output.
func (g *stage) make(ctx context.Context, files stacked) error {
	t, err := collect(g.end.String(), files)
	if err != nil {
		return err
	}
	if g.end.Host == ref.Directory {
		return g.folder(ctx, t, files)
	}
	heads, err := g.heads(t, files)
	if err != nil {
		return err
	}
	entries := g.entries(heads, t, files)
	if g.path == "" {
		return g.writeFailed(ctx, archive.Write(ctx, g.output, archive.None, entries))
	}
	f, err := os.OpenFile(g.packed(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) //nolint:gosec // as a layout
	if err != nil {
		return failed("write archive", g.end.String(), err)
	}
	if before, statErr := os.Stat(g.path); statErr == nil {
		err = resemble(f, before)
	}
	if err == nil {
		err = archive.Write(ctx, f, archive.CompressionOf(g.path), entries)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return g.writeFailed(ctx, err)
}

func (g *stage) writeFailed(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return &fault.Fault{Kind: fault.Canceled, Op: "write archive", Name: g.end.String(), Err: context.Cause(ctx)}
	}
	if kind, step, isDisk := trouble.Of(err, "the standard output"); isDisk && g.path == "" {
		return &fault.Fault{Kind: kind, Op: "write archive", Name: g.end.String(), Err: err, Hint: step}
	}
	return failed("write archive", g.end.String(), err)
}

// dropReferrers takes the documents without a name out of the index of the stage that refer to an image that was
// replaced or removed. So do those that refer to them.
func (g *stage) dropReferrers(ctx context.Context, files layout.Files) error {
	for g.over != nil {
		t, err := collect(g.end.String(), files)
		if err != nil {
			return err
		}
		dropped := g.widows(t)
		if len(dropped) == 0 {
			return nil
		}
		at, err := g.layouts.Stage(g.end, g.layoutDir(), g.over)
		if err != nil {
			return err
		}
		for _, d := range dropped {
			err = cmp.Or(err, at.Delete(ctx, string(d)))
		}
		if err = cmp.Or(err, at.Close()); err != nil {
			return err
		}
	}
	return nil
}

// widows returns the entries of the index without a name whose subject was in the end before, and is not any more.
func (g *stage) widows(t *tree) []oci.Digest {
	named := map[oci.Digest]bool{}
	for _, e := range t.index.Manifests {
		named[e.Digest] = named[e.Digest] || e.Annotations[v1.AnnotationRefName] != "" || e.Annotations[containerName] != ""
	}
	var all []oci.Digest
	for _, e := range t.index.Manifests {
		subject := t.docs[e.Digest].Subject
		if subject == nil || named[e.Digest] {
			continue
		}
		_, before := g.before.docs[subject.Digest]
		if _, now := t.docs[subject.Digest]; before && !now {
			all = append(all, e.Digest)
		}
	}
	return all
}

// heads returns the files that come first in an archive. A layout that docker load reads, too, stays so.
func (g *stage) heads(t *tree, files layout.Files) ([]head, error) {
	if g.end.Host == ref.DockerArchive {
		heads, nameless, err := t.docker(g.end.String())
		g.nameless = nameless
		return heads, err
	}
	index, _, err := readAll(files, v1.ImageIndexFile, maxIndex)
	if err != nil {
		return nil, failed("read "+v1.ImageIndexFile, g.end.String(), err)
	}
	heads := []head{{v1.ImageLayoutFile, []byte(layoutHeader)}, {v1.ImageIndexFile, index}}
	if !slices.Contains(g.reading.others(g.end), tagsFile) {
		return heads, nil
	}
	both, nameless, err := t.docker(g.end.String())
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Refused, Op: "write archive", Name: g.end.String(), Err: err,
			Hint: "name another file; docker load reads this one, because it has a " + tagsFile}
	}
	g.nameless = nameless
	return append(heads, both[len(both)-1]), nil
}

// entries returns the entries of an archive: the heads, the documents, the blobs, and then the other files that the
// archive has.
func (g *stage) entries(heads []head, t *tree, files stacked) iter.Seq[archive.Entry] {
	return func(yield func(archive.Entry) bool) {
		for _, h := range heads {
			open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(h.raw)), nil }
			if !yield(archive.Entry{Name: h.name, Size: int64(len(h.raw)), Open: open}) {
				return
			}
		}
		for _, d := range t.order {
			open := func() (io.ReadCloser, error) { return g.verified(files, d) }
			if !yield(archive.Entry{Name: blobName(d.Digest), Size: d.Size, Open: open}) {
				return
			}
		}
		for _, name := range g.reading.others(g.end) {
			if name == tagsFile {
				continue // one of the heads
			}
			size, open := int64(-1), func() (io.ReadCloser, error) { return reader(g.over, name) }
			if f, err := g.over.Open(name); err == nil {
				size = f.Size()
				f.Close()
			}
			if !yield(archive.Entry{Name: name, Size: size, Open: open}) {
				return
			}
		}
	}
}

// replace gives what was made its name.
func (g *stage) replace() error {
	op := "write " + g.end.Host
	if err := g.reading.forget(g.end); err != nil { // Windows renames over no open file
		return err
	}
	if info, err := os.Stat(g.path); err == nil && info.IsDir() && g.end.Host == ref.Directory {
		return failed(op, g.end.String(), g.join())
	}
	if err := os.Rename(g.packed(), g.path); err != nil {
		return failed(op, g.end.String(), err)
	}
	return failed(op, g.end.String(), syncDirectory(filepath.Dir(g.path)))
}
