package layout

import (
	"context"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Referrers lists the documents that can be reached from index.json and whose subject is s, with
// their artifact types and annotations. It also lists the entries of an index under the fallback
// tag (distribution-spec v1.1.1 §Referrers Tag Schema). The first call reads every document of the
// layout. Referrers skips those that are missing or malformed.
func (d *Dir) Referrers(ctx context.Context, s oci.Descriptor) ([]oci.Descriptor, error) {
	x, err := d.readIndex()
	if err != nil {
		return nil, err
	}
	d.linking.Lock()
	defer d.linking.Unlock()
	if d.linkedOf != x {
		all, err := d.links(ctx, x)
		if err != nil {
			return nil, err
		}
		d.linkedOf, d.referrers = x, all
	}
	return slices.Clone(d.referrers[s.Digest]), nil
}

// links finds what refers to what in the documents that can be reached from x.
func (d *Dir) links(ctx context.Context, x *index) (map[oci.Digest][]oci.Descriptor, error) {
	all := map[oci.Digest][]oci.Descriptor{}
	add := func(to oci.Digest, r oci.Descriptor) {
		if r.Digest != to && !slices.ContainsFunc(all[to], func(o oci.Descriptor) bool { return o.Digest == r.Digest }) {
			all[to] = append(all[to], r)
		}
	}
	seen := map[oci.Digest]bool{}
	for _, e := range x.entries {
		top, err := e.descriptor()
		if err != nil {
			continue
		}
		if err := d.walk(ctx, top, seen, func(l *linked) {
			if l.subject != "" {
				add(l.subject, l.as)
			}
		}); err != nil {
			return nil, err
		}
		for _, name := range e.labels {
			subject := fallback(name.tag)
			if subject == "" {
				continue
			}
			if l, err := d.link(top); err == nil && l != nil && l.as.MediaType == oci.TypeIndex && l.as.Digest != subject {
				for _, r := range l.below {
					add(subject, r)
				}
			}
		}
	}
	return all, nil
}

// images returns the entries of x, except those that only refer to something else in the layout: documents
// without a name that have a subject, digest tags, and fallback tags.
func (d *Dir) images(ctx context.Context, x *index) ([]entry, error) {
	if len(x.entries) < 2 {
		return x.entries, nil
	}
	d.linking.Lock()
	defer d.linking.Unlock()
	seen, subjects := map[oci.Digest]bool{}, map[oci.Digest]oci.Digest{}
	for _, e := range x.entries {
		top, err := e.descriptor()
		if err != nil {
			continue
		}
		if err := d.walk(ctx, top, seen, func(l *linked) { subjects[l.as.Digest] = l.subject }); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(x.entries), func(e entry) bool {
		of := subjects[oci.Digest(e.Digest)]
		if e.isNamed() {
			of, _ = oci.TaggedFor(e.tag())
		}
		_, there := subjects[of]
		return there && of != oci.Digest(e.Digest)
	}), nil
}

// Nameless lists the images that have no name in the layout, neither a tag nor a whole reference: only their digests
// find them. Documents that refer to an image, and those that an index lists, do not count.
func (d *Dir) Nameless(ctx context.Context) ([]oci.Descriptor, error) {
	x, err := d.readIndex()
	if err != nil {
		return nil, err
	}
	images, err := d.images(ctx, x)
	if err != nil {
		return nil, err
	}
	known := map[oci.Digest]bool{}
	d.linking.Lock()
	defer d.linking.Unlock()
	for _, e := range x.entries {
		known[oci.Digest(e.Digest)] = known[oci.Digest(e.Digest)] || len(e.labels) > 0
		top, err := e.descriptor()
		if err != nil {
			return nil, err
		}
		err = d.walk(ctx, top, map[oci.Digest]bool{}, func(l *linked) {
			for _, c := range l.below {
				known[c.Digest] = true
			}
		})
		if err != nil {
			return nil, err
		}
	}
	var all []oci.Descriptor
	for _, e := range images {
		if top, err := e.descriptor(); err == nil && !known[top.Digest] {
			known[top.Digest] = true
			all = append(all, top)
		}
	}
	return all, nil
}

// fallback returns the digest that a fallback tag stands for, or "" for any other tag.
func fallback(tag string) oci.Digest {
	algorithm, hex, _ := strings.Cut(tag, "-")
	if digest := algorithm + ":" + hex; ref.Digest(digest) == nil {
		return oci.Digest(digest)
	}
	return ""
}

// walk visits top, and every document below it that was not visited before.
func (d *Dir) walk(ctx context.Context, top oci.Descriptor, seen map[oci.Digest]bool, visit func(*linked)) error {
	for next := []oci.Descriptor{top}; len(next) > 0; {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		if seen[at.Digest] {
			continue
		}
		seen[at.Digest] = true
		if err := canceled(ctx, "list referrers", d.repo.String()); err != nil {
			return err
		}
		l, err := d.link(at)
		if err != nil {
			return err
		}
		if l != nil {
			visit(l)
			next = append(next, l.below...)
		}
	}
	return nil
}

// link reads what Referrers needs of a document, once. It returns nil if the document is missing or malformed.
func (d *Dir) link(at oci.Descriptor) (*linked, error) {
	if l, ok := d.known[at.Digest]; ok {
		return l, nil
	}
	doc, err := d.document("list referrers", string(at.Digest), at)
	switch fault.KindOf(err) {
	case "":
	case fault.Denied, fault.Unavailable, fault.Internal:
		return nil, err
	default:
		return nil, nil
	}
	l := &linked{as: doc.Descriptor, below: doc.Documents}
	if doc.Subject != nil {
		l.as, l.subject = doc.AsReferrer(), doc.Subject.Digest
	}
	d.known[at.Digest] = l
	return l, nil
}
