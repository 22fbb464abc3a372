//go:build !windows

package layout_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
)

// F-82: whatever is in the place of a file, it is refused. Nothing outside the layout
// is read or created, and nothing blocks.
func TestFilesThatAreNoneAreRefused(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, "secret", "secret")
	b, doc := describe("secret"), artifact(t, "x")
	for why, place := range map[string]func(path string) error{
		"a link out, absolute":          func(path string) error { return os.Symlink(filepath.Join(outside, "secret"), path) },
		"a link out, by ..":             func(path string) error { return os.Symlink("../../../../../../../../../etc/hostname", path) },
		"a link to itself":              func(path string) error { return os.Symlink(filepath.Base(path), path) },
		"a pipe":                        func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"a directory":                   func(path string) error { return os.Mkdir(path, 0o755) },
		"a link to a device":            func(path string) error { return os.Symlink("/dev/zero", path) },
		"a link to a socket":            func(path string) error { return os.Symlink("/dev/log", path) },
		"a link out, to a missing file": func(path string) error { return os.Symlink(filepath.Join(outside, "made"), path) },
	} {
		t.Run(why, func(t *testing.T) {
			path := t.TempDir()
			d := open(t, path, layout.Write)
			put(t, d, "{}")
			putDocument(t, d, doc, "v1")
			for _, dgst := range []oci.Digest{b.Digest, doc.Digest} {
				name := filepath.Join(path, "blobs", "sha256", dgst.Encoded())
				os.Remove(name)
				if err := place(name); err != nil {
					t.Fatal(err)
				}
			}
			_, _, err := d.Blob(t.Context(), b, 0, -1)
			refused(t, "blob", err)
			_, err = d.Missing(t.Context(), []oci.Descriptor{b})
			refused(t, "missing", err)
			_, err = d.Put(t.Context(), b, nil, serve("secret"))
			refused(t, "put", err)
			_, err = d.Document(t.Context(), "v1")
			refused(t, "document", err)
			_, err = d.Resolve(t.Context(), string(doc.Digest))
			refused(t, "resolve", err)
			for _, name := range []string{".dray.lock", "index.json", "oci-layout"} {
				name = filepath.Join(path, name)
				if err := os.Rename(name, name+".away"); err != nil {
					t.Fatal(err)
				}
				if err := place(name); err != nil {
					t.Fatal(err)
				}
				_, err := layout.Open(at(path), layout.Write)
				refused(t, name, err)
				os.Remove(name)
				if err := os.Rename(name+".away", name); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := os.Stat(filepath.Join(outside, "made")); err == nil {
				t.Error("a file was created outside the layout")
			}
		})
	}
}

func refused(t *testing.T, what string, err error) {
	t.Helper()
	if !fault.Is(err, fault.Refused) {
		t.Errorf("%s: %v; want it refused", what, err)
	}
}

func TestADirectoryOfBlobsThatLeadsOutIsRefused(t *testing.T) {
	path, outside := t.TempDir(), t.TempDir()
	open(t, path, layout.Write)
	blobs := filepath.Join(path, "blobs", "sha256")
	if err := os.Remove(blobs); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, blobs); err != nil {
		t.Fatal(err)
	}
	if d, err := layout.Open(at(path), layout.Write); err == nil {
		_, err = d.Put(t.Context(), describe("x"), nil, serve("x"))
		refused(t, "put", err)
		d.Close()
	}
	wantFiles(t, outside)
	wantFiles(t, path, ".dray.lock", "blobs", "index.json", "oci-layout")
}

func TestALinkInsideTheLayoutIsFollowed(t *testing.T) {
	path := t.TempDir()
	d := open(t, path, layout.Write)
	write(t, path, "elsewhere", "bytes")
	if err := os.Symlink("../../elsewhere", filepath.Join(path, "blobs", "sha256", describe("bytes").Digest.Encoded())); err != nil {
		t.Fatal(err)
	}
	if got := read(t, d, describe("bytes")); got != "bytes" {
		t.Errorf("%q", got)
	}
}

// fillUp puts a blob that exceeds the file size limit, as on a full disk, then a small one.
func fillUp(d *layout.Dir) error {
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}); err != nil {
		return err
	}
	big := strings.Repeat("big", 1<<20)
	_, err := d.Put(context.Background(), describe(big), nil, serve(big))
	if !fault.Is(err, fault.Full) || fault.HintOf(err) == "" {
		return fmt.Errorf("a blob that does not fit: %w; want kind full and a hint", err)
	}
	_, err = d.Put(context.Background(), describe("small"), nil, serve("small"))
	return err
}

// F-80: disk full. The limit on file size applies to a whole process, so the test starts a process.
func TestABlobThatDoesNotFitLeavesNothingBehind(t *testing.T) {
	const variable = "DRAY_LAYOUT_TEST_FULL"
	if path := os.Getenv(variable); path != "" {
		if err := fillUp(open(t, path, layout.Write)); err != nil {
			t.Fatal(err)
		}
		return
	}
	path := t.TempDir()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	c.Env = append(os.Environ(), variable+"="+path)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	wantFiles(t, path, ".dray.lock", "blobs", "index.json", "oci-layout")
	wantFiles(t, filepath.Join(path, "blobs", "sha256"), describe("small").Digest.Encoded())
}
