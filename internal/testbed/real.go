package testbed

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	// This import keeps the module in go.mod. RegclientRepo copies its test repository.
	_ "github.com/regclient/regclient/types/mediatype"
)

// HelloWorld stores docker.io/library/hello-world for linux/arm64 as Docker v25 saved it: its
// original manifest, config and uncompressed layer. The archive comes from go-containerregistry's
// module.
func HelloWorld(tb testing.TB, r *Registry, repo, tag string) Image {
	tb.Helper()
	m := builder{tb: tb, r: r, Image: Image{Repo: repo, Tag: tag}}
	module := moduleDir(tb, "github.com/google/go-containerregistry")
	name := filepath.Join(module, "pkg/v1/tarball/testdata/hello-world-v25.tar")
	blobs := tarBlobs(tb, name)
	for _, d := range slices.Sorted(maps.Keys(blobs)) {
		var doc v1.Manifest
		if json.Unmarshal(blobs[d], &doc) != nil || doc.MediaType != v1.MediaTypeImageManifest {
			continue
		}
		for _, part := range append([]v1.Descriptor{doc.Config}, doc.Layers...) {
			m.blob(part.MediaType, blobs[part.Digest.Encoded()])
		}
		m.Root = r.Manifest(tb, repo, tag, doc.MediaType, blobs[d])
		m.Children = append(m.Children, m.Root)
		return m.done()
	}
	tb.Fatalf("no manifest in %s", filepath.Base(name))
	return Image{}
}

// tarBlobs returns the files of an archive by their base name.
func tarBlobs(tb testing.TB, name string) map[string][]byte {
	tb.Helper()
	f, err := os.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	all := map[string][]byte{}
	for t := tar.NewReader(f); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			tb.Fatal(err)
		}
		b, err := io.ReadAll(t)
		if err != nil {
			tb.Fatal(err)
		}
		all[path.Base(h.Name)] = b
	}
}

// RegclientRepo returns a writable copy of regclient's testrepo. It is an OCI image layout with
// indexes (v1 v2 v3, b1 b2 b3), images (a1 a2 a3, child, mirror), artifacts, fallback tags of
// referrers, digest tags and a loop of referrers (tag loop).
func RegclientRepo(tb testing.TB) string {
	tb.Helper()
	from := filepath.Join(moduleDir(tb, "github.com/regclient/regclient"), "testdata/testrepo")
	to := filepath.Join(tb.TempDir(), "testrepo")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		tb.Fatal(err)
	}
	err := filepath.WalkDir(to, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(name, 0o755)
		}
		return os.Chmod(name, 0o644)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return to
}

// Layout stores the content of an OCI image layout with its tags and returns the roots by tag.
// Documents are stored with everything below them. Content that the layout lacks is left out, so a
// sparse layout requires Distribution with Content Open.
func Layout(tb testing.TB, r *Registry, repo, dir string) map[string]v1.Descriptor {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var list v1.Index
	if err := json.Unmarshal(raw, &list); err != nil {
		tb.Fatal(err)
	}
	l := loader{tb: tb, r: r, repo: repo, dir: dir, seen: map[digest.Digest]bool{}}
	tags := map[string]v1.Descriptor{}
	for _, d := range list.Manifests {
		l.document(d)
		if tag := d.Annotations[v1.AnnotationRefName]; tag != "" {
			r.Manifest(tb, repo, tag, d.MediaType, l.read(d))
			tags[tag] = v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
		}
	}
	return tags
}

type loader struct {
	tb   testing.TB
	r    *Registry
	repo string
	dir  string
	seen map[digest.Digest]bool
}

// read returns a blob of the layout, or nil if it does not exist.
func (l *loader) read(d v1.Descriptor) []byte {
	l.tb.Helper()
	raw, err := os.ReadFile(filepath.Join(l.dir, "blobs", d.Digest.Algorithm().String(), d.Digest.Encoded()))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		l.tb.Fatal(err)
	}
	return raw
}

func (l *loader) document(d v1.Descriptor) {
	l.tb.Helper()
	raw := l.read(d)
	if l.seen[d.Digest] || raw == nil {
		return
	}
	l.seen[d.Digest] = true
	doc, err := ReadDocument(raw)
	if err != nil {
		l.tb.Fatal(err)
	}
	for _, child := range doc.Manifests {
		l.document(child)
	}
	for _, blob := range doc.Blobs() {
		if data := l.read(blob); data != nil && !l.seen[blob.Digest] {
			l.seen[blob.Digest] = true
			l.r.Blob(l.tb, l.repo, blob.MediaType, data)
		}
	}
	l.r.Manifest(l.tb, l.repo, "", d.MediaType, raw)
}

// Busybox stores a real index of linux/amd64 and linux/arm64 with Debian's busybox-static, which
// can be unpacked and run. mmdebstrap builds the root file systems in some seconds and requires a
// Debian mirror. The result is kept in the user's cache directory. If it is not there yet, and
// mmdebstrap or the mirror is missing, the test is skipped.
func Busybox(tb testing.TB, r *Registry, repo, tag string) Image {
	tb.Helper()
	m := builder{tb: tb, r: r, Image: Image{Repo: repo, Tag: tag}}
	var children []v1.Descriptor
	for _, arch := range []string{"amd64", "arm64"} {
		root := rootfs(tb, arch)
		p := v1.Platform{OS: "linux", Architecture: arch}
		config := v1.Image{
			Platform: p,
			Config:   v1.ImageConfig{Cmd: []string{"/bin/busybox", "sh"}, Env: []string{"PATH=/bin:/usr/bin"}},
			RootFS:   v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(root)}},
		}
		d := m.document("", v1.MediaTypeImageManifest, v1.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2},
			MediaType: v1.MediaTypeImageManifest,
			Config:    m.blob(v1.MediaTypeImageConfig, encode(tb, config)),
			Layers:    []v1.Descriptor{m.blob(v1.MediaTypeImageLayerGzip, compress(tb, root))},
		})
		d.Platform = &p
		children = append(children, d)
	}
	m.Root = m.index(tag, children)
	return m.done()
}

func compress(tb testing.TB, b []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// rootfs returns a tar archive with busybox-static only.
func rootfs(tb testing.TB, arch string) []byte {
	tb.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = tb.TempDir()
	}
	cache = filepath.Join(cache, "dray-testbed")
	name := filepath.Join(cache, "busybox-bookworm-"+arch+".tar")
	if b, err := os.ReadFile(name); err == nil {
		return b
	}
	requireProgram(tb, "mmdebstrap")
	mode := "--mode=unshare"
	if os.Getuid() == 0 {
		mode = "--mode=root"
	}
	fresh := filepath.Join(tb.TempDir(), arch+".tar")
	cmd := exec.CommandContext(tb.Context(), "mmdebstrap", "--quiet", mode, "--variant=extract",
		"--include=busybox-static", "--architectures="+arch, "bookworm", fresh)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Skipf("mmdebstrap cannot build busybox for %s (no Debian mirror?): %v\n%s", arch, err, out)
	}
	b, err := os.ReadFile(fresh)
	if err != nil {
		tb.Fatal(err)
	}
	keep(tb, cache, name, b)
	return b
}

// keep writes a file completely or not at all, since other test binaries may look for it at the
// same time.
func keep(tb testing.TB, dir, name string, b []byte) {
	tb.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	f, err := os.CreateTemp(dir, "new-*")
	if err != nil {
		tb.Fatal(err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// moduleDir returns the directory in which the Go command keeps a module that this one requires.
func moduleDir(tb testing.TB, module string) string {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		tb.Fatalf("go list -m %s: %v", module, err)
	}
	return dir
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
