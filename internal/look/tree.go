package look

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/report"
)

// maxLevels is how many levels of nested indexes one image may have, as a copy takes them.
const maxLevels = 8

// tree holds the documents of an image: its root, and everything below.
type tree struct {
	at    place.Repository
	root  oci.Document
	mu    sync.Mutex
	docs  map[oci.Digest]oci.Document
	found map[oci.Digest]report.Variant // without what a parent says of a child
	held  int64                         // bytes in docs
}

// read reads everything below the root, level by level, and the configurations of the images.
func (t *tree) read(ctx context.Context) error {
	if err := t.add(ctx, t.root); err != nil {
		return err
	}
	level := []oci.Document{t.root}
	for depth := 0; len(level) > 0; depth++ {
		type listed struct {
			parent oci.Digest
			oci.Descriptor
		}
		var below []listed
		weight := t.held
		for _, doc := range level {
			for _, child := range doc.Documents {
				if _, known := t.docs[child.Digest]; known {
					continue
				}
				t.docs[child.Digest] = oci.Document{}
				below = append(below, listed{doc.Digest, child})
				var err error
				if weight, err = oci.Weigh(t.root.Digest, weight, []oci.Descriptor{child}); err != nil {
					return err
				}
			}
		}
		if len(below) > 0 && depth+1 == maxLevels {
			return t.over("indexes are nested deeper than %d levels", maxLevels)
		}
		level = make([]oci.Document, len(below))
		err := place.Each(ctx, place.Lookups, place.IndexesOf(below), func(ctx context.Context, i int) (err error) {
			child := below[i]
			level[i], err = t.at.Document(ctx, string(child.Digest))
			switch {
			case fault.Is(err, fault.NotFound) && t.at.Repo().IsLayout():
				t.lack(child.Descriptor)
				return nil
			case fault.Is(err, fault.NotFound):
				return oci.Lacks(t.at.Repo(), child.parent, child.Descriptor, err)
			case err != nil:
				return err
			}
			return t.add(ctx, level[i])
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) over(format string, limit int) error {
	name := t.at.Repo().At(string(t.root.Digest)).String()
	return &fault.Fault{Kind: fault.TooLarge, Op: "inspect", Name: name, Err: fmt.Errorf(format, limit)}
}

// lack adds a child that is not there. docker saves an index whole, with the content of some platforms.
func (t *tree) lack(d oci.Descriptor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.found[d.Digest] = report.Variant{Digest: d.Digest, MediaType: d.MediaType, Missing: true}
}

// add adds a document.
func (t *tree) add(ctx context.Context, doc oci.Document) error {
	v, err := variant(ctx, t.at, doc)
	if t.at.Repo().IsLayout() {
		lacks, lookErr := t.at.Missing(ctx, doc.Blobs)
		if v.Missing = len(lacks) > 0; v.Missing && fault.Is(err, fault.NotFound) {
			err = nil // the config is one of them
		}
		err = cmp.Or(err, lookErr)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.docs[doc.Digest], t.found[doc.Digest] = doc, v
	var over error
	t.held, over = oci.Weigh(t.root.Digest, t.held, []oci.Descriptor{{Size: int64(len(doc.Raw))}})
	return cmp.Or(over, err)
}

// show returns the part of the tree below d. shown holds the indexes that were shown before; their
// children are left out, because nested indexes may list each other without end in sight.
func (t *tree) show(d oci.Descriptor, shown map[oci.Digest]bool) report.Variant {
	v := t.found[d.Digest]
	v.Size = t.size(d.Digest, onlyBlobs)
	if p := oci.PlatformString(d.Platform); p != "" {
		v.Platform = p
	}
	v.Annotations = d.Annotations
	if shown[d.Digest] {
		return v
	}
	shown[d.Digest] = true
	for _, child := range t.docs[d.Digest].Documents {
		v.Platforms = append(v.Platforms, t.show(child, shown))
	}
	return v
}

// counted says what counts for a size.
type counted int

const (
	onlyBlobs counted = iota
	withDocuments
)

// size returns the size in bytes of what is below a document and the document itself, each digest
// counted once.
func (t *tree) size(root oci.Digest, what counted) (sum int64) {
	seen := map[oci.Digest]bool{root: true}
	for level := []oci.Digest{root}; len(level) > 0; {
		doc := t.docs[level[0]]
		level = level[1:]
		if what == withDocuments {
			sum += doc.Size
		}
		for _, b := range doc.Blobs {
			if !seen[b.Digest] {
				seen[b.Digest] = true
				sum += b.Size
			}
		}
		for _, child := range doc.Documents {
			if !seen[child.Digest] {
				seen[child.Digest] = true
				level = append(level, child.Digest)
			}
		}
	}
	return sum
}

// isImageConfig reports whether a media type is that of the configuration of a container image.
func isImageConfig(mediaType string) bool {
	return mediaType == v1.MediaTypeImageConfig || mediaType == "application/vnd.docker.container.image.v1+json"
}

// variant describes one manifest. The platform and the creation time come from the configuration,
// if it is that of a container image.
func variant(ctx context.Context, at place.Repository, doc oci.Document) (report.Variant, error) {
	v := report.Variant{Digest: doc.Digest, MediaType: doc.MediaType}
	if doc.Config == nil {
		v.Layers = doc.Blobs
		return v, nil
	}
	v.Config = doc.Config.Digest
	isConfig := func(b oci.Descriptor) bool { return b.Digest == doc.Config.Digest }
	v.Layers = append(slices.DeleteFunc(slices.Clone(doc.Blobs), isConfig), doc.Foreign...)
	if !isImageConfig(doc.Config.MediaType) {
		return v, nil
	}
	raw, err := place.ReadSmall(ctx, at, *doc.Config)
	if err != nil {
		return v, err
	}
	var config v1.Image
	if err := json.Unmarshal(raw, &config); err != nil {
		return v, nil // an invalid configuration is no error here: the container runtime reports it
	}
	v.Platform = oci.PlatformString(&config.Platform)
	v.Created = config.Created
	return v, nil
}
