package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/drayage/dray/fault"
)

// item is an entry of an archive that a test makes. An item with a link is a symbolic one, if kind
// does not say otherwise.
type item struct {
	name, body, link string
	kind             byte
}

func pack(tb testing.TB, items ...item) []byte {
	tb.Helper()
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	for _, it := range items {
		h := &tar.Header{Typeflag: it.kind, Name: it.name, Linkname: it.link, Size: int64(len(it.body)), Mode: 0o644}
		switch {
		case it.kind == 0 && it.link != "":
			h.Typeflag = tar.TypeSymlink
		case it.kind == 0:
			h.Typeflag = tar.TypeReg
		}
		if err := t.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.WriteString(t, it.body); err != nil {
			tb.Fatal(err)
		}
	}
	if err := t.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func saved(tb testing.TB, raw []byte) string {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "x.tar")
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		tb.Fatal(err)
	}
	return name
}

func open(t *testing.T, raw []byte) (*Archive, error) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	a, err := Open(t.Context(), Input{Name: "oci-archive:x.tar", Path: saved(t, raw)})
	if a != nil {
		t.Cleanup(func() { a.Close() })
	}
	return a, err
}

func read(t *testing.T, a *Archive, name string) string {
	t.Helper()
	f, err := a.Open(name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	raw, err := io.ReadAll(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(raw)
}

func zipped(tb testing.TB, raw []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(raw)
	z.Close()
	return b.Bytes()
}

func zstdded(tb testing.TB, raw []byte) []byte {
	tb.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return z.EncodeAll(raw, nil)
}

func TestFilesAreReadWhateverTheCompressionAndTheTemporaryFileGoesAway(t *testing.T) {
	raw := pack(t, item{name: "./a/one", body: "first"}, item{name: "b", kind: tar.TypeDir}, item{name: "two", body: strings.Repeat("2", 70000)})
	for what, packed := range map[string][]byte{"none": raw, "gzip": zipped(t, raw), "zstd": zstdded(t, raw)} {
		t.Run(what, func(t *testing.T) {
			a, err := open(t, packed)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, a, "a/one"); got != "first" {
				t.Errorf("%q", got)
			}
			if got := read(t, a, "two"); len(got) != 70000 {
				t.Errorf("%d bytes", len(got))
			}
			if got := a.Names(); !slices.Equal(got, []string{"a/one", "two"}) {
				t.Errorf("%q", got)
			}
			if _, err := a.Open("three"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v", err)
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			noTemporaryFile(t)
		})
	}
}

func noTemporaryFile(t *testing.T) {
	t.Helper()
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestAStreamIsReadToItsEnd(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	raw := pack(t, item{name: "a", body: "first"})
	for _, from := range [][]byte{raw, zstdded(t, raw)} {
		a, err := Open(t.Context(), Input{Name: "oci-archive:-", From: bytes.NewReader(from)})
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, a, "a"); got != "first" {
			t.Errorf("%q", got)
		}
		a.Close()
	}
	noTemporaryFile(t)
}

func TestLinksInsideAnArchiveAreFollowed(t *testing.T) {
	a, err := open(t, pack(t,
		item{name: "x/layer.tar", body: "bytes"},
		item{name: "y/layer.tar", link: "../x/layer.tar"},
		item{name: "z/layer.tar", link: "y/layer.tar", kind: tar.TypeLink}))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"x", "y", "z"} {
		if got := read(t, a, name+"/layer.tar"); got != "bytes" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// F-82: an archive from anywhere cannot lead out of itself, and says what is wrong with it.
func TestF82HostileArchivesAreRefused(t *testing.T) {
	good := item{name: "a", body: "first"}
	whole := pack(t, item{name: "a", body: strings.Repeat("a", 5000)})
	for what, c := range map[string]struct {
		raw  []byte
		kind fault.Kind
		says string
	}{
		"a name that leads out":     {pack(t, item{name: "../a"}), fault.Refused, `the name "../a" leads out of the archive`},
		"a name deep inside":        {pack(t, item{name: "x/../../a"}), fault.Refused, "leads out"},
		"an absolute name":          {pack(t, item{name: "/etc/passwd"}), fault.Refused, `the name "/etc/passwd" is not relative`},
		"a name of Windows":         {pack(t, item{name: `..\a`}), fault.Refused, "is not relative"},
		"a symbolic link out":       {pack(t, good, item{name: "x/b", link: "../../a"}), fault.Refused, `the link "x/b" to "../../a" leads out`},
		"an absolute symbolic link": {pack(t, item{name: "b", link: "/etc/passwd"}), fault.Refused, "leads out"},
		"a hard link out":           {pack(t, item{name: "x/b", link: "../a", kind: tar.TypeLink}), fault.Refused, "leads out"},
		"a link to itself":          {pack(t, item{name: "a", link: "b"}, item{name: "b", link: "a"}), fault.Refused, "or to itself"},
		"a device":                  {pack(t, item{name: "a", kind: tar.TypeChar}), fault.Refused, `"a" is a device or a pipe`},
		"a pipe":                    {pack(t, item{name: "a", kind: tar.TypeFifo}), fault.Refused, "is a device or a pipe"},
		"two files of one name":     {pack(t, good, item{name: "./a", body: "other"}), fault.Refused, `it has two files "./a" that differ`},
		"a file and a link":         {pack(t, good, item{name: "a", link: "b"}), fault.Refused, "it has two files"},
		"a link and a file":         {pack(t, item{name: "a", link: "b"}, good), fault.Refused, "it has two files"},
		"two links":                 {pack(t, item{name: "a", link: "b"}, item{name: "a", link: "c"}), fault.Refused, "it has two files"},
		"no archive":                {[]byte(strings.Repeat("no archive ", 100)), fault.Refused, "it is no tar archive"},
		"nothing":                   {nil, fault.Refused, "it is empty"},
		"xz":                        {[]byte("\xfd7zXZ\x00 and so on"), fault.Refused, "compressed by xz"},
		"a part of a file":          {whole[:3000], fault.Corrupt, "ends in the middle of a file"},
		"a part of a header":        {whole[:100], fault.Refused, "it is no tar archive"},
		"rubbish after a file":      {append(whole[:512+5120:512+5120], bytes.Repeat([]byte("x"), 512)...), fault.Corrupt, "no header after 1 entries"},
		"half of gzip":              {zipped(t, whole)[:40], fault.Corrupt, "ends too early"},
		"half of zstd":              {zstdded(t, whole)[:20], fault.Corrupt, "ends too early"},
		"damaged gzip":              {append([]byte("\x1f\x8b"), bytes.Repeat([]byte("x"), 100)...), fault.Corrupt, "compression"},
	} {
		t.Run(what, func(t *testing.T) {
			a, err := open(t, c.raw)
			if a != nil || !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "oci-archive:x.tar") {
				t.Errorf("%v", err)
			}
			noTemporaryFile(t)
		})
	}
}

func TestEqualFilesOfOneNameAreOne(t *testing.T) {
	a, err := open(t, pack(t, item{name: "a", body: strings.Repeat("x", 100<<10)}, item{name: "a", body: strings.Repeat("x", 100<<10)}))
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, a, "a"); len(got) != 100<<10 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestF82SparseFilesAreRefused(t *testing.T) {
	if _, err := exec.LookPath("tar"); err != nil {
		t.Skip("tar is not installed")
	}
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "hole"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(1<<30), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"gnu", "posix"} {
		out := filepath.Join(dir, format+".tar")
		if made, err := exec.Command("tar", "-C", dir, "--sparse", "--format="+format, "-cf", out, "hole").CombinedOutput(); err != nil {
			t.Skipf("%v: %s", err, made)
		}
		if _, err := Open(t.Context(), Input{Name: "x", Path: out}); !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "sparse file") {
			t.Errorf("%s: %v", format, err)
		}
	}
}

// F-82: what grows beyond all measure is given up before it fills the disk.
func TestF82ABombIsGivenUpEarly(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a gigabyte")
	}
	t.Setenv("TMPDIR", t.TempDir())
	zeros, to := io.Pipe()
	go func() {
		z, err := zstd.NewWriter(to)
		if err != nil {
			return
		}
		w := tar.NewWriter(z)
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 1 << 40})
		for part := make([]byte, 1<<20); err == nil; {
			_, err = w.Write(part)
		}
	}()
	_, err := Open(t.Context(), Input{Name: "x", From: zeros})
	zeros.Close()
	if !fault.Is(err, fault.TooLarge) || !strings.Contains(err.Error(), "grows more than 100 times") {
		t.Errorf("%v", err)
	}
	noTemporaryFile(t)
}

func TestWhatIsNoFileIsNoArchive(t *testing.T) {
	dir := t.TempDir()
	for path, kind := range map[string]fault.Kind{
		dir: fault.Invalid, filepath.Join(dir, "none"): fault.NotFound, os.DevNull: fault.Refused,
	} {
		if _, err := Open(t.Context(), Input{Name: "x", Path: path}); !fault.Is(err, kind) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestACanceledReadLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Open(ctx, Input{Name: "x", From: bytes.NewReader(pack(t, item{name: "a", body: "x"}))})
	if !fault.Is(err, fault.Canceled) {
		t.Errorf("%v", err)
	}
	noTemporaryFile(t)
}

func TestWhatIsWrittenIsReadAndTheSameEachTime(t *testing.T) {
	entries := []Entry{}
	for name, body := range map[string]string{"a/b": "first", "index.json": "{}"} {
		entries = append(entries, Entry{Name: name, Size: int64(len(body)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(body)), nil
		}})
	}
	for name, how := range map[string]Compression{"x.tar": None, "x.tar.gz": Gzip, "x.TGZ": Gzip, "x.tar.zst": Zstd, "x.zip": None} {
		if CompressionOf(name) != how {
			t.Errorf("%s: %q", name, CompressionOf(name))
		}
		var one, two bytes.Buffer
		for _, to := range []*bytes.Buffer{&one, &two} {
			if err := Write(t.Context(), to, how, slices.Values(entries)); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Errorf("%s differs", name)
		}
		a, err := open(t, one.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if read(t, a, "a/b") != "first" || read(t, a, "index.json") != "{}" {
			t.Errorf("%s: %q", name, a.Names())
		}
	}
}

func TestWritingEndsWithItsContextAndWithAnError(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	broken, stop := errors.New("broken"), errors.New("stop")
	entry := func(open func() (io.ReadCloser, error)) func(func(Entry) bool) {
		return slices.Values([]Entry{{Name: "a", Size: 5, Open: open}})
	}
	err := Write(ctx, io.Discard, None, entry(func() (io.ReadCloser, error) { return nil, broken }))
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	err = Write(ctx, io.Discard, None, entry(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("no")), nil }))
	if err == nil {
		t.Error("a file that is too short is no error")
	}
	err = Write(ctx, io.Discard, None, entry(func() (io.ReadCloser, error) { cancel(stop); return io.NopCloser(strings.NewReader("first")), nil }))
	if !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

// Whatever the bytes are, Open returns an archive whose files can be read, or a Fault, and leaves
// no file behind.
func FuzzOpen(f *testing.F) {
	f.Add(pack(f, item{name: "a", body: "first"}, item{name: "b", link: "a"}))
	f.Add(pack(f, item{name: "../a"}))
	f.Add(pack(f, item{name: "a", link: "a"}))
	f.Add(zipped(f, pack(f, item{name: "oci-layout", body: "{}"})))
	f.Add(zstdded(f, pack(f, item{name: "manifest.json", body: "[]"})))
	f.Add([]byte("BZh91AY&SY"))
	f.Add([]byte("\x5a\x2a\x4d\x18\x00\x00\x00\x00"))
	temp := f.TempDir()
	f.Setenv("TMPDIR", temp)
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := Open(t.Context(), Input{Name: "x", From: bytes.NewReader(raw)})
		if err != nil {
			if _, ok := errors.AsType[*fault.Fault](err); !ok {
				t.Fatalf("%v is no fault", err)
			}
			return
		}
		for _, name := range a.Names() {
			f, err := a.Open(name)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if n, err := io.Copy(io.Discard, f); err != nil || n != f.Size() {
				t.Fatalf("%s: %d of %d bytes, %v", name, n, f.Size(), err)
			}
			if strings.HasPrefix(name, "/") || name == ".." || strings.HasPrefix(name, "../") {
				t.Fatalf("the name %q leads out", name)
			}
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
