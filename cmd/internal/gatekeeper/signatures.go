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

// maxTold is how many of the signatures that are not trusted a refusal explains.
const maxTold = 3

// signature checks that a trusted signature is over exactly this image. Whatever goes wrong is a refusal.
func (k *Keeper) signature(ctx context.Context, image *gate.Image) error {
	if !k.Signature.Required() {
		return nil
	}
	all, err := k.collect(ctx, image)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return k.refuse(image, "sign it, or copy it from where its signature is", "it has no signature of %s", k.kind())
	}
	doc, err := image.Document(ctx, image.Root.Digest)
	if err != nil {
		return err
	}
	root := oci.Descriptor{MediaType: doc.MediaType, Digest: doc.Digest, Size: doc.Size}
	request, err := json.Marshal(evidence.Request{
		Version: evidence.Version, Repository: image.Name.Repo.String(), Image: root, Trust: k.trust, Signatures: all,
	})
	if err != nil {
		return k.refuse(image, "", "its signatures cannot be verified: %w", err)
	}
	raw, err := k.verify(ctx, request)
	if fault.Is(err, fault.Canceled) {
		return err
	}
	if err != nil {
		return k.refuse(image, fault.HintOf(err), "its signatures cannot be verified: %w", err)
	}
	answer, err := read(raw)
	switch {
	case err != nil:
		return k.refuse(image, "install dray and drayd of the same version", "its signatures cannot be verified: %w", err)
	case answer.Image != image.Root.Digest:
		return k.refuse(image, "install dray and drayd of the same version",
			"its signatures cannot be verified: drayd answered about another image")
	case answer.By == "":
		return k.refuse(image, "sign it with the key or the identity that the gate trusts", "%s", told(answer, len(all)))
	}
	return nil
}

// read reads an answer of drayd.
func read(raw []byte) (a evidence.Answer, err error) {
	if err := json.Unmarshal(raw, &a); err != nil {
		return a, fmt.Errorf("drayd did not answer in the form that this dray reads: %d bytes", len(raw))
	}
	if a.Version != evidence.Version {
		return a, fmt.Errorf("drayd answered in version %d of the format; this dray reads %d", a.Version, evidence.Version)
	}
	return a, nil
}

// told says why no signature is trusted.
func told(a evidence.Answer, n int) string {
	what := "its signature is not trusted: "
	if n > 1 {
		what = fmt.Sprintf("none of its %d signatures is trusted: ", n)
	}
	found := a.Found
	if more := len(found) - maxTold; more > 0 {
		found = append(found[:maxTold:maxTold], fmt.Sprintf("and %d more", more))
	}
	return what + strings.Join(found, "; ")
}

// kind says of whose kind the required signature is.
func (k *Keeper) kind() string {
	if k.Signature.Notation != nil {
		return "notation"
	}
	return "cosign"
}
