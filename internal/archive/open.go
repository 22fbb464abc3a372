package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxEntries is how many entries an archive may have. An entry takes some 150 bytes of memory.
const maxEntries = 4 << 20

// Input says what to open.
type Input struct {
	Name string    // what errors call the archive, such as "oci-archive:x.tar"
	Path string    // the file; "" means Stream
	From io.Reader // a stream that is read to its end, if Path is ""
}

// Open opens an archive, which may be compressed by gzip, zstd or bzip2. Call Close afterwards. If
// ctx ends while the archive is decompressed, the error is Canceled, and nothing is left on disk.
//
// The error is NotFound if the file does not exist, and Refused if it is no tar archive or holds
// what an archive must not hold. It is Corrupt if the archive ends too early.
func Open(ctx context.Context, in Input) (*Archive, error) {
	a := &Archive{name: in.Name, files: map[string]span{}, links: map[string]string{}}
	if err := a.open(ctx, in); err != nil {
		_ = a.Close() // err is what the caller needs to know
		return nil, err
	}
	return a, nil
}

func (a *Archive) open(ctx context.Context, in Input) error {
	from := in.From
	if in.Path != "" {
		f, err := openRegular(in.Path)
		if err != nil {
			return a.failed("open archive", err)
		}
		a.file, from = f, f
	}
	if err := a.settle(ctx, from); err != nil {
		return err
	}
	if err := a.read(ctx); err != nil {
		return err
	}
	return a.checkLinks()
}

// openRegular opens a file that must be a regular one: opening a device or a pipe could wait, or
// have side effects.
func openRegular(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &irregular{name: name, isDir: info.IsDir()}
	}
	return os.Open(name)
}

// read reads the headers. It leaves the content where it is.
func (a *Archive) read(ctx context.Context) error {
	t := tar.NewReader(a.file)
	for n := 0; ; n++ {
		if err := canceled(ctx, "read archive", a.name); err != nil {
			return err
		}
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF) && n == 0:
			return a.refused("it is empty", "")
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF) && n == 0:
			return a.refused("it is no tar archive", "")
		case errors.Is(err, io.ErrUnexpectedEOF):
			return a.broken("it ends in the middle of a file", again)
		case errors.Is(err, tar.ErrHeader) && n == 0:
			return a.refused("it is no tar archive", "")
		case errors.Is(err, tar.ErrHeader):
			return a.broken(fmt.Sprintf("there is no header after %d entries, where one must be", n), again)
		case err != nil:
			return a.failed("read archive", err)
		case n == maxEntries:
			return a.tooLarge(fmt.Sprintf("it has more than %d entries", maxEntries), "")
		}
		at, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return a.failed("read archive", err)
		}
		if err := a.add(h, at); err != nil {
			return err
		}
	}
}

// add records one entry, whose content begins at the byte at.
func (a *Archive) add(h *tar.Header, at int64) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name, err := inside(h.Name)
	if err != nil {
		return a.refused(err.Error(), "")
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return nil
	case tar.TypeReg:
	case tar.TypeLink, tar.TypeSymlink:
		return a.addLink(name, h)
	case tar.TypeGNUSparse:
		return a.refused(fmt.Sprintf("%.100q is a sparse file", h.Name), "make the archive without the option --sparse")
	default:
		return a.refused(fmt.Sprintf("%.100q is a device or a pipe", h.Name), "")
	}
	if isSparse(h) {
		return a.refused(fmt.Sprintf("%.100q is a sparse file", h.Name), "make the archive without the option --sparse")
	}
	if _, isLink := a.links[name]; isLink {
		return a.twice(h.Name)
	}
	now := span{at, h.Size}
	if before, twice := a.files[name]; twice && !a.same(before, now) {
		return a.twice(h.Name)
	}
	a.files[name] = now
	return nil
}

// isSparse reports whether the content is stored with its holes left out, as GNU tar does.
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// same reports whether two parts of the archive have the same bytes. Some tools write a layer as
// often as the image has it.
func (a *Archive) same(x, y span) bool {
	if x.size != y.size {
		return false
	}
	var one, two [32 << 10]byte
	for n := int64(0); n < x.size; n += int64(len(one)) {
		part := min(int64(len(one)), x.size-n)
		_, err1 := a.file.ReadAt(one[:part], x.at+n)
		_, err2 := a.file.ReadAt(two[:part], y.at+n)
		if err1 != nil || err2 != nil || !bytes.Equal(one[:part], two[:part]) {
			return false
		}
	}
	return true
}

// Close closes the archive and removes its temporary file. Files that are still read fail.
func (a *Archive) Close() error {
	if a.file == nil {
		return nil
	}
	err := a.file.Close()
	if a.temp != "" {
		err = errors.Join(err, os.Remove(a.temp))
	}
	a.file = nil
	if err != nil {
		return a.failed("close archive", err)
	}
	return nil
}
