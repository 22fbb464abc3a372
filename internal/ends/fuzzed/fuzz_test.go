// Package fuzzed reads ends that are damaged in any way. It is apart from the other tests of ends, because a fuzzer is
// built from all that the tests of its package need, and these need all of dray.
package fuzzed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/archive"
	"github.com/drayage/dray/internal/ends"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// packed returns an archive of files, which are a name and its content in turn.
func packed(files ...string) []byte {
	var b bytes.Buffer
	_ = archive.Write(context.Background(), &b, archive.None, func(yield func(archive.Entry) bool) {
		for i := 0; i+1 < len(files); i += 2 {
			body := []byte(files[i+1])
			open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
			if !yield(archive.Entry{Name: files[i], Size: int64(len(body)), Open: open}) {
				return
			}
		}
	})
	return b.Bytes()
}

// read opens an end and reads all that it lists. Every error must be a Fault that is not a defect of dray.
func read(t *testing.T, end ref.Repo) {
	t.Helper()
	known := func(err error) {
		var f *fault.Fault
		if err != nil && (!errors.As(err, &f) || f.Kind == fault.Internal) {
			t.Errorf("%s: %v", end, err)
		}
	}
	r := &ends.Reading{}
	defer func() { known(r.Close()) }()
	d, err := r.Open(t.Context(), end)
	known(err)
	if err != nil {
		return
	}
	defer d.Close()
	names, err := d.Images()
	known(err)
	names = append(names, end.Tagged(""))
	for _, n := range names {
		in, err := r.Open(t.Context(), n.Repo)
		known(err)
		if err != nil {
			continue
		}
		doc, err := in.Document(t.Context(), n.Tag)
		known(err)
		for _, b := range doc.Blobs {
			body, _, err := in.Blob(t.Context(), b, 0, -1)
			known(err)
			if err != nil {
				continue
			}
			if body != nil {
				_, err = oci.ReadAll(body, b)
				known(err)
				body.Close()
			}
		}
		in.Close()
	}
}

// FuzzArchives reads archives that are damaged in any way. The seeds are small archives of each form.
func FuzzArchives(f *testing.F) {
	const layer = "layer"
	config := fmt.Sprintf(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%q]}}`, oci.Sum([]byte(layer)))
	hex := oci.Sum([]byte(config)).Encoded()
	list := fmt.Sprintf(`[{"Config":"%s.json","RepoTags":["app:v1"],"Layers":["a/layer.tar"]}]`, hex)
	f.Add(packed("manifest.json", list, hex+".json", config, "a/layer.tar", layer))
	f.Add(packed("manifest.json", `[{"Config":"c","RepoTags":null,"Layers":null}]`, "c", `{"rootfs":{"diff_ids":[]}}`))
	f.Add(packed("manifest.json", "[]"))
	doc := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":5}]}`,
		oci.TypeManifest, oci.Sum([]byte(config)), len(config), oci.Sum([]byte(layer)))
	blob := func(s string) string { return "blobs/sha256/" + oci.Sum([]byte(s)).Encoded() }
	index := fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":%d,"annotations":{"io.containerd.image.name":"docker.io/library/app:v1","org.opencontainers.image.ref.name":"v1"}}]}`,
		oci.TypeManifest, oci.Sum([]byte(doc)), len(doc))
	f.Add(packed("oci-layout", `{"imageLayoutVersion":"1.0.0"}`, "index.json", index, blob(doc), doc, blob(config), config, blob(layer), layer))
	f.Add(packed("oci-layout", `{"imageLayoutVersion":"1.0.0"}`, "index.json", index, blob(doc), doc, blob(config), config, blob(layer), layer,
		"manifest.json", fmt.Sprintf(`[{"Config":%q,"RepoTags":["app:v1"],"Layers":[%q]}]`, blob(config), blob(layer))))
	f.Fuzz(func(t *testing.T, raw []byte) {
		file := filepath.Join(t.TempDir(), "x.tar")
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		read(t, ref.Repo{Host: ref.DockerArchive, Dir: file})
		read(t, ref.Repo{Host: ref.Archive, Dir: file})
	})
}

// FuzzLists reads an archive of docker and a directory of skopeo whose lists and manifests say anything.
func FuzzLists(f *testing.F) {
	f.Add("Directory Transport Version: 1.1\n", `[{"Config":"c","RepoTags":["app:v1","b.io/x:v2"],"Layers":["l","l"]}]`, `{"rootfs":{"diff_ids":["sha256:x"]}}`)
	f.Add("", fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"digest":"sha256:c","size":1},"layers":[]}`, oci.TypeManifest), `{}`)
	f.Add("Directory Transport Version: 1.9", fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[]}`, oci.TypeIndex), `{"manifests":[{}]}`)
	f.Add("", `[{"Config":"index.json","Layers":["manifest.json"]}]`, `{"schemaVersion":2,"manifests":[{"digest":"sha256:..","annotations":{"org.opencontainers.image.ref.name":"v1"}}]}`)
	f.Fuzz(func(t *testing.T, version, list, other string) {
		dir := t.TempDir()
		made := filepath.Join(dir, "d")
		for name, body := range map[string]string{
			"x.tar":     string(packed("manifest.json", list, "c", other, "l", "layer", "index.json", other, "oci-layout", `{"imageLayoutVersion":"1.0.0"}`)),
			"d/version": version, "d/manifest.json": list, "d/" + oci.Sum([]byte(other)).Encoded() + ".manifest.json": other,
		} {
			if err := os.MkdirAll(made, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		read(t, ref.Repo{Host: ref.DockerArchive, Dir: filepath.Join(dir, "x.tar")})
		read(t, ref.Repo{Host: ref.Directory, Dir: made})
	})
}
