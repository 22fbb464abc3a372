package ends

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/archive"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// readDocker shows an archive of docker as a layout. Docker from version 25 on writes a layout into
// the archive: then its index counts, and its content is taken unchanged. For an image that the index
// does not have, the manifest is made.
//
// others are the files that are neither part of that layout nor written by docker.
func readDocker(ctx context.Context, name string, a *archive.Archive) (v *view, rest []string, err error) {
	d := &inDocker{name: name, files: inArchive{a}, sums: map[string]oci.Digest{}}
	d.view = newView(d.files)
	images, err := d.images()
	if err != nil {
		return nil, nil, err
	}
	if err := d.readLayout(); err != nil {
		return nil, nil, err
	}
	for _, image := range images {
		root, err := d.root(ctx, image)
		if err != nil {
			return nil, nil, err
		}
		d.enter(root, image.RepoTags)
	}
	d.index.SchemaVersion, d.index.MediaType = 2, oci.TypeIndex
	d.view.made[v1.ImageLayoutFile] = []byte(layoutHeader)
	d.view.made[v1.ImageIndexFile], err = json.Marshal(d.index)
	return d.view, others(a, d.view), err
}

// images reads manifest.json.
func (d *inDocker) images() ([]saved, error) {
	const op = "read " + tagsFile
	raw, fits, err := readAll(d.files, tagsFile, maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, d.noDocker()
	}
	if err != nil {
		return nil, failed(op, d.name, err)
	}
	var images []saved
	if !fits || json.Unmarshal(raw, &images) != nil {
		return nil, refused(op, d.name, "not a list of images", "")
	}
	if len(images) == 0 {
		return nil, refused(op, d.name, "there is no image in the archive", "save it again with docker save IMAGE")
	}
	return images, nil
}

// noDocker returns the error of an archive without manifest.json.
func (d *inDocker) noDocker() error {
	const op = "open archive"
	if _, err := d.files.Open(v1.ImageLayoutFile); err == nil {
		why := errors.New("this is an OCI image layout, and no archive of docker")
		if slices.ContainsFunc(d.files.Names(), func(name string) bool { return strings.HasPrefix(name, bundleDir) }) {
			why = bundled{why}
		}
		return &fault.Fault{Kind: fault.Refused, Op: op, Name: d.name, Err: why,
			Hint: "write " + ref.Archive + strings.TrimPrefix(d.name, ref.DockerArchive)}
	}
	if _, err := d.files.Open("repositories"); err == nil {
		return refused(op, d.name, "docker before version 1.10 wrote it, without digests",
			"load it with docker load, and save it again with docker save")
	}
	return refused(op, d.name, "docker save did not write it, because it has no file "+tagsFile, "")
}

// readLayout reads the index of the layout in the archive, if there is one.
func (d *inDocker) readLayout() error {
	d.tree = &tree{docs: map[oci.Digest]oci.Document{}}
	_, err := d.files.Open(v1.ImageIndexFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		d.tree, err = collect(d.name, d.files)
	}
	if err != nil {
		return failed("read "+v1.ImageIndexFile, d.name, err)
	}
	d.index.Manifests = d.tree.index.Manifests
	return nil
}

// root returns the document of an image: the entry of the index that leads to it, a manifest in the
// archive, or one that is made.
func (d *inDocker) root(ctx context.Context, image saved) (oci.Descriptor, error) {
	config, err := d.sum(ctx, image.Config)
	if err != nil {
		return oci.Descriptor{}, err
	}
	if err := d.compareName(image.Config, config); err != nil {
		return oci.Descriptor{}, err
	}
	is := func(doc oci.Document) bool { return doc.Config != nil && doc.Config.Digest == config }
	for _, top := range d.tree.index.Manifests {
		if d.leadsTo(top.Digest, is) {
			top.Annotations = nil
			return top, nil
		}
	}
	if doc, ok := d.unlisted(image, is); ok {
		return doc.Descriptor, nil
	}
	return d.make(ctx, image, config)
}

// leadsTo reports whether a document, or one below it, is what is looked for.
func (d *inDocker) leadsTo(dgst oci.Digest, is func(oci.Document) bool) bool {
	doc, ok := d.tree.docs[dgst]
	below := func(c oci.Descriptor) bool { return d.leadsTo(c.Digest, is) }
	return ok && (is(doc) || slices.ContainsFunc(doc.Documents, below))
}

// unlisted finds a manifest that is in the archive, and not in its index: docker 25 wrote such
// archives of images that were saved by their ids.
func (d *inDocker) unlisted(image saved, is func(oci.Document) bool) (oci.Document, bool) {
	if !strings.HasPrefix(image.Config, v1.ImageBlobsDir+"/") {
		return oci.Document{}, false
	}
	for _, name := range d.files.Names() {
		hex, ok := strings.CutPrefix(name, v1.ImageBlobsDir+"/sha256/")
		if !ok {
			continue
		}
		raw, fits, err := readAll(d.files, name, 64<<10)
		if err != nil || !fits {
			continue
		}
		doc, err := oci.Parse(oci.Descriptor{Digest: oci.Digest("sha256:" + hex)}, raw)
		if err == nil && is(doc) && len(doc.Blobs) == len(image.Layers)+1 {
			return doc, true
		}
	}
	return oci.Document{}, false
}

// enter adds an entry to the index for each name of an image that the index does not have.
func (d *inDocker) enter(root oci.Descriptor, names []string) {
	entered := func(whole string) bool {
		return slices.ContainsFunc(d.index.Manifests, func(e oci.Descriptor) bool {
			named := e.Annotations[v1.AnnotationRefName] == whole || e.Annotations[containerName] == whole
			return e.Digest == root.Digest && (whole == "" || named)
		})
	}
	for _, name := range names {
		n, err := ref.Parse(name)
		if err != nil || n.Digest != "" || n.IsLayout() {
			continue // the image can be read by its digest
		}
		if whole := n.Tagged(cmp.Or(n.Tag, "latest")).String(); !entered(whole) {
			e := root
			e.Annotations = map[string]string{v1.AnnotationRefName: whole, containerName: whole}
			d.index.Manifests = append(d.index.Manifests, e)
		}
	}
	if !entered("") {
		d.index.Manifests = append(d.index.Manifests, root)
	}
}
