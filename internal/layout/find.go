package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Resolve returns the descriptor that a tag or digest points to. An empty reference means the
// only image of the layout, no matter which tag it has. In a layout opened with Read, "latest"
// also means the only image, if that has no name. Documents that refer to an image do not count.
// If several images have the tag, the error is Refused. If the document is not in the layout, the error is NotFound.
func (d *Dir) Resolve(ctx context.Context, reference string) (oci.Descriptor, error) {
	want, err := d.locate(ctx, "resolve", reference)
	if err != nil {
		return oci.Descriptor{}, err
	}
	if want.MediaType == "" {
		doc, err := d.document("resolve", reference, want)
		return doc.Descriptor, err
	}
	size, err := d.size(want.Digest)
	if err != nil {
		return oci.Descriptor{}, d.failed("resolve", d.name(reference), err)
	}
	if size != want.Size {
		return oci.Descriptor{}, d.corrupt("resolve", want, size)
	}
	return want, nil
}

// locate finds the descriptor for reference. For a digest, the size and the media type stay
// empty.
func (d *Dir) locate(ctx context.Context, op, reference string) (oci.Descriptor, error) {
	if err := canceled(ctx, op, d.name(reference)); err != nil {
		return oci.Descriptor{}, err
	}
	if ref.Digest(reference) == nil {
		return oci.Descriptor{Digest: oci.Digest(reference)}, nil
	}
	x, err := d.readIndex()
	if err != nil {
		return oci.Descriptor{}, err
	}
	e, err := x.find(d.repo.Path, reference, d.mode, func(x *index) ([]entry, error) { return d.images(ctx, x) })
	if err != nil {
		return oci.Descriptor{}, d.failed(op, d.name(reference), err)
	}
	return e.descriptor()
}

// find returns the entry for a tag in the repository path, or for "", which is the only image there. In the
// repository "", a tag also finds the only image with that tag in any repository. In a layout opened with Read,
// "latest" also finds the only image, if that has no name. images returns the entries that are images, see
// Dir.images.
func (x *index) find(path, tag string, mode Mode, images func(*index) ([]entry, error)) (entry, error) {
	x.once.Do(x.sort)
	if tag == "" {
		all, err := images(x)
		if err != nil {
			return entry{}, err
		}
		if path == "" {
			return x.only(all, "the layout has several entries, and no tag was given")
		}
		in := func(e entry) bool { return slices.ContainsFunc(e.labels, func(l label) bool { return l.path == path }) }
		return x.only(slices.DeleteFunc(slices.Clone(all), func(e entry) bool { return !in(e) }),
			"the repository has several images, and no tag was given")
	}
	if list := x.at(x.labeled[label{path, tag}]); len(list) > 0 {
		return x.only(list, "several entries have this name")
	}
	if path != "" {
		return entry{}, x.unknown()
	}
	list := x.at(x.tagged[tag])
	if len(list) == 0 && mode == Read && tag == "latest" {
		all, err := images(x)
		if err != nil {
			return entry{}, err
		}
		if len(all) == 1 && !all[0].isNamed() {
			return all[0], nil
		}
	}
	return x.only(list, "several images have this tag")
}

// sort arranges the entries by their labels.
func (x *index) sort() {
	x.labeled, x.tagged = map[label][]int{}, map[string][]int{}
	for i, e := range x.entries {
		for _, l := range e.labels {
			x.labeled[l] = append(x.labeled[l], i)
			x.tagged[l.tag] = append(x.tagged[l.tag], i)
		}
		// The tag that docker writes beside a whole reference.
		if t := e.Annotations.Ref; len(e.labels) > 0 && ref.Tag(t) == nil && e.labels[0] != (label{"", t}) && e.tag() != t {
			x.tagged[t] = append(x.tagged[t], i)
		}
	}
}

func (x *index) at(list []int) []entry {
	var all []entry
	for _, i := range list {
		all = append(all, x.entries[i])
	}
	return all
}

// only returns the first entry of list. All entries must have the same digest.
func (x *index) only(list []entry, why string) (entry, error) {
	if len(list) == 0 {
		return entry{}, x.unknown()
	}
	for _, e := range list[1:] {
		if e.Digest == list[0].Digest {
			continue
		}
		f := &fault.Fault{Kind: fault.Refused, Op: "choose", Err: errors.New(why)}
		digests := list[0].Digest + " or " + e.Digest
		f.Hint = "use a digest: " + digests
		if len(list[0].labels) > 0 && len(e.labels) > 0 && list[0].labels[0] != e.labels[0] {
			f.Err = fmt.Errorf("%s: %s", why, shown(list))
			f.Hint = fmt.Sprintf("write the whole name of one, such as %s, or use a digest: %s", list[0].labels[0], digests)
		}
		return entry{}, f
	}
	return list[0], nil
}

// unknown returns the error for a name that no entry has. It lists those that there are.
func (x *index) unknown() error {
	some := shown(x.entries)
	if some == "" {
		return fs.ErrNotExist
	}
	return &unknown{"the layout has " + some}
}

type unknown struct{ text string }

func (u *unknown) Error() string   { return u.text }
func (*unknown) Is(err error) bool { return err == fs.ErrNotExist }

// shown returns the names of entries for a message, up to ten.
func shown(list []entry) string {
	const most = 10
	var names []string
	for _, e := range list {
		if len(e.labels) > 0 {
			names = append(names, e.labels[0].String())
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > most {
		names = append(names[:most], "and others")
	}
	return strings.Join(names, ", ")
}
