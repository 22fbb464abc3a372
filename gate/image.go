package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Limits of what a gate reads of one image. If one is exceeded, the error is [fault.TooLarge].
const (
	MaxBlob      = 4 << 20 // bytes of a blob that Image.Blob reads
	MaxDocuments = 1000    // manifests and indexes below an image
)

// Image is an image that would move. Its methods read from its source when they are first called, and
// remember what they read. They are safe for concurrent use.
type Image struct {
	Name ref.Name       // at the source, with its digest, and with the requested tag, if any
	Root oci.Descriptor // the manifest or index at the source: what was signed

	// Moves is what the target gets. It is Root, unless only some platforms move, see dray.Platforms: then it is an
	// index that lists a part of what Root lists. Documents, Platforms, Size and Created speak of what moves.
	Moves oci.Descriptor

	from Source

	mu        sync.Mutex
	documents []oci.Document
	referrers []oci.Descriptor
	asked     bool // the referrers were asked for
	configs   map[oci.Digest]v1.Image
}

// NewImage returns the image root of the repository from, of which moves is the document that the target gets: root
// itself, or a part of it, which from must be able to read. name is how the image was asked for.
func NewImage(name ref.Name, root, moves oci.Descriptor, from Source) *Image {
	name.Digest = string(root.Digest)
	return &Image{Name: name, Root: root, Moves: moves, from: from, configs: map[oci.Digest]v1.Image{}}
}

// Documents returns the manifests and indexes that move, each once, the one that the target gets as the root first.
func (i *Image) Documents(ctx context.Context) ([]oci.Document, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.documents != nil {
		return i.documents, nil
	}
	var all []oci.Document
	held := int64(0)
	seen := map[oci.Digest]bool{i.Moves.Digest: true}
	for open := []oci.Descriptor{i.Moves}; len(open) > 0; open = open[1:] {
		if len(all) == MaxDocuments {
			return nil, i.tooLarge("the image has more than %d manifests", MaxDocuments)
		}
		var err error
		if held, err = oci.Weigh(i.Root.Digest, held, open[:1]); err != nil {
			return nil, fault.On(fault.Source, err)
		}
		doc, err := i.Document(ctx, open[0].Digest)
		if err != nil {
			return nil, err
		}
		all = append(all, doc)
		for _, child := range doc.Documents {
			if !seen[child.Digest] {
				seen[child.Digest] = true
				open = append(open, child)
			}
		}
	}
	i.documents = all
	return all, nil
}

// Document reads a manifest or index of the source by its digest, and verifies it.
func (i *Image) Document(ctx context.Context, d oci.Digest) (oci.Document, error) {
	doc, err := i.from.Document(ctx, string(d))
	if err == nil && doc.Digest != d {
		err = &fault.Fault{Kind: fault.Corrupt, Op: "read manifest", Name: i.Name.Repo.At(string(d)).String(),
			Err: fmt.Errorf("the source served %s instead", doc.Digest)}
	}
	return doc, fault.On(fault.Source, err)
}

// Blob reads a blob of at most [MaxBlob] bytes, and verifies its size and digest.
func (i *Image) Blob(ctx context.Context, d oci.Descriptor) ([]byte, error) {
	if d.Size > MaxBlob {
		return nil, i.tooLarge("%s has %d bytes; the limit is %d", d.Digest, d.Size, MaxBlob)
	}
	raw, err := readBlob(ctx, i.from, d)
	return raw, fault.On(fault.Source, err)
}

// Referrers returns the documents whose subject is Root. Their artifact types are those of the documents
// themselves, whatever the registry says. If the registry does not say what refers to the image, that is an error: it
// does not mean that there is nothing.
func (i *Image) Referrers(ctx context.Context) ([]oci.Descriptor, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.asked {
		return i.referrers, nil
	}
	list, err := i.from.Referrers(ctx, i.Root)
	if err != nil {
		return nil, fault.On(fault.Source, err)
	}
	if len(list) > MaxDocuments {
		return nil, i.tooLarge("more than %d documents refer to the image", MaxDocuments)
	}
	var found []oci.Descriptor
	for _, d := range list {
		doc, err := i.Document(ctx, d.Digest)
		switch {
		case fault.Is(err, fault.NotFound):
			continue // an entry of the tag schema may outlive the document
		case err != nil:
			return nil, err
		case doc.Subject == nil || doc.Subject.Digest != i.Root.Digest:
			continue
		}
		d.ArtifactType = doc.AsReferrer().ArtifactType
		found = append(found, d)
	}
	i.referrers, i.asked = found, true
	return found, nil
}

// AttachedTypes returns the types of the documents that refer to the image or to a document below it, and of those
// under their digest tags, sorted and each once. The types of a document are what it says of itself: its artifact
// type, and the media types of its layers. If the registry does not say what refers to the image, that is an error.
func (i *Image) AttachedTypes(ctx context.Context) ([]string, error) {
	list, err := i.from.Attachments(ctx)
	if err != nil {
		return nil, fault.On(fault.Source, err)
	}
	if len(list) > MaxDocuments {
		return nil, i.tooLarge("more than %d documents refer to the image", MaxDocuments)
	}
	var types []string
	for _, d := range list {
		doc, err := i.Document(ctx, d.Digest)
		if err != nil {
			return nil, err
		}
		types = append(types, doc.TypesAsReferrer()...)
	}
	slices.Sort(types)
	return slices.Compact(types), nil
}

// Attached returns the document under a digest tag of the image, such as sha256-HEX.sig for the suffix
// "sig", as cosign sets them; ok is false if there is none.
func (i *Image) Attached(ctx context.Context, suffix string) (doc oci.Document, ok bool, err error) {
	doc, err = i.from.Document(ctx, strings.Replace(string(i.Root.Digest), ":", "-", 1)+"."+suffix)
	if fault.Is(err, fault.NotFound) {
		return doc, false, nil
	}
	return doc, err == nil, fault.On(fault.Source, err)
}

func (i *Image) tooLarge(format string, args ...any) error {
	return &fault.Fault{Kind: fault.TooLarge, Side: fault.Source, Op: "check", Name: i.Name.String(),
		Err: fmt.Errorf(format, args...)}
}
