package ends_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ends"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// saves returns the directory with archives that docker and go-containerregistry wrote.
func saves(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/go-containerregistry").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "pkg", "v1", "tarball", "testdata")
}

func docker(path string) ref.Repo { return ref.Repo{Host: ref.DockerArchive, Dir: path} }

// opened opens an end for reading, until the end of the test.
func opened(t *testing.T, repo ref.Repo) (*layout.Dir, error) {
	t.Helper()
	r := &ends.Reading{}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r.Open(t.Context(), repo)
}

// whole reads an image with all its blobs, and returns its root.
func whole(t *testing.T, d *layout.Dir, reference string) oci.Document {
	t.Helper()
	doc, err := d.Document(t.Context(), reference)
	if err != nil {
		t.Fatalf("%s: %v", reference, err)
	}
	for _, b := range doc.Blobs {
		body, _, err := d.Blob(t.Context(), b, 0, -1)
		if err != nil {
			t.Fatalf("%s: %v", reference, err)
		}
		v, err := oci.NewVerifier(b)
		if err == nil {
			_, err = io.Copy(v, body)
		}
		if err = errors.Join(err, body.Close()); err == nil {
			err = v.Verify()
		}
		if err != nil {
			t.Fatalf("%s: %v", reference, err)
		}
	}
	return doc
}

func tags(t *testing.T, d *layout.Dir) string {
	t.Helper()
	var all []string
	if err := d.List(t.Context(), func(l oci.Listed) error { all = append(all, l.Tag); return nil }); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func TestAnArchiveOfDockerIsReadWhateverWroteIt(t *testing.T) {
	dir := saves(t)
	for _, c := range []struct{ file, reference, layers string }{
		{"test_image_1.tar", "", "application/vnd.oci.image.layer.v1.tar"},
		{"test_image_2.tar", "", "application/vnd.oci.image.layer.v1.tar"},
		{"test_link.tar", "test_image_3", "application/vnd.oci.image.layer.v1.tar"}, // layers that are links
	} {
		d, err := opened(t, docker(filepath.Join(dir, c.file)))
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		doc := whole(t, d, c.reference)
		if doc.MediaType != oci.TypeManifest || doc.Blobs[1].MediaType != c.layers {
			t.Errorf("%s: %s %s", c.file, doc.MediaType, doc.Blobs[1].MediaType)
		}
	}
}

func TestAnArchiveOfDockerHasTheNamesOfItsImages(t *testing.T) {
	d, err := opened(t, docker(filepath.Join(saves(t), "test_bundle.tar")))
	if err != nil {
		t.Fatal(err)
	}
	if got := tags(t, d); got != "latest" {
		t.Errorf("%q", got)
	}
	if _, err := d.Resolve(t.Context(), ""); !fault.Is(err, fault.Refused) {
		t.Errorf("an archive of two images is one image: %v", err)
	}
}

// What docker save of version 25 and later writes is taken unchanged, even if its index is empty.
func TestTheManifestInAnArchiveOfDockerIsTakenUnchanged(t *testing.T) {
	d, err := opened(t, docker(filepath.Join(saves(t), "hello-world-v25.tar")))
	if err != nil {
		t.Fatal(err)
	}
	doc := whole(t, d, "")
	if doc.Digest != "sha256:411caf340c828657e915a83ed561a79d2b8150dabad4dc079d881cbfe6f86afe" {
		t.Errorf("%s", doc.Digest)
	}
}

func TestTheSameOlderArchiveIsTheSameImageEachTime(t *testing.T) {
	var first oci.Digest
	for range 2 {
		d, err := opened(t, docker(filepath.Join(saves(t), "test_image_1.tar")))
		if err != nil {
			t.Fatal(err)
		}
		doc := whole(t, d, "")
		if first != "" && doc.Digest != first {
			t.Errorf("%s, then %s", first, doc.Digest)
		}
		first = doc.Digest
	}
}

func archiveOf(t *testing.T, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: files[i], Size: int64(len(files[i+1]))})
		_, _ = io.WriteString(w, files[i+1])
	}
	w.Close()
	name := filepath.Join(t.TempDir(), "x.tar")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// F-82: what is not what its name says, or is damaged, is refused with the next step.
func TestF82EndsThatAreSomethingElseAreRefused(t *testing.T) {
	layer := strings.Repeat("a layer", 100)
	config := `{"rootfs":{"type":"layers","diff_ids":["` + string(oci.Sum([]byte(layer))) + `"]}}`
	list := `[{"Config":"c.json","RepoTags":["a:1"],"Layers":["l.tar"]}]`
	at := func(host string, files ...string) ref.Repo { return ref.Repo{Host: host, Dir: archiveOf(t, files...)} }
	empty := t.TempDir()
	for what, c := range map[string]struct {
		repo       ref.Repo
		kind       fault.Kind
		says, hint string
	}{
		"a layout for docker":       {at(ref.DockerArchive, "oci-layout", "{}"), fault.Refused, "no archive of docker", "write oci-archive:"},
		"docker for a layout":       {at(ref.Archive, "manifest.json", "[]"), fault.Refused, "no OCI image layout", "write docker-archive:"},
		"neither":                   {at(ref.Archive, "x", ""), fault.Refused, "no file oci-layout", "pack the files"},
		"neither for docker":        {at(ref.DockerArchive, "x", ""), fault.Refused, "no file manifest.json", ""},
		"before 1.10":               {docker(filepath.Join(saves(t), "no_manifest.tar")), fault.Refused, "before version 1.10", "docker load"},
		"no images":                 {docker(filepath.Join(saves(t), "null_manifest.tar")), fault.Refused, "no image in the archive", "docker save"},
		"no list":                   {at(ref.DockerArchive, "manifest.json", "{"), fault.Refused, "not a list of images", ""},
		"no config":                 {at(ref.DockerArchive, "manifest.json", list, "l.tar", layer), fault.Corrupt, `"c.json", which is not in it`, "docker save"},
		"no layer":                  {at(ref.DockerArchive, "manifest.json", list, "c.json", config), fault.Corrupt, `"l.tar", which is not in it`, ""},
		"a damaged layer":           {at(ref.DockerArchive, "manifest.json", list, "c.json", config, "l.tar", layer+"x"), fault.Corrupt, "and the config says", ""},
		"a config of other":         {at(ref.DockerArchive, "manifest.json", list, "c.json", "{}", "l.tar", layer), fault.Refused, "has 0 layers", ""},
		"a config that is none":     {at(ref.DockerArchive, "manifest.json", list, "c.json", "[", "l.tar", layer), fault.Refused, "not the config", ""},
		"a directory of nothing":    {ref.Repo{Host: ref.Directory, Dir: empty}, fault.Refused, "no file version", "write oci:DIR"},
		"no directory":              {ref.Repo{Host: ref.Directory, Dir: filepath.Join(empty, "none")}, fault.NotFound, "", ""},
		"no archive":                {docker(filepath.Join(empty, "none")), fault.NotFound, "", ""},
		"a stream that there is no": {docker(ref.Stream), fault.Invalid, "no standard input here", "name a file"},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := opened(t, c.repo)
			if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || !strings.Contains(fault.HintOf(err), c.hint) {
				t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
			}
		})
	}
}

func TestAnArchiveIsReadOnceAndAgainIfItChanged(t *testing.T) {
	layer := "a layer"
	file := func(tag string) []byte {
		config := `{"rootfs":{"type":"layers","diff_ids":["` + string(oci.Sum([]byte(layer))) + `"]}}`
		raw, err := os.ReadFile(archiveOf(t, "manifest.json", `[{"Config":"c.json","RepoTags":["`+tag+`"],"Layers":["l.tar"]}]`, "c.json", config, "l.tar", layer))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	path := filepath.Join(t.TempDir(), "x.tar")
	r := &ends.Reading{Input: bytes.NewReader(file("a.io/b:1"))}
	defer r.Close()
	for _, tag := range []string{"one", "second"} {
		if err := os.WriteFile(path, file("a.io/b:"+tag), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := r.Open(t.Context(), docker(path))
		if err != nil {
			t.Fatal(err)
		}
		if got := tags(t, d); got != tag {
			t.Errorf("%q", got)
		}
	}
	for range 2 { // the standard input can be read once only
		d, err := r.Open(t.Context(), docker(ref.Stream))
		if err != nil {
			t.Fatal(err)
		}
		whole(t, d, "1")
	}
}

// F-82: a file that becomes shorter while it is read is said at once, because reading it again does not help.
func TestAFileThatBecomesShorterWhileItIsReadIsCorrupt(t *testing.T) {
	for host, name := range kinds {
		t.Run(host, func(t *testing.T) {
			end := at(t, host, name)
			w := writing(t)
			to := target(t, w, end)
			body := strings.Repeat("layer", 100_000)
			layer := put(t, to, "application/vnd.oci.image.layer.v1.tar", body)
			config := put(t, to, "application/vnd.oci.image.config.v1+json", "{}")
			document(t, to, parsed(t, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, oci.TypeManifest, raw(t, config), raw(t, layer))))
			if err := commit(t, w); err != nil {
				t.Fatal(err)
			}
			d, err := opened(t, end)
			if err != nil {
				t.Fatal(err)
			}
			from, _, err := d.Blob(t.Context(), layer, 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			defer from.Close()
			file := end.Dir
			if host == ref.Directory {
				file = filepath.Join(end.Dir, layer.Digest.Encoded())
			}
			if err := os.Truncate(file, 1000); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, from); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "the file became shorter while it was read") {
				t.Errorf("%v", err)
			}
		})
	}
}
