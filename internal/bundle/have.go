package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/have"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// HaveRequest asks for a list of what a receiver has.
type HaveRequest struct {
	Target string // a registry, or a prefix in it
	Login  *credential.Login
	Now    time.Time
}

// listing is the state of one Have.
type listing struct {
	base *place.Base
	to   name.End
	obs  event.Observer
	list *have.List

	mu    sync.Mutex
	known map[oci.Digest]bool // documents whose blobs are listed, or are being listed
}

// Have lists all tags of a receiver, and the blobs below them, and writes the list to w. It reads each manifest
// once. A tag that cannot be read is left out, with a note: a bundle then brings its content again.
func Have(
	ctx context.Context, b *place.Base, names *name.Reader, req HaveRequest, obs event.Observer, w io.Writer,
) (report.Have, error) {
	to, err := names.End(req.Target, fault.Source)
	if err != nil {
		return report.Have{}, err
	}
	if to.Single() || (ref.Repo{Host: to.Host}).IsLayout() {
		return report.Have{}, fault.Misuse("list what a receiver has", req.Target,
			"this is not a registry or a prefix in one",
			"write HOST, or HOST/PREFIX/ with a slash at the end, as for the command bundle load")
	}
	l := &listing{base: b, to: to, obs: obs, known: map[oci.Digest]bool{}, list: have.New(to.Host+"/"+to.Prefix, req.Now)}
	s := b.Begin(req.Login, nil, obs)
	defer s.Release()
	var paths []string
	use := remote.Use{Actions: remote.Pull, Login: req.Login, Observe: s.Watch()}
	err = b.Repositories(ctx, to.Host, use, func(path string) error {
		if strings.HasPrefix(path, to.Prefix) {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		return report.Have{}, fault.On(fault.Source, err)
	}
	slices.Sort(paths)
	for _, path := range paths {
		if err := l.repository(ctx, s, path); err != nil {
			return report.Have{}, fault.On(fault.Source, err)
		}
	}
	if err := l.list.Write(w); err != nil {
		return report.Have{}, err
	}
	return report.Have{
		Of: l.list.Of, Made: req.Now, Repositories: len(paths), Tags: len(l.list.Names), Blobs: l.list.Blobs(),
	}, nil
}

// repository lists one repository.
func (l *listing) repository(ctx context.Context, s *place.Session, path string) error {
	at, err := s.Source(ctx, ref.Repo{Host: l.to.Host, Path: path})
	if err != nil {
		return err
	}
	var tags []string
	err = at.List(ctx, func(t oci.Listed) error {
		tags = append(tags, t.Tag)
		return nil
	})
	if l.base.IsAbsent(at.Repo(), err) {
		return nil // it has no tags any more
	}
	if err != nil {
		return err
	}
	return place.Each(ctx, place.Lookups, tags, func(ctx context.Context, tag string) error {
		err := l.tag(ctx, at, tag)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case fault.Is(err, fault.Denied), fault.Is(err, fault.Unavailable), fault.Is(err, fault.Throttled):
			return err
		}
		l.obs.Tell(event.Event{Kind: event.Noted, Err: err,
			Text: fmt.Sprintf("left out, because it cannot be read: %s", at.Repo().Tagged(tag))})
		return nil
	})
}

// tag lists what one tag needs.
func (l *listing) tag(ctx context.Context, at place.Repository, tag string) error {
	root, err := at.Document(ctx, tag)
	if err != nil {
		return err
	}
	if err := l.below(ctx, at, root); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	path := strings.TrimPrefix(at.Repo().Path, l.to.Prefix)
	l.list.Names = append(l.list.Names, have.Name{Repo: path, Tag: tag, Digest: root.Digest})
	return nil
}

// maxDeep limits how deep indexes may nest.
const maxDeep = 16

// below lists the blobs of a document and of all documents below it.
func (l *listing) below(ctx context.Context, at place.Repository, root oci.Document) error {
	level := []oci.Document{root}
	for range maxDeep {
		var next []oci.Document
		for _, doc := range level {
			if !l.add(at.Repo(), doc) {
				continue
			}
			for _, c := range doc.Documents {
				child, err := at.Document(ctx, string(c.Digest))
				if err != nil {
					return err
				}
				next = append(next, child)
			}
		}
		if level = next; len(level) == 0 {
			return nil
		}
	}
	return &fault.Fault{Kind: fault.TooLarge, Op: "list blobs", Name: at.Repo().At(string(root.Digest)).String(),
		Err: errors.New("indexes are nested too deep")}
}

// add adds the blobs of a document, unless it was added before.
func (l *listing) add(repo ref.Repo, doc oci.Document) (news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known[doc.Digest] {
		return false
	}
	l.known[doc.Digest] = true
	var blobs []oci.Digest
	for _, b := range doc.Blobs {
		blobs = append(blobs, b.Digest)
	}
	l.list.Add(strings.TrimPrefix(repo.Path, l.to.Prefix), blobs...)
	return true
}
