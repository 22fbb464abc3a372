package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/packaging/parts"
	"github.com/drayage/dray/ref"
)

// The test builds the release image for this machine twice and reads it again.
func TestTheReleaseImageRunsWithoutRootAndIsTheSameEachTime(t *testing.T) {
	if testing.Short() || yard.Small() {
		t.Skip("builds dray: make check runs it without the race detector")
	}
	host := v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	judge, err := parts.NewJudge()
	if err != nil {
		t.Fatal(err)
	}
	first, at := build(t, builder{bin: compiled(t, host), judge: judge})
	second, again := build(t, builder{bin: compiled(t, host), judge: judge})
	if a, b := index(t, at), index(t, again); a != b {
		t.Errorf("a second build gave the index %s, the first gave %s", b, a)
	}
	if first.Digest != second.Digest {
		t.Errorf("a second build of the same sources gave %s, the first gave %s", second.Digest, first.Digest)
	}
	checkImages(t, first, at, []v1.Platform{host})
}

// The other platform has all packages compiled once more, which takes as long as many other tests together.
func TestTheReleaseImageHasBothPlatforms(t *testing.T) {
	if os.Getenv("DRAY_WHOLE") == "" {
		t.Skip("builds dray for two platforms: make cross runs it")
	}
	image, at := build(t, builder{})
	checkImages(t, image, at, platforms)
}

func compiled(t *testing.T, p v1.Platform) (bin string) {
	t.Helper()
	bin = t.TempDir()
	if err := compile(t.Context(), p, "", bin); err != nil {
		t.Fatal(err)
	}
	return bin
}

// checkImages reads the images of an index, which must be those for want.
func checkImages(t *testing.T, index oci.Document, at *layout.Dir, want []v1.Platform) {
	t.Helper()
	if len(index.Documents) != len(want) {
		t.Fatalf("%d platforms", len(index.Documents))
	}
	machines := map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}
	for i, child := range index.Documents {
		platform := oci.PlatformString(child.Platform)
		if wanted := oci.PlatformString(&want[i]); platform != wanted {
			t.Errorf("%s instead of %s", platform, wanted)
		}
		var m v1.Manifest
		decode(t, document(t, at, child).Raw, &m)
		var config v1.Image
		decode(t, blob(t, at, m.Config), &config)
		if config.Config.User != user || config.OS+"/"+config.Architecture != platform || config.Config.Entrypoint[0] != entrypoint {
			t.Errorf("%s: config %+v", platform, config)
		}
		files := map[string][]byte{}
		for i, l := range m.Layers {
			raw := unzip(t, blob(t, at, l))
			if oci.Sum(raw) != config.RootFS.DiffIDs[i] {
				t.Errorf("%s: layer %d differs from the digest in the config", platform, i)
			}
			untar(t, raw, files)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(files[certsPath]) {
			t.Errorf("%s: no certificates", platform)
		}
		for _, name := range programs {
			checkBinary(t, files[binDir+name], machines[platform])
		}
		checkParts(t, at, child, files)
	}
}

// checkParts checks the licenses in an image, and reads its bill of materials, which must name what the programs say
// that they were built from.
func checkParts(t *testing.T, at *layout.Dir, image oci.Descriptor, files map[string][]byte) {
	t.Helper()
	if !bytes.Contains(files[docDir+"LICENSE"], []byte("Apache License")) {
		t.Error("the image does not have dray's license")
	}
	referrers, err := at.Referrers(t.Context(), image)
	if err != nil || len(referrers) != 1 || referrers[0].ArtifactType != parts.MediaType {
		t.Fatalf("referrers %+v, %v", referrers, err)
	}
	var m v1.Manifest
	decode(t, document(t, at, referrers[0]).Raw, &m)
	var bom cdx.BOM
	decode(t, blob(t, at, m.Layers[0]), &bom)
	billed := map[string]bool{}
	for _, c := range *bom.Components {
		billed[c.Name+"@"+c.Version] = true
	}
	for _, name := range programs {
		info, err := buildinfo.Read(bytes.NewReader(files[binDir+name]))
		if err != nil {
			t.Fatal(err)
		}
		for _, dep := range info.Deps {
			if !billed[dep.Path+"@"+dep.Version] {
				t.Errorf("%s has %s %s, which the bill does not name", name, dep.Path, dep.Version)
			}
			if !bytes.Contains(files[docDir+"THIRD-PARTY-LICENSES"], []byte(dep.Path+" "+dep.Version)) {
				t.Errorf("%s has %s %s, whose license is not in the image", name, dep.Path, dep.Version)
			}
		}
	}
}

func TestProgramsThatAreBuiltAreTakenAsTheyAre(t *testing.T) {
	bin := t.TempDir()
	for _, name := range programs {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("this is "+name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root, at := build(t, builder{bin: bin})
	if len(root.Documents) != 1 || root.Documents[0].Platform.Architecture != runtime.GOARCH {
		t.Fatalf("platforms %+v", root.Documents)
	}
	var m v1.Manifest
	decode(t, document(t, at, root.Documents[0]).Raw, &m)
	files := map[string][]byte{}
	for _, l := range m.Layers {
		untar(t, unzip(t, blob(t, at, l)), files)
	}
	for _, name := range programs {
		if string(files[binDir+name]) != "this is "+name {
			t.Errorf("%s: %q", name, files[binDir+name])
		}
	}
}

// build builds the image with b.
func build(t *testing.T, b builder) (oci.Document, *layout.Dir) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	b.dir, b.tag, b.revision, b.created = dir, "latest", "abc", time.Unix(1_700_000_000, 0).UTC()
	root, err := b.build(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	at, err := layout.Open(ref.Repo{Host: ref.Layout, Dir: dir}, layout.Read)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { at.Close() })
	return root, at
}

// index returns the index.json of a layout, which has the digests of all images and referrers.
func index(t *testing.T, at *layout.Dir) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(at.Repo().Dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func document(t *testing.T, at *layout.Dir, d oci.Descriptor) oci.Document {
	t.Helper()
	doc, err := at.Document(t.Context(), string(d.Digest))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func blob(t *testing.T, at *layout.Dir, d v1.Descriptor) []byte {
	t.Helper()
	body, _, err := at.Blob(t.Context(), d, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	raw, err := io.ReadAll(body)
	if err != nil || oci.Sum(raw) != d.Digest {
		t.Fatalf("%s: %v", d.Digest, err)
	}
	return raw
}

func decode(t *testing.T, raw []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

func unzip(t *testing.T, zipped []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func untar(t *testing.T, raw []byte, files map[string][]byte) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(raw)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// checkBinary fails the test unless raw is a static program for machine: without interpreter and
// libraries.
func checkBinary(t *testing.T, raw []byte, machine elf.Machine) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	libraries, _ := f.ImportedLibraries()
	if f.Machine != machine || f.Section(".interp") != nil || len(libraries) > 0 {
		t.Errorf("machine %v, libraries %v", f.Machine, libraries)
	}
}
