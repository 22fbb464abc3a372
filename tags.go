package dray

import (
	"context"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/oci"
)

// ListTags calls visit with each tag of the repository or layout that req names,
// as its listing tells of it, until visit returns an error, and returns that.
// Unlike List it asks for no tag by itself: Digest is "" where the listing does
// not tell it.
func (d *Dray) ListTags(ctx context.Context, req LookRequest, obs event.Observer, visit func(Entry) error) error {
	name, at, s, err := d.look(req, obs)
	if err != nil {
		return err
	}
	defer s.release()
	if name.Tag != "" || name.Digest != "" {
		return invalid("list tags of", name.String(), "this names one image", "leave the tag off, or use dray digest")
	}
	return at.List(ctx, func(l oci.Listed) error {
		return visit(Entry{Repository: at.Repo(), Name: at.Repo().Tagged(l.Tag).String(), Tag: l.Tag, Digest: l.Descriptor.Digest, Updated: moment(l.Updated), Created: moment(l.Created)})
	})
}
