package look

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/nearest"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/report"
)

// RemoveRequest asks to delete a tag, or a manifest with its tags.
type RemoveRequest struct {
	Image string
	What  report.RemoveWhat
	Login *credential.Login
}

// PlanRemove finds out what a removal would delete. It deletes nothing.
func PlanRemove(
	ctx context.Context, b *place.Base, names *name.Reader, req RemoveRequest, obs event.Observer,
) (report.Removal, error) {
	name, err := names.Parse(req.Image, fault.Target)
	r := report.Removal{What: cmp.Or(req.What, report.RemoveTag), Image: name}
	switch {
	case err != nil:
		return r, err
	case r.What == report.RemoveTag && name.Tag == "":
		return r, fault.Misuse("remove", name.String(), "this names no tag",
			"name a tag, or use --manifest to delete a digest with all its tags")
	case name.Tag == "" && name.Digest == "":
		return r, fault.Misuse("remove", name.String(), "this names a repository, not an image", "name a tag or a digest")
	}
	s := b.Begin(req.Login, nil, obs)
	defer s.Release()
	at, err := s.Source(name.Repo)
	if err != nil {
		return r, err
	}
	desc, err := at.Resolve(ctx, cmp.Or(name.Tag, name.Digest))
	if err != nil {
		return r, nearest.Hint(ctx, s, name, err)
	}
	r.Digest = desc.Digest
	if name.Tag != "" && name.Digest != "" && string(desc.Digest) != name.Digest {
		return r, movedError(r, desc.Digest)
	}
	r.Tags = []string{name.Tag}
	if r.What == report.RemoveManifest {
		inv, err := survey.SourceTags(ctx, s, name.Repo)
		if err != nil {
			return r, withoutSide(err)
		}
		r.Tags = nil
		for n, at := range inv {
			if at.Digest == r.Digest {
				r.Tags = append(r.Tags, n.Tag)
			}
		}
		slices.Sort(r.Tags)
	}
	return r, nil
}

// Remove deletes what PlanRemove found.
func Remove(ctx context.Context, b *place.Base, r report.Removal, login *credential.Login, obs event.Observer) error {
	s := b.Begin(login, nil, obs)
	defer s.Release()
	at, err := s.Deleter(r.Image.Repo)
	if err != nil {
		return err
	}
	if r.Image.Tag != "" {
		now, err := at.Resolve(ctx, r.Image.Tag)
		switch {
		case err != nil:
			return err
		case now.Digest != r.Digest:
			return movedError(r, now.Digest)
		}
	}
	if r.What == report.RemoveManifest {
		return at.Delete(ctx, string(r.Digest), r.Tags...)
	}
	return at.Delete(ctx, r.Image.Tag)
}

func movedError(r report.Removal, now oci.Digest) error {
	n := r.Image
	was := cmp.Or(n.Digest, string(r.Digest))
	n.Digest = ""
	return &fault.Fault{
		Kind: fault.Moved,
		Op:   "remove",
		Name: n.String(),
		Hint: "look at the image again",
		Err:  fmt.Errorf("it was %s, now it is %s", was, now),
	}
}

// withoutSide removes the side from an error, for a verb that has one side only.
func withoutSide(err error) error {
	f, ok := err.(*fault.Fault) //nolint:errorlint // the side is said by the outermost one
	if !ok {
		return err
	}
	g := *f
	g.Side = ""
	return &g
}
