package read

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Straight is Resolve without mirrors.
func (r *Reader) Straight(ctx context.Context, reference string) (oci.Descriptor, error) {
	d, err := r.straight(ctx, reference)
	if err == nil {
		r.asked.note(d.Digest, reference)
	}
	return d, err
}

func (r *Reader) straight(ctx context.Context, reference string) (oci.Descriptor, error) {
	c := r.Call("resolve", http.MethodHead, "/manifests/"+reference, r.At(reference))
	if err := c.Checked(reference); err != nil {
		return oci.Descriptor{}, err
	}
	c.Header = http.Header{"Accept": {strings.Join(oci.Accept, ", ")}}
	refused, absent := false, error(nil)
	if !r.taught.has(noHead) {
		a, err := r.Host.Do(ctx, c, 200, 400, 401, 403, 404, 405, 501)
		switch {
		case err != nil:
			return oci.Descriptor{}, err
		case a.Status == http.StatusOK:
			d, complete, err := headDescriptor(c, a, reference)
			if complete || err != nil {
				return d, err
			}
		case a.RefusesHead():
			refused = true
		case a.Status == http.StatusNotFound && r.doubts404(reference):
			absent = c.Named(r.Host.Refusal(c, a))
		default:
			return oci.Descriptor{}, c.Named(r.Host.Refusal(c, a))
		}
	}
	doc, err := r.document(ctx, "resolve", reference)
	switch {
	case refused && err == nil:
		r.taught.learn(noHead)
	case absent != nil && fault.Is(err, fault.NotFound) && !reason.IsStray(err):
		err = absent // it says in plain words what the codes of the answer to GET say
	}
	return doc.Descriptor, err
}

// doubts404 reports whether a 404 to a HEAD is asked again by GET, before a name of a source is
// reported as not found. Of a target, a name that is not there is nothing unusual, and neither is a digest
// tag that is not there. Where pulls are counted, HEAD is known to work, and a GET might have to wait.
func (r *Reader) doubts404(reference string) bool {
	belongs, _ := oci.TaggedFor(reference)
	return r.source && r.Host.Pulls == nil && belongs == ""
}

// headDescriptor reads a descriptor from the headers of an answer to HEAD. complete is false if
// they leave something out.
func headDescriptor(c *wire.Call, a *wire.Answer, reference string) (d oci.Descriptor, complete bool, err error) {
	d = oci.Descriptor{
		MediaType: oci.MediaType(a.Header.Get("Content-Type")),
		Digest:    oci.Digest(a.Header.Get("Docker-Content-Digest")),
		Size:      a.Length,
	}
	// Some registries send length 0, but no manifest is empty. With a coding, the length is not the
	// document's. A media type that says nothing is looked for in the document. GET shows whether a web
	// page answers.
	if d.MediaType == "" || ref.Digest(string(d.Digest)) != nil || a.Length <= 0 ||
		reason.Coding(a.Header) != "" || a.IsPage() {
		return oci.Descriptor{}, false, nil
	}
	if ref.Digest(reference) == nil && string(d.Digest) != reference {
		if SameAlgorithm(string(d.Digest), reference) && !oci.IsSchema1(d.MediaType, nil) {
			return oci.Descriptor{}, false, c.Fault(fault.Corrupt, "",
				fmt.Errorf("the registry answers with the digest %s instead", d.Digest))
		}
		return oci.Descriptor{}, false, nil
	}
	return d, true, nil
}

// SameAlgorithm reports whether two digests use the same algorithm and so can be compared.
func SameAlgorithm(a, b string) bool {
	x, _, _ := strings.Cut(a, ":")
	y, _, _ := strings.Cut(b, ":")
	return x == y
}

// named reads a document. If the registry does not have its digest, named asks for the tag that
// resolved to this digest, and takes the answer only if its bytes have the digest.
func (r *Reader) named(ctx context.Context, op, reference string) (oci.Document, error) {
	doc, err := r.document(ctx, op, reference)
	tag := r.asked.tag(reference)
	if tag == "" || !fault.Is(err, fault.NotFound) {
		return doc, err
	}
	again, tagErr := r.document(ctx, op, tag)
	switch {
	case tagErr == nil && string(again.Digest) == reference:
		return again, nil
	case tagErr != nil && !fault.Is(tagErr, fault.NotFound):
		return oci.Document{}, tagErr
	}
	return doc, err
}

// document reads a document. Bytes that do not have their digest are read once more: a proxy may have cut or
// damaged one answer.
func (r *Reader) document(ctx context.Context, op, reference string) (oci.Document, error) {
	doc, damaged, err := r.answered(ctx, op, reference)
	if damaged {
		doc, _, err = r.answered(ctx, op, reference)
	}
	return doc, err
}

// answered reads a document with one request. damaged says that the bytes do not have the digest that was asked
// for, or that the registry said.
func (r *Reader) answered(ctx context.Context, op, reference string) (doc oci.Document, damaged bool, err error) {
	c := r.Call(op, http.MethodGet, "/manifests/"+reference, r.At(reference))
	if err := c.Checked(reference); err != nil {
		return doc, false, err
	}
	c.Header = http.Header{"Accept": {strings.Join(oci.Accept, ", ")}}
	c.Limit = oci.MaxDocument
	if doc, have := r.pulled.get(reference); have {
		return doc, false, nil
	}
	c.Room = r.Host.Options.Room.Open()
	defer c.Room.Close()
	a, err := r.Host.Do(ctx, c, 200)
	switch {
	case err != nil:
		return doc, false, err
	case a.Over:
		return doc, false, c.Fault(fault.TooLarge, "check what answers there: no registry takes a larger manifest",
			fmt.Errorf("longer than %d MiB", oci.MaxDocument>>20))
	}
	want := oci.Descriptor{MediaType: a.Header.Get("Content-Type")}
	said := a.Header.Get("Docker-Content-Digest")
	byDigest := ref.Digest(reference) == nil
	if byDigest {
		want.Digest = oci.Digest(reference)
		if said != "" && SameAlgorithm(said, reference) && said != reference &&
			!oci.IsSchema1(want.MediaType, a.Raw) { // Parse refuses that, whatever its digest
			return doc, false, c.Fault(fault.Corrupt, "",
				fmt.Errorf("the registry answers with the digest %s instead", reason.Clean(said)))
		}
	}
	doc, err = oci.Parse(want, a.Raw)
	if err != nil {
		damaged = fault.Is(err, fault.Corrupt) || ref.Digest(said) == nil && !oci.IsSchema1(want.MediaType, a.Raw) &&
			oci.Digest(said).Algorithm().FromBytes(a.Raw) != oci.Digest(said)
		return doc, damaged, c.Named(err)
	}
	if r.Host.Pulls != nil {
		r.pulled.put(doc)
	}
	if !byDigest && said != "" && SameAlgorithm(said, string(doc.Digest)) && said != string(doc.Digest) {
		r.Observe.Tell(event.Event{
			Kind:   event.Noted,
			Host:   r.Host.Name,
			Name:   c.Name,
			Digest: string(doc.Digest),
			Text: "the registry reports the digest " + reason.Clean(said) + " for this manifest, " +
				"but its bytes have the digest " + string(doc.Digest),
		})
	}
	return doc, false, nil
}
