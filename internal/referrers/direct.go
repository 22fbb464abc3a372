package referrers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Direct returns what refers to the document d itself, as far as the choice of the Finder goes: the
// documents whose subject is d, and those under its digest tags.
func (f *Finder) Direct(ctx context.Context, from place.Repository, d oci.Descriptor) ([]plan.Referrer, error) {
	f.announce(from.Repo(), 1)
	return f.announced(ctx, from, d)
}

// announced is Direct for a document that was announced. It asks once for each document.
func (f *Finder) announced(ctx context.Context, from place.Repository, d oci.Descriptor) ([]plan.Referrer, error) {
	if !f.choice.Travel() {
		return nil, nil
	}
	for {
		a, mine := f.claim(asking{from.Repo(), d.Digest})
		if mine {
			a.found, a.err = f.ask(ctx, from, d)
			f.answered(asking{from.Repo(), d.Digest}, a)
			return a.found, a.err
		}
		select {
		case <-a.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if !fault.Is(a.err, fault.Canceled) {
			return a.found, a.err
		}
	}
}

func (f *Finder) ask(ctx context.Context, from place.Repository, d oci.Descriptor) ([]plan.Referrer, error) {
	var listed []oci.Descriptor
	var tagged []plan.Referrer
	// If the tags are listed, no fallback tag has to be asked for either.
	digestTags, err := f.listing(ctx, from)
	if err != nil {
		return nil, err
	}
	err = place.Each(ctx, 2, []func(context.Context) error{
		func(ctx context.Context) (err error) {
			listed, err = from.Referrers(ctx, d)
			return f.allowed(from, d.Digest, err)
		},
		func(ctx context.Context) (err error) {
			tagged, err = f.underTags(ctx, from, d, digestTags)
			return f.allowed(from, d.Digest, err)
		},
	}, func(ctx context.Context, do func(context.Context) error) error { return do(ctx) })
	if err != nil {
		return nil, err
	}
	var all []plan.Referrer
	for _, l := range listed {
		if l.Digest != d.Digest {
			all = append(all, plan.Referrer{Subject: d.Digest, Digest: l.Digest, MediaType: l.MediaType,
				ArtifactType: l.ArtifactType, Size: l.Size, Annotations: l.Annotations})
		}
	}
	if all = append(all, tagged...); !f.choice.Selects() {
		return all, nil
	}
	return f.chosen(ctx, from, d, all)
}

// Unread reports whether the source does not say what refers to d or, if d was the root of a walk, to one of the
// documents that the walk went to.
func (f *Finder) Unread(repo ref.Repo, d oci.Digest) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unread[asking{repo, d}]
}

func (f *Finder) noteUnread(repo ref.Repo, d oci.Digest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unread[asking{repo, d}] = true
}

// allowed turns the refusal of a source to list what refers to d into a note. If all referrers are required, the
// refusal stays an error.
func (f *Finder) allowed(from place.Repository, d oci.Digest, err error) error {
	if !fault.Is(err, fault.Denied) && !fault.Is(err, fault.Refused) || f.choice.Mode == plan.ReferrersRequire {
		return err
	}
	f.noteUnread(from.Repo(), d)
	cause := err
	if f := (*fault.Fault)(nil); errors.As(err, &f) && f.Err != nil {
		cause = f.Err // without the digest, so that a repository is noted once
	}
	f.session.Observe(event.Event{
		Kind: event.Noted, Host: from.Repo().Host, Name: from.Repo().String(), Err: err, Count: 1,
		Text: "the source does not say what refers to the images of " + from.Repo().String() +
			", so signatures may be left behind: " + cause.Error()})
	return nil
}

// Gone notes that the source lists a referrer that it does not have.
func (f *Finder) Gone(from place.Repository, r plan.Referrer) {
	f.session.Observe(event.Event{Kind: event.Noted, Host: from.Repo().Host, Digest: string(r.Digest), Count: 1,
		Text: "the source lists a referrer that it does not have: " + from.Repo().At(string(r.Digest)).String()})
}

// leave remembers the type of a document that is not chosen.
func (f *Finder) leave(of asking, artifactType string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left[of] = append(f.left[of], cmp.Or(artifactType, "no type"))
}

// noneChosen notes that documents refer to an image, of which the documents are seen, and that none of them is
// chosen.
func (f *Finder) noneChosen(from place.Repository, root oci.Digest, seen map[oci.Digest]bool) {
	f.mu.Lock()
	n, types := 0, map[string]bool{}
	for d := range seen {
		for _, t := range f.left[asking{from.Repo(), d}] {
			n++
			types[t] = true
		}
	}
	f.mu.Unlock()
	if n == 0 {
		return
	}
	one := "1 document refers"
	if n > 1 {
		one = fmt.Sprintf("%d documents refer", n)
	}
	f.session.Observe(event.Event{Kind: event.Noted, Host: from.Repo().Host, Digest: string(root), Count: 1,
		Text: fmt.Sprintf("%s to %s, and none of them is chosen by its type or annotation; the types are %s", one,
			from.Repo().At(string(root)), strings.Join(slices.Sorted(maps.Keys(types)), ", "))})
}

// chosen returns those of all that the choice of the Finder takes. They refer to d. To know what a document says,
// it reads the document, which is needed anyway if it is chosen.
func (f *Finder) chosen(
	ctx context.Context, from place.Repository, d oci.Descriptor, all []plan.Referrer,
) ([]plan.Referrer, error) {
	keep := make([]bool, len(all))
	err := place.Each(ctx, place.Lookups, place.IndexesOf(all), func(ctx context.Context, i int) error {
		doc, err := f.session.Documents.Read(ctx, from, all[i].Digest)
		switch {
		case fault.Is(err, fault.NotFound):
			f.Gone(from, all[i])
			return nil
		case err != nil:
			return err
		}
		says := doc.AsReferrer()
		if keep[i] = f.choice.Chooses(doc.TypesAsReferrer(), says.Annotations); !keep[i] {
			f.leave(asking{from.Repo(), d.Digest}, says.ArtifactType)
		}
		all[i].MediaType, all[i].Size = says.MediaType, says.Size
		all[i].ArtifactType, all[i].Annotations = says.ArtifactType, says.Annotations
		return nil
	})
	var kept []plan.Referrer
	for i, r := range all {
		if keep[i] {
			kept = append(kept, r)
		}
	}
	return kept, err
}
