package ends_test

import (
	"archive/tar"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/ref"
)

// carried copies an image from an archive into a registry and from there into another archive, and compares all of them.
func carried(y *yard.Yard, source, want string) {
	y.T.Helper()
	there := "dst/carried:v1"
	back := at(y.T, ref.Archive, "back.tar").String() + ":v1"
	for _, c := range [][2]string{{source, there}, {there, back}} {
		rep := y.Must(y.Copy(dray.CopyRequest{Source: c[0], Targets: []string{c[1]}}))
		if len(rep.Steps) != 1 || string(rep.Steps[0].Digest()) != want {
			y.T.Errorf("%s is %+v, want %s", c[1], rep.Steps, want)
		}
		y.Verifies("", dray.VerifyRequest{Of: dray.TransferRequest{Sources: []string{c[0]}, Target: c[1]}, Depth: dray.Deep})
	}
}

// run runs a program of the system, and skips the test without it.
func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skip("SKIPPED: " + program + " (Debian package) is not installed")
	}
	if said, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, said)
	}
}

// rootOf returns the digest of the first entry of the index of a layout.
func rootOf(t *testing.T, dir string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var x v1.Index
	if err := json.Unmarshal(raw, &x); err != nil || len(x.Manifests) == 0 {
		t.Fatalf("%s %v", raw, err)
	}
	return x.Manifests[0].Digest.String()
}

func TestAnArchiveOfSkopeoGoesIntoARegistryAndBack(t *testing.T) {
	y := yard.New(t)
	m := testbed.Index(t, y.Src, "team/app", "v1", 3)
	file := filepath.Join(t.TempDir(), "x.tar")
	run(t, "skopeo", "copy", "--all", "--insecure-policy", "--src-tls-verify=false", "--preserve-digests",
		"docker://"+y.Src.Host+"/team/app:v1", "oci-archive:"+file+":docker.io/team/app:v1")
	carried(y, "oci-archive:"+file+":docker.io/team/app:v1", m.Digest())
	carried(y, "oci-archive:"+file, m.Digest())
}

func TestALayoutOfUmociThatTarPackedGoesIntoARegistryAndBack(t *testing.T) {
	y := yard.New(t)
	dir := filepath.Join(t.TempDir(), "layout")
	file := filepath.Join(t.TempDir(), "x.tar.gz")
	run(t, "umoci", "init", "--layout", dir)
	run(t, "umoci", "new", "--image", dir+":v1")
	run(t, "umoci", "insert", "--rootless", "--image", dir+":v1", ".", "/data")
	run(t, "umoci", "config", "--image", dir+":v1", "--config.user", "nobody")
	run(t, "tar", "-C", dir, "-czf", file, ".")
	carried(y, "oci-archive:"+file, rootOf(t, dir))
}

// buildkit packs a layout as the exporter type=oci of BuildKit does: with entries for directories, the blobs before the
// index, and a whole name beside the tag.
func buildkit(t *testing.T, dir, file string) {
	t.Helper()
	index := filepath.Join(dir, "index.json")
	raw, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	var x v1.Index
	if err := json.Unmarshal(raw, &x); err != nil || len(x.Manifests) != 1 {
		t.Fatalf("%s %v", raw, err)
	}
	x.Manifests[0].Annotations = map[string]string{"io.containerd.image.name": "docker.io/team/app:v1",
		v1.AnnotationCreated: "2026-01-02T03:04:05Z", v1.AnnotationRefName: "v1"}
	if raw, err = json.Marshal(x); err == nil {
		err = os.WriteFile(index, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	if err := w.AddFS(withoutHidden{os.DirFS(dir)}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// withoutHidden leaves out what dray keeps in a layout for itself.
type withoutHidden struct{ fs.FS }

func (w withoutHidden) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(w.FS, name)
	var shown []fs.DirEntry
	for _, e := range all {
		if !strings.HasPrefix(e.Name(), ".") {
			shown = append(shown, e)
		}
	}
	return shown, err
}

func TestWhatBuildKitExportsGoesIntoARegistryAndBackWithItsAttestations(t *testing.T) {
	y := yard.New(t)
	m := yard.Attested(t, y.Src, "team/app", "v1", 2)
	dir, file := filepath.Join(t.TempDir(), "layout"), filepath.Join(t.TempDir(), "x.tar")
	y.Must(y.Copy(dray.CopyRequest{Source: "src/team/app:v1", Targets: []string{"oci:" + dir + ":v1"}}))
	buildkit(t, dir, file)
	carried(y, "oci-archive:"+file+":v1", m.Digest())
	carried(y, "oci-archive:"+file+":docker.io/team/app:v1", m.Digest())
	for _, c := range m.Children {
		if _, err := y.Digest(t.Context(), dray.LookRequest{Name: "dst/carried@" + c.Digest.String()}, nil); err != nil {
			t.Errorf("%s: %v", c.Digest, err)
		}
	}
}

func TestAnArchiveOfCraneKeepsItsConfigAndItsLayers(t *testing.T) {
	y := yard.New(t)
	theirs, err := random.Image(5000, 3)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("a.example/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	file, back := filepath.Join(t.TempDir(), "x.tar"), filepath.Join(t.TempDir(), "back.tar")
	if err := tarball.WriteToFile(file, tag, theirs); err != nil {
		t.Fatal(err)
	}
	y.Must(y.Copy(dray.CopyRequest{Source: "docker-archive:" + file, Targets: []string{"dst/team/app"}}))
	y.Must(y.Copy(dray.CopyRequest{Source: "dst/team/app:v1", Targets: []string{"docker-archive:" + back + ":a.example/team/app"}}))
	ours, err := tarball.ImageFromPath(back, &tag)
	if err != nil {
		t.Fatal(err)
	}
	want, err1 := theirs.ConfigName()
	got, err2 := ours.ConfigName()
	if err1 != nil || err2 != nil || got != want {
		t.Errorf("the config is %s, want %s (%v %v)", got, want, err1, err2)
	}
	layers, err := theirs.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		d, err := l.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if there, err := ours.LayerByDigest(d); err != nil {
			t.Errorf("layer %s: %v, %v", d, there, err)
		}
	}
}
