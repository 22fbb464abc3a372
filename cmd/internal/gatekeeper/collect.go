package gatekeeper

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/oci"
)

// maxSignatures is how many signatures of one image are verified. More of them are a refusal, because
// somebody may add signatures without end.
const maxSignatures = 64

// The artifact types of documents that hold signatures.
const (
	typeCosign   = "application/vnd.dev.cosign.artifact.sig.v1+json" // of cosign, in the form of its digest tags
	typeNotation = "application/vnd.cncf.notary.signature"
)

// collect reads the signatures of the image at its source: cosign's digest tag, and what refers to it. It
// asks for nothing that cannot count. unread says why the source does not say what refers to the image, so that there
// may be more.
func (k *Keeper) collect(
	ctx context.Context, image *gate.Image,
) (all []evidence.Signature, unread, err error) {
	read := map[oci.Digest][]byte{} // several signatures may be over one payload
	add := func(doc oci.Document, counts func(mediaType string) bool) error {
		layers, err := layersOf(doc)
		if err != nil {
			return k.refuse(image, fmt.Errorf("its signatures cannot be read: %w", err), "")
		}
		for _, layer := range layers {
			if !counts(layer.MediaType) {
				continue
			}
			if len(all) == maxSignatures {
				found := fmt.Errorf("it has more than %d signatures", maxSignatures)
				return k.refuse(image, found, "remove signatures at the source")
			}
			raw, known := read[layer.Digest]
			if !known {
				if raw, err = image.Blob(ctx, layer); err != nil {
					return err
				}
				read[layer.Digest] = raw
			}
			all = append(all, evidence.Signature{From: string(doc.Digest), MediaType: layer.MediaType,
				Annotations: layer.Annotations, Raw: raw})
		}
		return nil
	}
	if k.Signature.Notation == nil {
		doc, has, err := image.Attached(ctx, "sig")
		if err == nil && has {
			err = add(doc, isPayload)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	list, unread := image.Referrers(ctx)
	if fault.Is(unread, fault.Canceled) || fault.Is(unread, fault.TooLarge) {
		return nil, nil, unread
	}
	for _, d := range list {
		counts := k.counts(d.ArtifactType)
		if counts == nil {
			continue
		}
		doc, err := image.Document(ctx, d.Digest)
		if err == nil {
			err = add(doc, counts)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return all, unread, nil
}

// layersOf returns the layers of a manifest as they stand in it. Two of them may differ only in their
// annotations, in which cosign keeps the signature.
func layersOf(doc oci.Document) ([]oci.Descriptor, error) {
	var fields struct {
		Layers []oci.Descriptor `json:"layers"`
	}
	err := json.Unmarshal(doc.Raw, &fields)
	return fields.Layers, err
}

// counts returns which layers of a document of an artifact type are signatures; nil means none.
func (k *Keeper) counts(artifactType string) func(mediaType string) bool {
	switch notation := k.Signature.Notation != nil; {
	case notation && artifactType == typeNotation:
		return func(s string) bool { return s == evidence.TypeJWS || s == evidence.TypeCOSE }
	case !notation && artifactType == typeCosign:
		return isPayload
	case !notation && strings.HasPrefix(artifactType, evidence.TypeBundle):
		return func(s string) bool { return strings.HasPrefix(s, evidence.TypeBundle) }
	}
	return nil
}

func isPayload(mediaType string) bool { return mediaType == evidence.TypePayload }
