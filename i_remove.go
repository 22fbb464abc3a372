package dray

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// RemoveWhat says what a RemoveRequest takes away.
type RemoveWhat string

const (
	RemoveTag      RemoveWhat = "tag"      // the tag alone; what it points to stays
	RemoveManifest RemoveWhat = "manifest" // what the name points to, with all its tags
)

// Removal is what Remove will take away.
type Removal struct {
	What   RemoveWhat `json:"what"`
	Image  ref.Name   `json:"image"`  // as it was asked for
	Digest oci.Digest `json:"digest"` // what it points to
	Tags   []string   `json:"tags"`   // that go: the one, or of a manifest all that point to it, in order
}

// removeRequest asks to take an image away.
type removeRequest struct {
	Image string
	What  RemoveWhat
	Login *credential.Login
}

// planRemove finds out what a removal takes with it. Nothing is removed.
func planRemove(ctx context.Context, b *base, names *reader, req removeRequest, obs event.Observer) (Removal, error) {
	name, err := names.parse(req.Image)
	r := Removal{What: cmp.Or(req.What, RemoveTag), Image: name}
	switch {
	case err != nil:
		return r, err
	case name.IsLayout():
		return r, invalid("remove", name.String(), "a layout", "nothing is removed from layouts")
	case r.What == RemoveTag && name.Tag == "":
		return r, invalid("remove", name.String(), "it names no tag", "write the tag; --manifest removes a digest with all its tags")
	case name.Tag == "" && name.Digest == "":
		return r, invalid("remove", name.String(), "it names no image", "write a tag or a digest")
	}
	s := b.begin(req.Login, nil, obs)
	defer s.release()
	at, err := s.source(name.Repo)
	if err != nil {
		return r, err
	}
	desc, err := at.Resolve(ctx, cmp.Or(name.Tag, name.Digest))
	if err != nil {
		return r, err
	}
	r.Digest = desc.Digest
	if name.Tag != "" && name.Digest != "" && string(desc.Digest) != name.Digest {
		return r, gone(r, desc.Digest)
	}
	r.Tags = []string{name.Tag}
	if r.What == RemoveManifest {
		inv, err := s.sourceTags(ctx, name.Repo)
		if err != nil {
			return r, sideless(err)
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

// remove carries out what planRemove found.
func remove(ctx context.Context, b *base, r Removal, login *credential.Login, obs event.Observer) error {
	s := b.begin(login, nil, obs)
	defer s.release()
	at, err := b.deleter(r.Image.Repo, remote.Use{Actions: remote.Pull, Login: login, Observe: s.observe})
	if err != nil {
		return err
	}
	if r.Image.Tag != "" {
		now, err := at.Resolve(ctx, r.Image.Tag)
		switch {
		case err != nil:
			return err
		case now.Digest != r.Digest:
			return gone(r, now.Digest)
		}
	}
	if r.What == RemoveManifest {
		return at.Delete(ctx, string(r.Digest), r.Tags...)
	}
	return at.Delete(ctx, r.Image.Tag)
}

func gone(r Removal, now oci.Digest) error {
	n := r.Image
	was := cmp.Or(n.Digest, string(r.Digest))
	n.Digest = ""
	return &fault.Fault{Kind: fault.Moved, Op: "remove", Name: n.String(), Hint: "look at it again", Err: fmt.Errorf("it was %s, it is %s", was, now)}
}

// sideless takes the side off an error of a verb that has one end only.
func sideless(err error) error {
	f, ok := err.(*fault.Fault) //nolint:errorlint // the side is said by the outermost one
	if !ok {
		return err
	}
	g := *f
	g.Side = ""
	return &g
}
