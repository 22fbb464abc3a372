package archive

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/drayage/dray/fault"
)

// An archive that grows more than maxRatio times when it is decompressed, and beyond minSuspect
// bytes, is refused. Tar archives of programs grow 3 to 10 times.
const (
	maxRatio   = 100
	minSuspect = 1 << 30
)

// maxWindow is the most memory that decompressing zstd takes; the tool zstd has the same limit.
const maxWindow = 128 << 20

// settle makes a.file a file of uncompressed bytes, positioned at its beginning: the file itself, or
// a temporary file with what from decompresses to.
func (a *Archive) settle(ctx context.Context, from io.Reader) error {
	in := &counter{from: from}
	buffered := bufio.NewReaderSize(in, 256<<10)
	head, err := buffered.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return a.failed("read archive", err)
	}
	plain, err := a.decompress(buffered, head)
	if err != nil {
		return err
	}
	if plain == nil && a.file != nil {
		if _, err := a.file.Seek(0, io.SeekStart); err != nil {
			return a.failed("read archive", err)
		}
		return nil
	}
	if plain == nil {
		plain = io.NopCloser(buffered)
	}
	defer plain.Close()
	return a.spool(ctx, plain, in)
}

// decompress returns a reader of what is compressed in from, or nil if it is not compressed. head is
// how from begins.
func (a *Archive) decompress(from io.Reader, head []byte) (io.ReadCloser, error) {
	has := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case has("\x1f\x8b"):
		z, err := gzip.NewReader(from)
		if err != nil {
			return nil, a.broken("its compression by gzip is damaged: "+err.Error(), "")
		}
		return z, nil
	case has("\x28\xb5\x2f\xfd"), len(head) > 3 && head[0]&0xf0 == 0x50 && has(string(head[0])+"\x2a\x4d\x18"):
		z, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, a.broken("its compression by zstd is damaged: "+err.Error(), "")
		}
		return z.IOReadCloser(), nil
	case has("BZh"):
		return io.NopCloser(bzip2.NewReader(from)), nil
	case has("\xfd7zXZ\x00"):
		return nil, a.refused("it is compressed by xz, which dray does not read", "decompress the file with xz -d")
	}
	return nil, nil
}

// spool copies plain into a temporary file. in counts the bytes that were read for it.
func (a *Archive) spool(ctx context.Context, plain io.Reader, in *counter) error {
	f, err := os.CreateTemp("", "dray-*.tar")
	if err != nil {
		if at, ok := errors.AsType[*fs.PathError](err); ok {
			err = at.Err
		}
		op := "make temporary file in " + os.TempDir()
		return a.faultOf(fault.KindOf(a.failed(op, err)), op, err, "set TMPDIR to a directory that can be written")
	}
	if a.file != nil {
		defer a.file.Close() // plain reads it until then
	}
	a.file = f
	if os.Remove(f.Name()) != nil {
		a.temp = f.Name() // Windows removes no open file, so Close does it
	}
	buf := make([]byte, 256<<10)
	for total := int64(0); ; {
		if err := canceled(ctx, "read archive", a.name); err != nil {
			return err
		}
		n, readErr := plain.Read(buf)
		total += int64(n)
		if total > minSuspect && total/maxRatio > in.n {
			return a.tooLarge(fmt.Sprintf("it grows more than %d times when it is decompressed", maxRatio),
				"decompress the file yourself if you trust it, and name the result")
		}
		if _, err := f.Write(buf[:n]); err != nil {
			return a.failed("write temporary file "+f.Name(), err)
		}
		if errors.Is(readErr, io.EOF) {
			break
		}
		if readErr != nil {
			return a.damaged(readErr, in)
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return a.failed("read archive", err)
	}
	return nil
}

// damaged returns the error for err, which ended the reading of the archive: that of the file or the
// stream, or that of a decompressor.
func (a *Archive) damaged(err error, in *counter) error {
	switch {
	case in.err != nil:
		return a.failed("read archive", in.err)
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return a.tooLarge(fmt.Sprintf("decompressing it takes more than %d MiB of memory", maxWindow>>20),
			"decompress the file with zstd, and name the result")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return a.broken("it ends too early", again)
	}
	return a.broken("its compression is damaged: "+err.Error(), again)
}

// counter counts the bytes that are read, and remembers an error other than the end.
type counter struct {
	from io.Reader
	n    int64
	err  error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}
