package read

import (
	"cmp"
	"context"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// tagPatience is how long a registry that has mirrors may stay silent or fail before they are asked
// for a tag, unless the configuration says when its answers begin.
const tagPatience = 5 * time.Second

// Resolve returns the descriptor that a tag or digest points to. It sends one HEAD. If the headers
// of the answer are incomplete, it sends a GET and computes the digest of the body. The error is
// NotFound if there is no such reference. What a tag points to is asked at the registry, see tagged.
func (r *Reader) Resolve(ctx context.Context, reference string) (oci.Descriptor, error) {
	if ref.Digest(reference) != nil {
		return r.tagged(ctx, reference)
	}
	return firstOf(ctx, r, func(r *Reader) (oci.Descriptor, error) { return r.Straight(ctx, reference) })
}

// Document reads a manifest or an index with one GET. For a digest, it verifies the bytes. For a
// tag, it computes the digest of the bytes. If there are mirrors, it resolves a tag first, so that
// they can answer. If a cache has no such digest, Document asks for the tag that resolved to it. The
// error is TooLarge if the document is longer than oci.MaxDocument.
func (r *Reader) Document(ctx context.Context, reference string) (oci.Document, error) {
	if len(r.mirrors) > 0 && ref.Digest(reference) != nil {
		d, err := r.tagged(ctx, reference)
		if err != nil {
			return oci.Document{}, err
		}
		reference = string(d.Digest)
	}
	return firstOf(ctx, r, func(r *Reader) (oci.Document, error) { return r.named(ctx, "read manifest", reference) })
}

// tagged returns what a tag points to. A mirror may be out of date, so the registry is asked, with a
// HEAD, which is not counted as a pull. Only if the registry cannot be asked does a mirror answer.
// An event then says so.
func (r *Reader) tagged(ctx context.Context, tag string) (oci.Descriptor, error) {
	if len(r.mirrors) == 0 {
		return r.Straight(ctx, tag)
	}
	out := &r.taught.outage
	cause := out.holds()
	if cause == nil {
		begin := time.Now()
		d, err := r.briefly(ctx, tag)
		if ctx.Err() != nil || !r.unreached(begin, err) {
			return d, err
		}
		cause = out.begin(err)
	}
	by, absent := r, error(nil)
	d, err := firstOf(ctx, r, func(at *Reader) (oci.Descriptor, error) {
		by = at
		d, err := at.Straight(ctx, tag)
		if at != r && fault.Is(err, fault.NotFound) {
			absent = err
		}
		return d, err
	})
	belongs, _ := oci.TaggedFor(tag)
	switch {
	case err != nil && absent != nil && belongs != "":
		return d, absent // it is looked for on the off chance: the mirror is believed, as it is for the image
	case err != nil:
	case by == r:
		out.end()
	default:
		r.Observe.Tell(event.Event{Kind: event.Noted, Host: r.Host.Name, Err: cause, Count: 1,
			Text: r.Host.Name + " cannot be asked for its tags, so they are those of its mirror " + by.Host.Name +
				", which may be older: " + reason.CauseOf(cause).Error()})
	}
	return d, err
}

// briefly resolves a tag at the registry, which fails soon if the registry does not answer.
func (r *Reader) briefly(ctx context.Context, tag string) (oci.Descriptor, error) {
	h := *r.Handle
	h.Patience = cmp.Or(h.Host.Set.FirstByte, tagPatience)
	h.Yield = func() bool { return true } // a mirror has no pull limit to wait for
	home := &Reader{Handle: &h, taught: r.taught, source: r.source}
	d, err := home.straight(ctx, tag)
	if err != nil {
		return d, err
	}
	r.taught.outage.end()
	for _, at := range append([]*Reader{r}, r.mirrors...) {
		at.asked.note(d.Digest, tag)
	}
	return d, nil
}

// unreached reports whether err, of a request that began at begin, says that the registry cannot be
// asked at all: it does not answer, it is overloaded, its pull limit is used up, or something else
// answers in its place.
func (r *Reader) unreached(begin time.Time, err error) bool {
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.Throttled:
		return true
	case fault.Refused: // among others by TLS or by a proxy
		return reason.IsPage(err) || !r.Host.Pulse.HeardSince(begin)
	case fault.Denied: // by a proxy
		return r.Host.Pulse.Never()
	}
	return false
}
