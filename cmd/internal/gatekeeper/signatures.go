package gatekeeper

import (
	"context"
	"encoding/json"
	"errors"
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
	all, unread, err := k.collect(ctx, image)
	if err != nil {
		return err
	}
	if len(all) == 0 && unread != nil {
		return k.unknown(image, unread)
	}
	if len(all) == 0 {
		found := fmt.Errorf("it has no signature of %s", k.kind())
		return k.refuse(image, found, "sign it, or copy it from where its signature is")
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
		return k.refuse(image, unverified(err), "")
	}
	raw, err := k.verify(ctx, request)
	if fault.Is(err, fault.Canceled) {
		return err
	}
	if err != nil {
		return k.refuse(image, unverified(err), fault.HintOf(err))
	}
	answer, err := read(raw)
	if err == nil && answer.Image != image.Root.Digest {
		err = errors.New("drayd answered about another image")
	}
	if err != nil {
		return k.refuse(image, unverified(err), "install dray and drayd of the same version")
	}
	if answer.By == "" && unread != nil {
		return k.unknown(image, fmt.Errorf("%w; %w", unread, told(answer, len(all))))
	}
	if answer.By == "" {
		return k.refuse(image, told(answer, len(all)), "sign it with the key or the identity that the gate trusts")
	}
	return nil
}

// unverified returns the reason of a refusal if there is no answer.
func unverified(err error) error { return fmt.Errorf("its signatures cannot be verified: %w", err) }

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
func told(a evidence.Answer, n int) error {
	found := a.Found
	if more := len(found) - maxTold; more > 0 {
		found = append(found[:maxTold:maxTold], fmt.Sprintf("and %d more", more))
	}
	why := strings.Join(found, "; ")
	if n > 1 {
		return fmt.Errorf("none of its %d signatures is trusted: %s", n, why)
	}
	return fmt.Errorf("its signature is not trusted: %s", why)
}

// kind says of whose kind the required signature is.
func (k *Keeper) kind() string {
	if k.Signature.Notation != nil {
		return "notation"
	}
	return "cosign"
}
