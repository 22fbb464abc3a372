package stock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/have"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Request asks for a list of what a receiver has.
type Request struct {
	Target string // a registry, or a prefix in it
	Login  *credential.Login
	Now    time.Time
}

// listing is the state of one List.
type listing struct {
	base *place.Base
	to   name.End
	obs  event.Observer
	list *have.List

	mu    sync.Mutex
	known map[string]bool // documents, by repository, that are listed or are being listed
}

// repository is one repository that is listed.
type repository struct {
	place.Repository
	path string // below what is listed
	find *referrers.Finder
}

// List lists all tags of a receiver, and the blobs below them, and writes the list to w. It reads each manifest
// once. A tag that cannot be read is left out, with a note: a bundle then brings its content again.
func List(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer, w io.Writer,
) (report.Have, error) {
	to, err := names.End(req.Target, fault.Source)
	if err != nil {
		return report.Have{}, err
	}
	if to.Single() || to.OnDisk() && to.Host != ref.Layout {
		return report.Have{}, fault.Misuse("list what a receiver has", req.Target,
			"this is not a registry, a prefix in one, or a layout",
			"write HOST, or HOST/PREFIX/ or oci:DIR/ with a slash at the end, as for the command bundle load")
	}
	l := &listing{base: b, to: to, obs: obs, known: map[string]bool{}, list: have.New(to.String(), req.Now)}
	s := b.Begin(req.Login, nil, obs)
	defer s.Release()
	at, err := l.repositories(ctx, s, remote.Use{Actions: remote.Pull, Login: req.Login, Observe: s.Watch()})
	if err != nil {
		return report.Have{}, fault.On(fault.Source, err)
	}
	for _, path := range slices.Sorted(maps.Keys(at)) {
		if err := l.all(ctx, s, path, at[path]); err != nil {
			return report.Have{}, fault.On(fault.Source, err)
		}
	}
	if err := l.list.Write(w); err != nil {
		return report.Have{}, err
	}
	return report.Have{
		Of: l.list.Of, Made: req.Now, Repositories: len(at), Tags: len(l.list.Names), Blobs: l.list.Blobs(),
		Referrers: l.list.CountReferrers(),
	}, nil
}

// repositories returns the repositories of the receiver, by the paths that they have in bundles.
func (l *listing) repositories(ctx context.Context, s *place.Session, use remote.Use) (map[string]ref.Repo, error) {
	all := map[string]ref.Repo{}
	if !l.to.OnDisk() {
		err := l.base.Repositories(ctx, l.to.Host, use, func(path string) error {
			if below, ok := strings.CutPrefix(path, l.to.Prefix); ok {
				all[below] = ref.Repo{Host: l.to.Host, Path: path}
			}
			return nil
		})
		return all, err
	}
	whole := ref.Repo{Host: l.to.Host, Dir: filepath.Clean(l.to.Prefix)}
	apart, err := layout.Apart(ctx, whole.Dir)
	if err != nil {
		return nil, err
	}
	if apart {
		return all, layout.Below(ctx, whole.Dir, func(path string) error {
			all[path] = ref.Repo{Host: whole.Host, Dir: filepath.Join(whole.Dir, filepath.FromSlash(path))}
			return nil
		})
	}
	d, err := s.OnDisk(ctx, whole)
	if err != nil {
		return nil, err
	}
	images, err := d.Images()
	for _, n := range images {
		if n.Path != "" { // a name that is only a tag is in no repository
			all[n.Path] = whole.In(n.Path)
		}
	}
	return all, err
}

// all lists one repository.
func (l *listing) all(ctx context.Context, s *place.Session, path string, repo ref.Repo) error {
	at, err := s.Source(ctx, repo)
	if err != nil {
		return err
	}
	var tags []oci.Listed
	err = at.List(ctx, func(t oci.Listed) error {
		tags = append(tags, t)
		return nil
	})
	if l.base.IsAbsent(at.Repo(), err) {
		return nil // it has no tags any more
	}
	if err != nil {
		return err
	}
	s.NoteTags(at.Repo(), place.DigestTagsOf(func(yield func(string, oci.Descriptor) bool) {
		for _, t := range tags {
			if !yield(t.Tag, t.Descriptor) {
				return
			}
		}
	}))
	r := &repository{at, path, referrers.New(s, plan.Referrers{})}
	return place.Each(ctx, place.Lookups, tags, func(ctx context.Context, t oci.Listed) error {
		err := l.tag(ctx, r, t.Tag)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case fault.Is(err, fault.Denied), fault.Is(err, fault.Unavailable), fault.Is(err, fault.Throttled):
			return err
		}
		l.obs.Tell(event.Event{Kind: event.Noted, Err: err,
			Text: fmt.Sprintf("left out, because it cannot be read: %s", at.Repo().Tagged(t.Tag))})
		return nil
	})
}

// tag lists what one tag needs, and what refers to it.
func (l *listing) tag(ctx context.Context, r *repository, tag string) error {
	root, err := r.Document(ctx, tag)
	if err != nil {
		return err
	}
	if err := l.below(ctx, r, root); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list.Names = append(l.list.Names, have.Name{Repo: r.path, Tag: tag, Digest: root.Digest})
	return nil
}

// maxDeep limits how deep indexes and referrers may nest.
const maxDeep = referrers.MaxNesting

// below lists the blobs of a document, of all documents below it, and of what refers to them. If the registry lacks one
// of these documents, as of a sparse index, it lists the others, and returns the error.
func (l *listing) below(ctx context.Context, r *repository, root oci.Document) error {
	var lacks error
	held := root.Size
	level := []oci.Document{root}
	for range maxDeep {
		var next []oci.Document
		for _, doc := range level {
			if !l.add(r.path, doc) {
				continue
			}
			var err error
			if held, err = oci.Weigh(root.Digest, held, doc.Documents); err != nil {
				return err
			}
			for _, c := range doc.Documents {
				child, err := r.Document(ctx, string(c.Digest))
				switch {
				case fault.Is(err, fault.NotFound):
					lacks = cmp.Or(lacks, err)
				case err != nil:
					return err
				default:
					next = append(next, child)
				}
			}
			about, err := l.referrers(ctx, r, doc)
			if err != nil {
				return err
			}
			next = append(next, about...)
		}
		if level = next; len(level) == 0 {
			return lacks
		}
	}
	return &fault.Fault{Kind: fault.TooLarge, Op: "list blobs", Name: r.Repo().At(string(root.Digest)).String(),
		Err: errors.New("indexes or referrers are nested too deep")}
}

// referrers lists what refers to a document and has no tag. Digest tags are listed as tags.
func (l *listing) referrers(ctx context.Context, r *repository, subject oci.Document) (all []oci.Document, err error) {
	found, err := r.find.Direct(ctx, r, subject.Descriptor)
	for _, f := range found {
		if f.Tag != "" {
			continue
		}
		doc, err := r.Document(ctx, string(f.Digest))
		if fault.Is(err, fault.NotFound) {
			continue // it is listed, and not there
		}
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		l.list.AddReferrer(r.path, have.Referrer{Digest: f.Digest, Subject: subject.Digest})
		l.mu.Unlock()
		all = append(all, doc)
	}
	return all, err
}

// add adds the blobs of a document, unless it was added before.
func (l *listing) add(path string, doc oci.Document) (news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := path + "@" + string(doc.Digest)
	if l.known[key] {
		return false
	}
	l.known[key] = true
	var blobs []oci.Digest
	for _, b := range doc.Blobs {
		blobs = append(blobs, b.Digest)
	}
	l.list.Add(path, blobs...)
	return true
}
