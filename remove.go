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

// RemoveRequest asks to take an image away.
type RemoveRequest struct {
	Image string     // "HOST/REPO:TAG"; with RemoveManifest also "HOST/REPO@DIGEST". No tag is ever implied.
	What  RemoveWhat // "" is RemoveTag
	Login *credential.Login
}

// Removal is what Remove will take away.
type Removal struct {
	What   RemoveWhat `json:"what"`
	Image  ref.Name   `json:"image"`  // as it was asked for
	Digest oci.Digest `json:"digest"` // what it points to
	Tags   []string   `json:"tags"`   // that go: the one, or of a manifest all that point to it, in order

	login *credential.Login
}

// PlanRemove finds out what a removal takes with it: one HEAD, and for a
// manifest the listing of its repository, with one HEAD a tag where that tells
// no digests. Nothing is removed.
func (d *Dray) PlanRemove(ctx context.Context, req RemoveRequest, obs event.Observer) (Removal, error) {
	name, err := d.parse(req.Image)
	r := Removal{What: cmp.Or(req.What, RemoveTag), Image: name, login: req.Login}
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
	s := d.begin(req.Login, nil, obs)
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

// Remove carries out what PlanRemove found. It is Moved, and takes nothing away,
// when the tag that was asked for points elsewhere by now; tags that came to point
// to a manifest since it was planned go with it. Refused says that the registry
// does not delete in this way.
func (d *Dray) Remove(ctx context.Context, r Removal, obs event.Observer) error {
	s := d.begin(r.login, nil, obs)
	defer s.release()
	at, err := d.deleter(r.Image.Repo, remote.Use{Actions: remote.Pull, Login: r.login, Observe: s.observe})
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
