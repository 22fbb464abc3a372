package archive

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"io"
	"iter"
	"path"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Entry is a file to write.
type Entry struct {
	Name string
	Size int64
	Open func() (io.ReadCloser, error)
}

// Compression says how an archive is compressed.
type Compression string

// The kinds of Compression.
const (
	None Compression = ""
	Gzip Compression = "gzip"
	Zstd Compression = "zstd"
)

// CompressionOf returns the compression that the name of a file asks for: "x.tar.zst" or "x.tgz".
func CompressionOf(name string) Compression {
	switch path.Ext(strings.ToLower(name)) {
	case ".gz", ".tgz":
		return Gzip
	case ".zst", ".zstd", ".tzst":
		return Zstd
	}
	return None
}

// Unwritten returns the name of the compression that the name of a file promises and that Write does not make, or "".
func Unwritten(name string) string {
	switch path.Ext(strings.ToLower(name)) {
	case ".xz", ".txz":
		return "xz"
	case ".bz2", ".tbz", ".tbz2":
		return "bzip2"
	case ".lz4":
		return "lz4"
	}
	return ""
}

// Write writes an archive of entries to w. The same entries give the same bytes. The content of a
// layer is compressed already in most images, so Write compresses fast rather than well.
//
// Write returns an error of w or of an entry unchanged.
func Write(ctx context.Context, w io.Writer, how Compression, entries iter.Seq[Entry]) error {
	to, err := compress(w, how)
	if err != nil {
		return err
	}
	t := tar.NewWriter(to)
	buf := make([]byte, 256<<10)
	for e := range entries {
		if err := write(ctx, t, e, buf); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return to.Close()
}

// compress returns a writer that compresses into w. Closing it does not close w.
func compress(w io.Writer, how Compression) (io.WriteCloser, error) {
	switch how {
	case Gzip:
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	case Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	}
	return plain{w}, nil
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }

// write writes an entry, through buf.
func write(ctx context.Context, t *tar.Writer, e Entry, buf []byte) error {
	from, err := e.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	err = t.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg,
		Name:     e.Name,
		Size:     e.Size,
		Mode:     0o644,
		ModTime:  time.Unix(0, 0),
	})
	if err != nil {
		return err
	}
	// Without the method ReadFrom of t, which would read the file in pieces of its own choice.
	_, err = io.CopyBuffer(struct{ io.Writer }{t}, &until{ctx, from}, buf)
	return err
}

// until reads until ctx ends.
type until struct {
	ctx  context.Context //nolint:containedctx // it lives as long as one call of write
	from io.Reader
}

func (u *until) Read(p []byte) (int, error) {
	if err := context.Cause(u.ctx); err != nil {
		return 0, err
	}
	return u.from.Read(p)
}
