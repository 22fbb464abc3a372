package ends

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"syscall"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/archive"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/ref"
)

// commit makes the end from its stage, and removes the stage.
func (g *stage) commit(ctx context.Context) error {
	root, err := os.OpenRoot(g.layoutDir())
	if err != nil {
		return failed("open directory", g.part, err)
	}
	files := stacked{inRoot{root}, g.over}
	err = g.make(ctx, files)
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
func (g *stage) make(ctx context.Context, files layout.Files) error {
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
	entries := entriesOf(heads, t, files)
	if g.path == "" {
		return g.writeFailed(ctx, archive.Write(ctx, g.output, archive.None, entries))
	}
	f, err := os.OpenFile(g.packed(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) //nolint:gosec // as a layout
	if err != nil {
		return failed("write archive", g.end.String(), err)
	}
	err = archive.Write(ctx, f, archive.CompressionOf(g.path), entries)
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
	if g.path == "" && errors.Is(err, syscall.ENOSPC) {
		return &fault.Fault{Kind: fault.Full, Op: "write archive", Name: g.end.String(), Err: err,
			Hint: "free space where the standard output goes"}
	}
	return failed("write archive", g.end.String(), err)
}

// heads returns the files that come first in an archive.
func (g *stage) heads(t *tree, files layout.Files) ([]head, error) {
	if g.end.Host == ref.DockerArchive {
		return t.docker(g.end.String())
	}
	index, _, err := readAll(files, v1.ImageIndexFile, maxIndex)
	return []head{{v1.ImageLayoutFile, []byte(layoutHeader)}, {v1.ImageIndexFile, index}},
		failed("read "+v1.ImageIndexFile, g.end.String(), err)
}

// entriesOf returns the entries of an archive: the heads, the documents, and then the blobs.
func entriesOf(heads []head, t *tree, files layout.Files) iter.Seq[archive.Entry] {
	return func(yield func(archive.Entry) bool) {
		for _, h := range heads {
			open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(h.raw)), nil }
			if !yield(archive.Entry{Name: h.name, Size: int64(len(h.raw)), Open: open}) {
				return
			}
		}
		for _, d := range t.order {
			open := func() (io.ReadCloser, error) { return reader(files, blobName(d.Digest)) }
			if !yield(archive.Entry{Name: blobName(d.Digest), Size: d.Size, Open: open}) {
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
	older := filepath.Join(g.part, olderName)
	moved := false
	if info, err := os.Stat(g.path); err == nil && info.IsDir() {
		if err := os.Rename(g.path, older); err != nil {
			return failed(op, g.end.String(), err)
		}
		moved = true
	}
	if err := os.Rename(g.packed(), g.path); err != nil {
		if moved {
			err = errors.Join(err, os.Rename(older, g.path))
		}
		return failed(op, g.end.String(), err)
	}
	return failed(op, g.end.String(), syncDirectory(filepath.Dir(g.path)))
}
