package oci

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// MaxDocument is the size in bytes of the largest manifest or index that dray reads: 4 MiB
// (distribution-spec v1.1.1 §Pushing Manifests).
const MaxDocument = 4 << 20

// MaxImage is the size in bytes of all manifests and indexes of one image that dray reads: 64 MiB.
const MaxImage = 64 << 20

// Weigh adds the sizes of documents that are to be read to held, the bytes of those of the image root that were
// read before. It returns an error of Kind [fault.TooLarge] if the sum is more than [MaxImage]. A document that is
// too large by itself counts as one of [MaxDocument] bytes: whoever reads it finds out.
func Weigh(root Digest, held int64, next []Descriptor) (int64, error) {
	for _, d := range next {
		held += min(max(d.Size, 0), MaxDocument)
	}
	if held <= MaxImage {
		return held, nil
	}
	return held, &fault.Fault{
		Kind: fault.TooLarge,
		Op:   "read manifests",
		Name: string(root),
		Hint: "copy its platforms one by one, or by their digests",
		Err:  fmt.Errorf("the image has %d MiB of manifests; the limit is %d", (held+1<<20-1)>>20, MaxImage>>20),
	}
}

// Document is a manifest or an index together with the exact bytes that it was read from.
type Document struct {
	Descriptor              // media type, digest and size of Raw
	Raw        []byte       // the bytes; they are forwarded unchanged, never marshaled again
	Documents  []Descriptor // children that are manifests or indexes, in order, each digest once
	Config     *Descriptor  // nil for an index; otherwise also the first of Blobs
	Blobs      []Descriptor // the config, then the layers, in order, each digest once
	Foreign    []Descriptor // layers with URLs, at which their publisher keeps them
	Subject    *Descriptor  // the manifest that this document refers to; it need not exist
}

// IsIndex reports whether d is an index: it lists other documents and not layers.
func (d Document) IsIndex() bool {
	return d.MediaType == TypeIndex || d.MediaType == TypeDockerList || len(d.Documents) > 0
}

// Lacks returns the error for a child that the document parent of repo lists, and that repo does not
// have: somebody removed it, or never pushed it. If err, the error of reading the child, has a hint, that counts.
func Lacks(repo ref.Repo, parent Digest, child Descriptor, err error) error {
	what, where := string(child.Digest), "registry"
	hint := "push the image again with everything that it lists, or name a child that is there by its digest"
	if p := PlatformString(child.Platform); p != "" {
		what += " (" + p + ")"
	}
	if repo.IsLayout() {
		where = map[string]string{ref.Layout: "layout", ref.Directory: "directory"}[repo.Host]
		where = cmp.Or(where, "archive")
		hint = "copy or save the image again with everything that it lists, or name a child that is there by its digest"
	}
	return &fault.Fault{
		Kind: fault.NotFound,
		Op:   "read manifest",
		Name: repo.At(string(parent)).String(),
		Hint: cmp.Or(fault.HintOf(err), hint),
		Err:  fmt.Errorf("it lists %s, which the %s does not have", what, where),
	}
}

// Parse checks raw against want and reads the descriptors in it.
//
// A field of want that is empty is not checked. Parse computes a missing Size or Digest. If MediaType
// is empty or generic ("text/plain", "application/json", "application/octet-stream"), Parse takes it
// from the document, or infers it from the document's fields if the document does not name it.
//
// The error is [fault.Corrupt] for bytes that do not match want, [fault.TooLarge] for more than
// [MaxDocument] bytes, and [fault.Refused] for a digest of an unknown algorithm and for a document
// that is malformed or that could be read in two ways (CVE-2021-41190).
func Parse(want Descriptor, raw []byte) (Document, error) {
	doc := Document{Raw: raw, Descriptor: Descriptor{Size: int64(len(raw)), Digest: want.Digest}}
	if want.Digest == "" {
		doc.Digest = Sum(raw)
	}
	if err := checkBytes(want, doc.Digest, raw); err != nil {
		if IsSchema1(want.MediaType, raw) {
			err = refused(doc.Digest, "%v", errSchema1)
		}
		return Document{}, err
	}
	fields, err := object(raw, documentKeys)
	if err != nil {
		return Document{}, refused(doc.Digest, "%v", err)
	}
	if doc.MediaType, err = mediaType(want.MediaType, fields); err != nil {
		return Document{}, refused(doc.Digest, "%v", err)
	}
	if err := doc.readChildren(fields); err != nil {
		return Document{}, refused(doc.Digest, "%v", err)
	}
	if err := doc.checkShape(fields); err != nil {
		return Document{}, err
	}
	return doc, nil
}

func checkBytes(want Descriptor, dgst Digest, raw []byte) error {
	if len(raw) > MaxDocument {
		return &fault.Fault{
			Kind: fault.TooLarge,
			Op:   "read manifest",
			Name: string(dgst),
			Err:  fmt.Errorf("%d bytes; the limit is %d", len(raw), MaxDocument),
		}
	}
	v, err := NewVerifier(Descriptor{Digest: dgst, Size: int64(len(raw))})
	if err != nil {
		return err
	}
	if _, err := v.Write(raw); err != nil {
		return err
	}
	if err := v.Verify(); err != nil {
		return err
	}
	if want.Size != 0 && want.Size != int64(len(raw)) {
		return &fault.Fault{
			Kind: fault.Corrupt,
			Op:   "verify",
			Name: string(dgst),
			Err:  fmt.Errorf("it has %d bytes, but its descriptor says %d", len(raw), want.Size),
		}
	}
	return nil
}

var (
	documentKeys = []string{
		"schemaVersion", "mediaType", "artifactType", "config", "layers", "blobs", "manifests", "subject", "annotations",
		"fsLayers", "history", "signatures",
	}
	descriptorKeys = []string{"mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"}
)

// mediaType decides the media type of a document from the announced media type, the document's own
// mediaType field and its other fields.
func mediaType(announced string, fields map[string]json.RawMessage) (string, error) {
	own := ""
	if raw, ok := fields["mediaType"]; ok {
		if err := json.Unmarshal(raw, &own); err != nil {
			return "", errors.New("mediaType is not a string")
		}
	}
	announced, own = MediaType(announced), canonical(own)
	switch {
	case own == "" && announced != "":
		own = announced
	case own == "" && fields["manifests"] != nil:
		own = TypeIndex
	case own == "":
		own = TypeManifest
	case announced != "" && !strings.EqualFold(announced, own):
		return "", fmt.Errorf("it is announced as %s, but its own mediaType is %s", announced, own)
	}
	if isSchema1(own, fields) {
		return "", errSchema1
	}
	return own, nil
}

// IsSchema1 reports whether a document is in Docker's schema 1 of 2014, by the announced media type
// or by its bytes. The digest of such a document is that of its payload, without the signatures
// that it is served with, and some registries sign anew for each request. So its media type is
// judged before its digest: bytes with another digest are not corrupt.
func IsSchema1(announced string, raw []byte) bool {
	var fields map[string]json.RawMessage
	if len(raw) <= MaxDocument && json.Unmarshal(raw, &fields) != nil {
		fields = nil
	}
	return isSchema1(announced, fields)
}

func isSchema1(mediaType string, fields map[string]json.RawMessage) bool {
	return strings.Contains(strings.ToLower(mediaType), "docker.distribution.manifest.v1") || fields["fsLayers"] != nil ||
		string(fields["schemaVersion"]) == "1"
}

var errSchema1 = errors.New("its format is Docker's schema 1 of 2014, which registries no longer accept; " +
	"pull it and push it again at the source with a current tool first")

// MediaType returns the media type that a Content-Type names: in lower case, because media types are
// compared without regard to case (RFC 9110 §8.3.1), and without parameters. It returns "" for a type
// that says nothing about a document: "text/plain", "application/json" and "application/octet-stream".
func MediaType(contentType string) string {
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ""
	}
	switch t {
	case "text/plain", "application/octet-stream", "application/json":
		return ""
	}
	return t
}

// canonical returns a media type of a document as the specification writes it, however its letters are
// cased. Other media types stay as they are.
func canonical(mediaType string) string {
	for _, known := range []string{TypeManifest, TypeIndex, TypeDockerManifest, TypeDockerList, TypeArtifact} {
		if strings.EqualFold(mediaType, known) {
			return known
		}
	}
	return mediaType
}

func (d *Document) readChildren(fields map[string]json.RawMessage) error {
	if raw, ok := fields["config"]; ok && !isNull(raw) {
		c, err := descriptor(raw)
		if err != nil {
			return fmt.Errorf("config: %w", err)
		}
		d.Config = &c
		d.Blobs = append(d.Blobs, c)
	}
	for _, key := range []string{"layers", "blobs"} {
		list, err := descriptors(key, fields[key])
		if err != nil {
			return err
		}
		for _, l := range list {
			if IsForeign(l.MediaType) && len(l.URLs) > 0 {
				d.Foreign = append(d.Foreign, l)
			} else {
				d.Blobs = append(d.Blobs, l)
			}
		}
	}
	list, err := descriptors("manifests", fields["manifests"])
	if err != nil {
		return err
	}
	for _, m := range list {
		if isBlob(m.MediaType) {
			d.Blobs = append(d.Blobs, m)
		} else {
			d.Documents = append(d.Documents, m)
		}
	}
	if raw, ok := fields["subject"]; ok && !isNull(raw) {
		s, err := descriptor(raw)
		if err != nil {
			return fmt.Errorf("subject: %w", err)
		}
		d.Subject = &s
	}
	if d.Blobs, err = unique(d.Blobs); err != nil {
		return err
	}
	d.Documents, err = unique(d.Documents)
	return err
}

// checkShape refuses a document that one program would read as a manifest and another as an index.
func (d *Document) checkShape(fields map[string]json.RawMessage) error {
	isManifest := fields["config"] != nil || fields["layers"] != nil
	isIndex := fields["manifests"] != nil
	switch {
	case isManifest && isIndex:
		return refused(d.Digest, "it is both a manifest and an index: it has layers and manifests")
	case isIndex && (d.MediaType == TypeManifest || d.MediaType == TypeDockerManifest):
		return refused(d.Digest, "its mediaType is that of a manifest (%s), but it lists manifests", d.MediaType)
	case isManifest && (d.MediaType == TypeIndex || d.MediaType == TypeDockerList):
		return refused(d.Digest, "its mediaType is that of an index (%s), but it has layers", d.MediaType)
	case d.Config == nil && (d.MediaType == TypeManifest || d.MediaType == TypeDockerManifest):
		return refused(d.Digest, "it is a manifest without a config")
	}
	return nil
}

func descriptors(key string, raw json.RawMessage) ([]Descriptor, error) {
	if raw == nil || isNull(raw) {
		return nil, nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, fmt.Errorf("%s is not a list", key)
	}
	out := make([]Descriptor, len(items))
	for i, item := range items {
		var err error
		if out[i], err = descriptor(item); err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", key, i, err)
		}
	}
	return out, nil
}

// maxSize is the largest integer that all JSON readers read as the same number: 2⁵³-1 bytes.
const maxSize = 1<<53 - 1

func descriptor(raw json.RawMessage) (Descriptor, error) {
	fields, err := object(raw, descriptorKeys)
	if err != nil {
		return Descriptor{}, err
	}
	var d Descriptor
	if err := json.Unmarshal(raw, &d); err != nil {
		return Descriptor{}, fmt.Errorf("not a descriptor: %w", err)
	}
	if ref.Digest(string(d.Digest)) != nil {
		return Descriptor{}, fmt.Errorf("not a digest: %.100q", string(d.Digest))
	}
	if fields["size"] == nil || isNull(fields["size"]) {
		return Descriptor{}, fmt.Errorf("%s has no size", d.Digest)
	}
	if d.Size < 0 || d.Size > maxSize {
		return Descriptor{}, fmt.Errorf("%s has the invalid size %d", d.Digest, d.Size)
	}
	d.MediaType = canonical(d.MediaType)
	if d.Data != nil {
		if int64(len(d.Data)) != d.Size || d.Digest.Algorithm().FromBytes(d.Data) != d.Digest {
			return Descriptor{}, fmt.Errorf("%s contains data with another digest", d.Digest)
		}
	}
	return d, nil
}

// unique removes repetitions of a digest. The same digest with two sizes is an error.
func unique(list []Descriptor) ([]Descriptor, error) {
	sizes := make(map[Digest]int64, len(list))
	var err error
	list = slices.DeleteFunc(list, func(d Descriptor) bool {
		size, seen := sizes[d.Digest]
		if seen && size != d.Size {
			err = fmt.Errorf("%s has two sizes, %d and %d", d.Digest, size, d.Size)
		}
		sizes[d.Digest] = d.Size
		return seen
	})
	return list, err
}

func refused(dgst Digest, format string, args ...any) error {
	return &fault.Fault{Kind: fault.Refused, Op: "read manifest", Name: string(dgst), Err: fmt.Errorf(format, args...)}
}
