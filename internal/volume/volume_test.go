package volume

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// written writes a bundle of one image with one blob, after change.
func written(tb testing.TB, change func(*Contents)) []byte {
	tb.Helper()
	blob := []byte("a blob")
	manifest := []byte(`{"schemaVersion":2,"mediaType":"` + oci.TypeManifest + `","config":{"mediaType":"x","digest":"` +
		string(oci.Sum(blob)) + `","size":6},"layers":[]}`)
	c := Contents{
		Made:      time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC),
		Names:     []Name{{Repo: "app", Tag: "v1", Digest: oci.Sum(manifest), From: "reg.example/app"}},
		Documents: []Document{{Digest: oci.Sum(manifest), Size: int64(len(manifest)), MediaType: oci.TypeManifest}},
		Blobs:     []Blob{{Digest: oci.Sum(blob), Size: 6}},
	}
	if err := Divide(&c, 0); err != nil {
		tb.Fatal(err)
	}
	change(&c)
	a, err := Arrange(c)
	if err != nil {
		tb.Fatal(err)
	}
	content := map[oci.Digest][]byte{oci.Sum(blob): blob, oci.Sum(manifest): manifest}
	var out bytes.Buffer
	err = a.WriteTar(tb.Context(), 1, &out, func(_ context.Context, d oci.Descriptor) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content[d.Digest])), nil
	}, func(int64) {})
	if err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func opened(tb testing.TB, raw []byte) (*Set, error) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "a.tar")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		tb.Fatal(err)
	}
	s, err := Open(path)
	if err == nil {
		tb.Cleanup(s.Close)
	}
	return s, err
}

func TestTheSameContentsAreTheSameBytes(t *testing.T) {
	a, b := written(t, func(*Contents) {}), written(t, func(*Contents) {})
	if !bytes.Equal(a, b) {
		t.Error("two bundles of the same contents differ")
	}
	s, err := opened(t, a)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := s.Verify(t.Context(), func(int64) {}); err != nil || len(found) != 0 {
		t.Error(found, err)
	}
}

func TestContentsThatCannotBeThoseOfABundleAreRefused(t *testing.T) {
	for why, change := range map[string]func(*Contents){
		"a path that leads out": func(c *Contents) { c.Names[0].Repo = "../app" },
		"an absolute path":      func(c *Contents) { c.Names[0].Repo = "/app" },
		"a tag that is none":    func(c *Contents) { c.Names[0].Tag = "a/b" },
	} {
		if _, err := opened(t, written(t, change)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func TestAListWithFilesThatCannotBeInABundleIsRefused(t *testing.T) {
	d := oci.Sum([]byte("x"))
	for why, f := range map[string]File{
		"a path that leads out":     {"../../etc/passwd", 1, d},
		"another file":              {"etc/passwd", 1, d},
		"a blob under another name": {blobPath(oci.Sum([]byte("y"))), 1, d},
		"a negative size":           {blobPath(d), -1, d},
		"a digest that is none":     {"blobs/sha256/zz", 1, "sha256:zz"},
	} {
		raw, err := json.Marshal(List{Format: Format, Bundle: d, Volume: 1, Volumes: 1, Files: []File{f}})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		if err := w.WriteHeader(&tar.Header{Name: listPath(1, 1, raw), Size: int64(len(raw)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(raw); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := opened(t, out.Bytes()); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

// FuzzOpen checks that no file crashes the reader, and that a file which is whole is one that this package
// would write.
func FuzzOpen(f *testing.F) {
	f.Add(written(f, func(*Contents) {}))
	f.Add([]byte("dray/volume-"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := opened(t, raw)
		if err != nil {
			return
		}
		if _, err := s.Verify(t.Context(), func(int64) {}); err != nil {
			t.Skip(err)
		}
	})
}
