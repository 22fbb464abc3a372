package bundle_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// of returns a request to make a bundle of some platforms of src.
func of(t *testing.T, to, platforms string, form plan.Form) dray.BundleRequest {
	t.Helper()
	only, err := oci.ParsePlatforms(platforms)
	if err != nil {
		t.Fatal(err)
	}
	return dray.BundleRequest{To: to, Transfer: dray.TransferRequest{
		Sources: []string{"src"}, Platforms: plan.Platforms{Only: only, Form: form},
	}}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestABundleOfSomePlatformsIsMadeAgainAsItWas(t *testing.T) {
	for _, form := range []plan.Form{plan.Trimmed, plan.Sparse} {
		w := newWorld(t)
		yard.Attested(t, w.Src, "web", "1.0", 3)
		image := testbed.Index(t, w.Src, "app", "v1", 3)
		testbed.Artifact(t, w.Src, "app", "", image.Children[0])
		testbed.Random(t, w.Src, "single", "v1", testbed.RandomOptions{Seed: 1})
		w.must(w.create(of(t, w.path("a.tar"), "linux/amd64", form)))
		want := read(t, w.path("a.tar"))
		testbed.Random(t, w.Src, "app", "v1", testbed.RandomOptions{Seed: 99}) // the tag moves on

		parts := partsOf(t, w.path("a.tar"))
		for _, p := range parts[4:] { // each manifest and each blob; the trimmed indexes are among them
			bad := slices.Clone(want)
			bad[p.at] ^= 1
			w.write("a.tar", bad)
			w.must(w.create(dray.BundleRequest{To: w.path("a.tar"), Only: []int{1}}))
			if !bytes.Equal(read(t, w.path("a.tar")), want) {
				t.Errorf("%q: %s is not as it was", form, p.name)
			}
		}
		w.must(w.load(w.path("a.tar")))
	}
}

func TestADirectoryIsMadeAgainWhereItIsDamaged(t *testing.T) {
	w := newWorld(t)
	image := testbed.Random(t, w.Src, "app", "v1", testbed.RandomOptions{Layers: 3, Size: 5000, Seed: 1})
	testbed.Index(t, w.Src, "web", "1.0", 3)
	req := of(t, w.path("dir")+"/", "linux/amd64", plan.Trimmed)
	w.must(w.create(req))
	tree := func() map[string]string {
		all := map[string]string{}
		err := filepath.WalkDir(w.path("dir"), func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				all[path] = string(read(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	want := tree()
	file := func(d oci.Digest) string { return w.path("dir/blobs/sha256/" + d.Encoded()) }
	yard.Spoil(t, file(image.Layers[0].Digest))
	yard.Remove(t, file(image.Layers[1].Digest))
	yard.Remove(t, file(image.Root.Digest))
	yard.Spoil(t, w.path("dir/index.json"))
	found, err := w.VerifyBundle(t.Context(), []string{w.path("dir")}, nil)
	if len(found.Damages) != 4 || !strings.Contains(fault.HintOf(err), "dray bundle create --only 1 -o dir/") {
		t.Errorf("%+v %v", found.Damages, fault.HintOf(err))
	}
	w.Forget()
	_, sum := w.must(w.create(dray.BundleRequest{To: w.path("dir"), Only: []int{1}})) // also without a slash
	if _, out := w.Src.Sent("GET", testbed.Blob); out != image.Layers[0].Size+image.Layers[1].Size {
		t.Errorf("read %d bytes of blobs", out)
	}
	if got := tree(); len(got) != len(want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
	for path, text := range tree() {
		if want[path] != text {
			t.Error("not as it was:", path)
		}
	}
	if sum.Bundle.Volumes[0].File != w.path("dir") {
		t.Error(sum.Bundle.Volumes)
	}
	if _, err := os.Stat(w.path("dir.partial")); !os.IsNotExist(err) {
		t.Error("the stage is left:", err)
	}

	// Nothing is read for a directory that is whole.
	w.Forget()
	w.must(w.create(dray.BundleRequest{To: w.path("dir/"), Only: []int{1}}))
	if w.Src.Requests() != 0 {
		t.Error(yard.Spent(w.Src))
	}
}

func TestVolumesInOneDirectoryAreMadeAgain(t *testing.T) {
	w := newWorld(t)
	files := w.split("a.tar")
	out := t.TempDir()
	for _, file := range files {
		raw := read(t, file)
		for _, p := range partsOf(t, file) {
			path := filepath.Join(out, p.name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			yard.Write(t, path, raw[p.at:p.at+p.size])
		}
	}
	found, err := w.VerifyBundle(t.Context(), []string{out}, nil)
	if err != nil || len(found.Volumes) != len(files) {
		t.Fatal(found, err)
	}
	if err := os.RemoveAll(out + "/blobs"); err != nil {
		t.Fatal(err)
	}
	for n := range files {
		w.must(w.create(dray.BundleRequest{To: out, Only: []int{n + 1}}))
	}
	w.must(w.load(out))
	testbed.Same(t, w.Src, w.Dst, "app3", "v1", "app3", "v1")
}
