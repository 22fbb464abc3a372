package layout_test

import (
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	peer "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
)

// carry copies the document for reference and everything below it, children first.
func carry(t *testing.T, from, to *layout.Dir, reference string, tags ...string) oci.Document {
	t.Helper()
	doc, err := from.Document(t.Context(), reference)
	if err != nil {
		t.Fatalf("%s: %v", reference, err)
	}
	for _, child := range doc.Documents {
		if got := carry(t, from, to, string(child.Digest)); got.MediaType != child.MediaType || got.Size != child.Size {
			t.Errorf("%s: %s of %d bytes; its index says %s of %d", child.Digest, got.MediaType, got.Size, child.MediaType, child.Size)
		}
	}
	for _, b := range doc.Blobs {
		open := func(ctx context.Context, at int64) (io.ReadCloser, error) {
			body, _, err := from.Blob(ctx, b, at, -1)
			return body, err
		}
		if _, err := to.Put(t.Context(), b, nil, open); err != nil {
			t.Fatalf("%s: %s: %v", reference, b.Digest, err)
		}
	}
	putDocument(t, to, doc, tags...)
	return doc
}

func tagsOf(t *testing.T, d *layout.Dir) []string {
	t.Helper()
	var tags []string
	if err := d.List(t.Context(), func(l oci.Listed) error { tags = append(tags, l.Tag); return nil }); err != nil {
		t.Fatal(err)
	}
	return tags
}

// output runs go or a Debian tool and returns its output.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// testrepo opens a layout that regclient made. It has nested indexes, artifacts, referrers and
// fallback tags.
func testrepo(t *testing.T) *layout.Dir {
	t.Helper()
	module := output(t, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/regclient/regclient")
	return open(t, filepath.Join(module, "testdata", "testrepo"), layout.Read)
}

func TestEveryTagOfRegclientsLayoutIsCarriedOver(t *testing.T) {
	from := testrepo(t)
	path := t.TempDir()
	to := open(t, path, layout.Write)
	tags := tagsOf(t, from)
	if len(tags) < 10 {
		t.Fatalf("only %d tags: %q", len(tags), tags)
	}
	for _, tag := range tags {
		doc := carry(t, from, to, tag, tag)
		if got, err := to.Resolve(t.Context(), tag); err != nil || got.Digest != doc.Digest || got.MediaType != doc.MediaType {
			t.Errorf("%s: %v, %v", tag, got, err)
		}
	}
	if got := tagsOf(t, to); !slices.Equal(got, tags) {
		t.Errorf("tags %q; want %q", got, tags)
	}
	wantEntries(t, path, len(tags))
}

func TestReferrersOfRegclientsLayoutAreFound(t *testing.T) {
	d := testrepo(t)
	subject, err := d.Resolve(t.Context(), "v2")
	if err != nil {
		t.Fatal(err)
	}
	list, err := d.Referrers(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"a1", "a2"} {
		doc, err := d.Document(t.Context(), tag)
		if err != nil {
			t.Fatal(err)
		}
		listed := slices.ContainsFunc(list, func(r oci.Descriptor) bool { return r.Digest == doc.Digest && r.ArtifactType != "" })
		if should := doc.Subject != nil && doc.Subject.Digest == subject.Digest; should != listed {
			t.Errorf("%s (subject %v): listed %v among %v", tag, doc.Subject, listed, list)
		}
	}
	if len(list) == 0 {
		t.Error("no referrers at all")
	}
}

func TestLayoutsOfGoContainerregistryAndOursAreEachOthers(t *testing.T) {
	theirs := t.TempDir()
	multi, err := random.Index(2000, 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	p, err := peer.Write(theirs, multi) // an index.json of four images without names
	if err != nil {
		t.Fatal(err)
	}
	name := map[string]string{"org.opencontainers.image.ref.name": "multi"}
	if err := p.AppendIndex(multi, peer.WithAnnotations(name)); err != nil {
		t.Fatal(err)
	}
	ours := t.TempDir()
	to := open(t, ours, layout.Write)
	doc := carry(t, open(t, theirs, layout.Read), to, "multi", "multi", "again")
	if want, _ := multi.Digest(); string(doc.Digest) != want.String() {
		t.Errorf("read as %s; want %s", doc.Digest, want)
	}
	back, err := peer.ImageIndexFromPath(ours)
	if err != nil {
		t.Fatal(err)
	}
	m, err := back.IndexManifest()
	if err != nil || len(m.Manifests) != 2 {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, e := range m.Manifests {
		got, err := back.ImageIndex(e.Digest)
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, got)
		if e.Digest.String() != string(doc.Digest) {
			t.Errorf("entry %s; want %s", e.Digest, doc.Digest)
		}
	}
}

// readAll reads every blob of every image of x with go-containerregistry and checks the digests.
func readAll(t *testing.T, x v1.ImageIndex) {
	t.Helper()
	m, err := x.IndexManifest()
	if err != nil || len(m.Manifests) != 4 {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, e := range m.Manifests {
		image, err := x.Image(e.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := image.ConfigFile(); err != nil {
			t.Errorf("%s: %v", e.Digest, err)
		}
		layers, err := image.Layers()
		if err != nil || len(layers) != 3 {
			t.Fatalf("%d layers, %v", len(layers), err)
		}
		for _, l := range layers {
			body, err := l.Compressed()
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := v1.SHA256(body)
			body.Close()
			if want, _ := l.Digest(); err != nil || got != want {
				t.Errorf("layer %s reads as %s, %v", want, got, err)
			}
		}
	}
}

func TestSkopeoReadsOursAndWeReadSkopeos(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("skopeo, a Debian package, is not installed")
	}
	ours, theirs := t.TempDir(), filepath.Join(t.TempDir(), "theirs")
	from, to := testrepo(t), open(t, ours, layout.Write)
	for _, tag := range []string{"v1", "v2"} {
		doc := carry(t, from, to, tag, tag)
		output(t, "skopeo", "--insecure-policy", "copy", "--all", "--preserve-digests", "oci:"+ours+":"+tag, "oci:"+theirs+":"+tag)
		d := open(t, theirs, layout.Read)
		if got := carry(t, d, open(t, t.TempDir(), layout.Write), tag); got.Digest != doc.Digest {
			t.Errorf("%s: skopeo wrote %s for %s", tag, got.Digest, doc.Digest)
		}
	}
	d := open(t, theirs, layout.Write)
	doc := carry(t, from, d, "v3", "v1")
	if got := oci.Sum([]byte(output(t, "skopeo", "inspect", "--raw", "oci:"+theirs+":v1"))); got != doc.Digest {
		t.Errorf("skopeo reads %s; want %s", got, doc.Digest)
	}
	if got := tagsOf(t, d); !slices.Equal(got, []string{"v1", "v2"}) {
		t.Errorf("tags %q", got)
	}
}
