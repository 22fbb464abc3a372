package remote

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Resolve asks what a tag or digest points to: one HEAD where the answer is
// complete, else a GET whose bytes are hashed. It is NotFound when it is not there.
func (r *reader) Resolve(ctx context.Context, reference string) (oci.Descriptor, error) {
	return firstOf(r, func(r *reader) (oci.Descriptor, error) { return r.Straight(ctx, reference) })
}

// firstOf asks the mirrors, then the registry itself. A mirror's error is no answer.
func firstOf[T any](r *reader, ask func(*reader) (T, error)) (T, error) {
	for _, m := range r.mirrors {
		if v, err := ask(m); err == nil {
			return v, nil
		}
	}
	return ask(r)
}

// Straight is Resolve without mirrors.
func (r *reader) Straight(ctx context.Context, reference string) (oci.Descriptor, error) {
	c := r.call("resolve", http.MethodHead, "/manifests/"+reference, r.at(reference))
	if err := c.checked(reference); err != nil {
		return oci.Descriptor{}, err
	}
	c.header = http.Header{"Accept": {strings.Join(oci.Accept, ", ")}}
	if !r.taught.has(noHead) {
		a, err := r.host.do(ctx, c, 200, 403, 405, 501)
		switch {
		case err != nil:
			return oci.Descriptor{}, err
		case a.status == 200:
			d, complete, err := headDescriptor(c, a, reference)
			if complete || err != nil {
				return d, err
			}
		case a.status == 403: // an answer to HEAD has no body that says why
		default:
			r.taught.learn(noHead)
		}
	}
	doc, err := r.document(ctx, "resolve", reference)
	return doc.Descriptor, err
}

// headDescriptor reads the headers of an answer to HEAD; complete is false when they leave something out.
func headDescriptor(c *call, a *answer, reference string) (d oci.Descriptor, complete bool, err error) {
	d = oci.Descriptor{MediaType: mediaTypeOf(a.header), Digest: oci.Digest(a.header.Get("Docker-Content-Digest")), Size: a.length}
	if ref.Digest(string(d.Digest)) != nil || a.length <= 0 { // no manifest is empty, but some registries say so
		return oci.Descriptor{}, false, nil
	}
	if ref.Digest(reference) == nil && string(d.Digest) != reference {
		if sameAlgorithm(string(d.Digest), reference) {
			return oci.Descriptor{}, false, c.fault(fault.Corrupt, "", fmt.Errorf("the registry answers with %s", d.Digest))
		}
		return oci.Descriptor{}, false, nil
	}
	return d, true, nil
}

func sameAlgorithm(a, b string) bool {
	x, _, _ := strings.Cut(a, ":")
	y, _, _ := strings.Cut(b, ":")
	return x == y
}

func mediaTypeOf(h http.Header) string {
	t, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.TrimSpace(t)
}

// Document reads a manifest or an index: one GET. By digest its bytes are
// verified; by tag the digest is that of the bytes. Longer than
// oci.MaxDocument is TooLarge.
func (r *reader) Document(ctx context.Context, reference string) (oci.Document, error) {
	return firstOf(r, func(r *reader) (oci.Document, error) { return r.document(ctx, "read manifest", reference) })
}

func (r *reader) document(ctx context.Context, op, reference string) (oci.Document, error) {
	c := r.call(op, http.MethodGet, "/manifests/"+reference, r.at(reference))
	if err := c.checked(reference); err != nil {
		return oci.Document{}, err
	}
	c.header = http.Header{"Accept": {strings.Join(oci.Accept, ", ")}}
	c.limit = oci.MaxDocument
	if doc, have := r.pulled.get(reference); have {
		return doc, nil
	}
	a, err := r.host.do(ctx, c, 200)
	switch {
	case err != nil:
		return oci.Document{}, err
	case a.over:
		return oci.Document{}, c.fault(fault.TooLarge, "", fmt.Errorf("longer than %d bytes", oci.MaxDocument))
	}
	if err := encoded(c, a.header); err != nil {
		return oci.Document{}, err
	}
	want := oci.Descriptor{MediaType: a.header.Get("Content-Type")}
	said := a.header.Get("Docker-Content-Digest")
	byDigest := ref.Digest(reference) == nil
	if byDigest {
		want.Digest = oci.Digest(reference)
		if said != "" && sameAlgorithm(said, reference) && said != reference {
			return oci.Document{}, c.fault(fault.Corrupt, "", fmt.Errorf("the registry answers with %s", clean(said)))
		}
	}
	doc, err := oci.Parse(want, a.raw)
	if err != nil {
		return oci.Document{}, c.named(err)
	}
	if r.host.pulls != nil {
		r.pulled.put(doc)
	}
	if !byDigest && said != "" && sameAlgorithm(said, string(doc.Digest)) && said != string(doc.Digest) {
		r.observe.Tell(event.Event{Kind: event.Noted, Host: r.host.name, Name: c.name, Digest: string(doc.Digest),
			Text: "the registry calls this manifest " + clean(said) + "; its bytes are " + string(doc.Digest)})
	}
	return doc, nil
}

// encoded refuses a body in another coding than the one asked for: its bytes
// would not be the stored ones.
func encoded(c *call, h http.Header) error {
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return c.fault(fault.Refused, "", fmt.Errorf("it comes in Content-Encoding %.40q although none was asked for", e))
	}
	return nil
}
