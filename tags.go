package dray

import (
	"context"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/oci"
)

// listTagsOnly calls visit with each tag as the listing tells of it, and asks for none by itself.
func listTagsOnly(ctx context.Context, b *base, names *reader, req lookRequest, obs event.Observer, visit func(Entry) error) error {
	name, at, s, err := look(b, names, req, obs)
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
