package ends

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/archive"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// make makes the manifest of an image of an older archive. The layers go as they are: docker saves
// them uncompressed. The same archive gives the same manifest each time.
func (d *inDocker) make(ctx context.Context, image saved, config oci.Digest) (oci.Descriptor, error) {
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: oci.TypeManifest, Layers: []oci.Descriptor{}}
	size, _, err := d.look(image.Config)
	if err != nil {
		return oci.Descriptor{}, err
	}
	m.Config = oci.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: config, Size: size}
	if err := d.sumAll(ctx, image.Layers); err != nil {
		return oci.Descriptor{}, err
	}
	for _, layer := range image.Layers {
		dgst, err := d.sum(ctx, layer)
		if err != nil {
			return oci.Descriptor{}, err
		}
		size, mediaType, err := d.look(layer)
		if err != nil {
			return oci.Descriptor{}, err
		}
		m.Layers = append(m.Layers, oci.Descriptor{MediaType: mediaType, Digest: dgst, Size: size})
	}
	if err := d.compare(image, m); err != nil {
		return oci.Descriptor{}, err
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return oci.Descriptor{}, err
	}
	doc, err := oci.Parse(oci.Descriptor{}, raw)
	if err != nil {
		return oci.Descriptor{}, err
	}
	d.view.made[blobName(doc.Digest)] = raw
	return doc.Descriptor, nil
}

// maxConfig is the most bytes of a config that are read: 8 MiB.
const maxConfig = 8 << 20

// compare compares the layers with the digests of uncompressed layers that the config has. They are
// all that such an archive has to tell damage by.
func (d *inDocker) compare(image saved, m v1.Manifest) error {
	raw, fits, err := readAll(d.files, image.Config, maxConfig)
	if err != nil {
		return d.fault(image.Config, err)
	}
	var config v1.Image
	if !fits || json.Unmarshal(raw, &config) != nil {
		return refused("read archive", d.name, fmt.Sprintf("%.150q is not the config of an image", image.Config), "")
	}
	if len(config.RootFS.DiffIDs) != len(m.Layers) {
		return refused("read archive", d.name, fmt.Sprintf("%.150q has %d layers, and %s lists %d",
			image.Config, len(config.RootFS.DiffIDs), tagsFile, len(m.Layers)), "")
	}
	for i, l := range m.Layers {
		if want := config.RootFS.DiffIDs[i]; l.MediaType == v1.MediaTypeImageLayer && l.Digest != want {
			return &fault.Fault{Kind: fault.Corrupt, Op: "read archive", Name: d.name,
				Err:  fmt.Errorf("%.150q has the digest %s, and the config says %s", image.Layers[i], l.Digest, want),
				Hint: "save the image again, or copy the file again"}
		}
	}
	return nil
}

// compareName compares the digest of a config with the one in its name. Most tools name it so: HEX.json or sha256:HEX.
func (d *inDocker) compareName(name string, got oci.Digest) error {
	want := "sha256:" + strings.TrimSuffix(strings.TrimPrefix(path.Base(name), "sha256:"), ".json")
	if ref.Digest(want) != nil || string(got) == want || got.Algorithm() != digest.SHA256 {
		return nil
	}
	return &fault.Fault{Kind: fault.Corrupt, Op: "read archive", Name: d.name,
		Err:  fmt.Errorf("the config %.150q has the digest %s", name, got),
		Hint: "save the image again, or copy the file again"}
}

// look returns the size of a file of the archive, and the media type that it has as a layer.
func (d *inDocker) look(name string) (size int64, mediaType string, err error) {
	f, err := d.files.Open(name)
	if err != nil {
		return 0, "", d.fault(name, err)
	}
	defer f.Close()
	head := make([]byte, 4)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, "", d.fault(name, err)
	}
	switch head = head[:n]; {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return f.Size(), v1.MediaTypeImageLayerGzip, nil
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		return f.Size(), v1.MediaTypeImageLayerZstd, nil
	}
	return f.Size(), v1.MediaTypeImageLayer, nil
}

// sum returns the digest of a file of the archive, and shows it under its name in a layout. Each file
// is read once. A file that has its digest as its name in a layout is not read: whoever copies it
// verifies it.
func (d *inDocker) sum(ctx context.Context, name string) (oci.Digest, error) {
	if dgst, known := d.known(name); known {
		return dgst, nil
	}
	dgst, err := d.read(ctx, name)
	if err != nil {
		return "", err
	}
	d.sums[name] = dgst
	d.view.at[blobName(dgst)] = name
	return dgst, nil
}

// sumAll does what sum does, for several files at once: as many as there are processors.
func (d *inDocker) sumAll(ctx context.Context, names []string) error {
	var unknown []string
	seen := map[string]bool{}
	for _, name := range names {
		if _, known := d.known(name); !known && !seen[name] {
			unknown = append(unknown, name)
		}
		seen[name] = true
	}
	sums, errs := make([]oci.Digest, len(unknown)), make([]error, len(unknown))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(unknown)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(unknown); i = int(next.Add(1)) - 1 {
				sums[i], errs[i] = d.read(ctx, unknown[i])
			}
		})
	}
	wg.Wait()
	for i, name := range unknown {
		if errs[i] != nil {
			return errs[i]
		}
		d.sums[name] = sums[i]
		d.view.at[blobName(sums[i])] = name
	}
	return nil
}

// known returns the digest of a file that sum does not have to read.
func (d *inDocker) known(name string) (oci.Digest, bool) {
	if rest, ok := strings.CutPrefix(name, v1.ImageBlobsDir+"/"); ok {
		algorithm, hex, _ := strings.Cut(rest, "/")
		if dgst := algorithm + ":" + hex; ref.Digest(dgst) == nil {
			return oci.Digest(dgst), true
		}
	}
	dgst, ok := d.sums[name]
	return dgst, ok
}

// read computes the digest of a file of the archive. It may be called by several goroutines at once.
func (d *inDocker) read(ctx context.Context, name string) (oci.Digest, error) {
	f, err := d.files.Open(name)
	if err != nil {
		return "", d.fault(name, err)
	}
	defer f.Close()
	hash := digest.Canonical.Hash()
	buf := make([]byte, min(f.Size(), 256<<10))
	for at := int64(0); at < f.Size(); {
		if ctx.Err() != nil {
			return "", &fault.Fault{Kind: fault.Canceled, Op: "read archive", Name: d.name, Err: context.Cause(ctx)}
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), f.Size()-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", d.fault(name, err)
		}
		hash.Write(buf[:n])
		at += int64(n)
	}
	return oci.Digest(fmt.Sprintf("%s:%x", digest.Canonical, hash.Sum(nil))), nil
}

// others returns the names of the files of an archive that belong neither to the layout in it nor to docker. v is
// the view of an archive of docker; nil means that it is none, and then the list of docker is a file of its own.
func others(a *archive.Archive, v *view) []string {
	known := map[string]bool{v1.ImageLayoutFile: true, v1.ImageIndexFile: true, "repositories": true}
	if v != nil {
		known[tagsFile] = true
		for _, name := range v.at {
			known[name] = true
		}
	}
	return slices.DeleteFunc(a.Names(), func(name string) bool {
		return known[name] || strings.HasPrefix(name, v1.ImageBlobsDir+"/") || isOlder(name)
	})
}

// isOlder reports whether docker 1.10 to 24 writes a file of this name: a config, or a layer with what belonged to it
// before docker had configs.
func isOlder(name string) bool {
	of, file, below := strings.Cut(name, "/")
	switch {
	case !below:
		of = strings.TrimSuffix(strings.TrimSuffix(of, ".json"), ".tar")
	case file != "json" && file != "VERSION" && file != "layer.tar":
		return false
	}
	return ref.Digest("sha256:"+of) == nil
}
