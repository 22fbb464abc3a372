package ends

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// docker returns the files that come first in an archive of docker: those of a layout, which docker
// with containerd's store reads, and manifest.json, which every docker since 1.10 reads. nameless are the images that
// docker load shows without a name, by their tags or digests.
func (t *tree) docker(name string) (heads []head, nameless []string, err error) {
	var images []saved
	var called []string // what each image is called here
	at := map[oci.Digest]int{}
	for i, e := range t.index.Manifests {
		image, err := t.image(name, e.Digest)
		if err != nil {
			return nil, nil, err
		}
		if image == nil {
			continue
		}
		if _, listed := at[image.Digest]; !listed {
			one, err := t.saved(name, *image)
			if err != nil {
				return nil, nil, err
			}
			at[image.Digest] = len(images)
			images = append(images, one)
			called = append(called, cmp.Or(e.Annotations[v1.AnnotationRefName], string(e.Digest)))
		}
		if whole := wholeName(e); whole != "" {
			to := &images[at[image.Digest]]
			to.RepoTags = append(to.RepoTags, familiar(whole))
			t.index.Manifests[i].Annotations = maps.Clone(e.Annotations)
			t.index.Manifests[i].Annotations[containerName] = whole
		}
	}
	if len(images) == 0 {
		return nil, nil, refused("put image", name, "there is no image that docker can load",
			"write oci-archive:FILE, which holds everything")
	}
	for i, image := range images {
		if len(image.RepoTags) == 0 {
			nameless = append(nameless, called[i])
		}
	}
	list, err := json.Marshal(images)
	if err != nil {
		return nil, nil, err
	}
	index, err := json.Marshal(t.index)
	return []head{{v1.ImageLayoutFile, []byte(layoutHeader)}, {v1.ImageIndexFile, index}, {tagsFile, list}}, nameless, err
}

// image returns the manifest of the only image that dgst leads to, or nil if it leads to something
// else, such as a signature.
func (t *tree) image(name string, dgst oci.Digest) (*oci.Document, error) {
	doc, ok := t.docs[dgst]
	switch {
	case !ok:
		return nil, nil //nolint:nilnil // no image is an answer
	case len(doc.Documents) == 0:
		if isImage(doc) {
			return &doc, nil
		}
		return nil, nil //nolint:nilnil // no image is an answer
	}
	var found *oci.Document
	var platforms []string
	for _, c := range doc.Documents {
		image, err := t.image(name, c.Digest)
		if err != nil {
			return nil, err
		}
		if image != nil {
			found = image
			platforms = append(platforms, cmp.Or(oci.PlatformString(c.Platform), string(c.Digest)))
		}
	}
	if len(platforms) > 1 {
		return nil, manyPlatforms(name, platforms)
	}
	return found, nil
}

// isImage reports whether doc is a manifest of layers for the file system of a container.
func isImage(doc oci.Document) bool {
	if doc.Config == nil {
		return false
	}
	switch doc.Config.MediaType {
	case v1.MediaTypeImageConfig, "application/vnd.docker.container.image.v1+json":
	default:
		return false
	}
	for _, b := range doc.Blobs {
		isLayer := strings.HasPrefix(b.MediaType, "application/vnd.oci.image.layer.") ||
			strings.HasPrefix(b.MediaType, "application/vnd.docker.image.rootfs.")
		if b.Digest != doc.Config.Digest && !isLayer {
			return false
		}
	}
	return true
}

// saved returns the entry of an image in manifest.json. Layers stay compressed, as they have their
// digests so; docker load decompresses them.
func (t *tree) saved(name string, doc oci.Document) (saved, error) {
	var m v1.Manifest
	if err := json.Unmarshal(doc.Raw, &m); err != nil {
		return saved{}, err
	}
	s := saved{Config: blobName(m.Config.Digest), RepoTags: []string{}, Layers: []string{}}
	for _, l := range m.Layers { // a layer may be there several times, so doc.Blobs is not enough
		s.Layers = append(s.Layers, blobName(l.Digest))
		if !slices.ContainsFunc(t.order, func(d oci.Descriptor) bool { return d.Digest == l.Digest }) {
			return saved{}, refused("put image", name, "docker load needs every layer, and "+string(l.Digest)+" is not copied",
				"write oci-archive:FILE")
		}
	}
	return s, nil
}

// wholeName returns the name of an entry with its repository, or "".
func wholeName(e oci.Descriptor) string {
	for _, name := range []string{e.Annotations[containerName], e.Annotations[v1.AnnotationRefName]} {
		if _, tag, ok := ref.CutWhole(name); ok && tag != "" {
			return name
		}
	}
	return ""
}

// familiar returns a name as docker shows it.
func familiar(whole string) string {
	if rest, ok := strings.CutPrefix(whole, ref.DockerHub+"/library/"); ok && !slices.Contains([]byte(rest), '/') {
		return rest
	}
	return strings.TrimPrefix(whole, ref.DockerHub+"/")
}
