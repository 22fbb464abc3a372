package acr

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/registry/locks"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// maxConfig is the most bytes of a config that are read for the platform of an image.
const maxConfig = 1 << 20

// Own returns the Shelf of a server's own registry. host is its name in messages.
func Own(r *registry.Registry, host string) Shelf { return own{r, host} }

type own struct {
	reg  *registry.Registry
	host string
}

func (o own) Repositories(ctx context.Context, visit func(path string) error) error {
	return o.reg.Repositories(ctx, visit)
}

func (o own) store(repo string) (*registry.Store, error) {
	return o.reg.Store(ref.Repo{Host: o.host, Path: repo})
}

// open returns a repository with its locks.
func (o own) open(ctx context.Context, repo string) (*registry.Store, locks.Locks, error) {
	s, err := o.store(repo)
	if err != nil {
		return nil, locks.Locks{}, err
	}
	l, err := s.Locks(ctx)
	return s, l, err
}

func (o own) Tags(ctx context.Context, repo string) ([]Tag, error) {
	s, l, err := o.open(ctx, repo)
	if err != nil {
		return nil, err
	}
	var all []Tag
	err = s.List(ctx, func(t oci.Listed) error {
		all = append(all, Tag{Name: t.Tag, Digest: string(t.Descriptor.Digest), Attributes: shown(l.Of(t.Tag))})
		return nil
	})
	if fault.Is(err, fault.NotFound) { // a repository may have manifests and no tags
		if digests, bad := s.Digests(ctx); bad == nil && len(digests) > 0 {
			return nil, nil
		}
	}
	return all, err
}

func shown(a locks.Attributes) Attributes {
	return Attributes{Delete: a.Delete, Write: a.Write, Read: a.Read, List: a.List}
}

func (o own) CompleteTags(ctx context.Context, repo string, tags []Tag) ([]Tag, error) {
	s, err := o.store(repo)
	if err != nil {
		return nil, err
	}
	kept := tags[:0]
	for _, t := range tags {
		if t.Updated.IsZero() {
			t.Created.Time, t.Updated.Time, err = s.Times(ctx, t.Name)
		}
		switch {
		case fault.Is(err, fault.NotFound):
			err = nil
		case err != nil:
			return nil, err
		default:
			kept = append(kept, t)
		}
	}
	return kept, nil
}

func (o own) Tag(ctx context.Context, repo, tag string) (Tag, error) {
	s, l, err := o.open(ctx, repo)
	if err != nil {
		return Tag{}, err
	}
	d, err := s.Resolve(ctx, tag)
	if err != nil {
		return Tag{}, err
	}
	t := Tag{Name: tag, Digest: string(d.Digest), Attributes: shown(l.Of(tag))}
	t.Created.Time, t.Updated.Time, err = s.Times(ctx, tag)
	return t, err
}

func (o own) Manifests(ctx context.Context, repo string) ([]Manifest, error) {
	s, l, err := o.open(ctx, repo)
	if err != nil {
		return nil, err
	}
	digests, err := s.Digests(ctx)
	if err != nil {
		return nil, err
	}
	tags := map[string][]string{}
	err = s.List(ctx, func(t oci.Listed) error {
		tags[string(t.Descriptor.Digest)] = append(tags[string(t.Descriptor.Digest)], t.Tag)
		return nil
	})
	if err != nil && (!fault.Is(err, fault.NotFound) || len(digests) == 0) {
		return nil, err
	}
	var all []Manifest
	for _, d := range digests {
		all = append(all, Manifest{Digest: string(d), Tags: tags[string(d)], Attributes: shown(l.Of(string(d)))})
	}
	return all, nil
}

func (o own) CompleteManifests(ctx context.Context, repo string, manifests []Manifest, what Part) ([]Manifest, error) {
	s, err := o.store(repo)
	if err != nil {
		return nil, err
	}
	kept := manifests[:0]
	for _, m := range manifests {
		if m.Updated.IsZero() {
			m.Created.Time, m.Updated.Time, err = s.Times(ctx, m.Digest)
		}
		if err == nil && what == All {
			err = describe(ctx, s, &m)
		}
		switch {
		case fault.Is(err, fault.NotFound):
			err = nil
		case err != nil:
			return nil, err
		default:
			kept = append(kept, m)
		}
	}
	return kept, nil
}

// describe adds to m what its document and its config say. What a lock or damage hides is left out.
func describe(ctx context.Context, s *registry.Store, m *Manifest) error {
	doc, err := s.Document(ctx, m.Digest)
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.Corrupt) || fault.Is(err, fault.Invalid) {
		d, err := s.Resolve(ctx, m.Digest)
		m.MediaType = d.MediaType
		return err
	}
	if err != nil {
		return err
	}
	m.MediaType = doc.MediaType
	if doc.Config == nil {
		m.Size = doc.Size
		for _, d := range doc.Documents {
			r := Reference{Digest: string(d.Digest)}
			if d.Platform != nil {
				r.Arch, r.OS = d.Platform.Architecture, d.Platform.OS
			}
			m.References = append(m.References, r)
		}
		return nil
	}
	m.ConfigType = doc.Config.MediaType
	for _, b := range doc.Blobs {
		m.Size += b.Size
	}
	m.Arch, m.OS = platform(ctx, s, *doc.Config)
	return nil
}

// platform returns what a config says, or nothing if it cannot be read or belongs to no image.
func platform(ctx context.Context, s *registry.Store, d oci.Descriptor) (arch, system string) {
	if d.Size > maxConfig {
		return "", ""
	}
	body, _, err := s.Blob(ctx, d, 0, -1)
	if err != nil {
		return "", ""
	}
	defer body.Close()
	var config struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	}
	if json.NewDecoder(io.LimitReader(body, maxConfig)).Decode(&config) != nil {
		return "", ""
	}
	return config.Architecture, config.OS
}

func (o own) Manifest(ctx context.Context, repo, digest string) (Manifest, error) {
	s, l, err := o.open(ctx, repo)
	if err != nil {
		return Manifest{}, err
	}
	if _, err := s.Resolve(ctx, digest); err != nil {
		return Manifest{}, err
	}
	m := Manifest{Digest: digest, Attributes: shown(l.Of(digest))}
	if m.Created.Time, m.Updated.Time, err = s.Times(ctx, digest); err != nil {
		return m, err
	}
	err = s.List(ctx, func(t oci.Listed) error {
		if string(t.Descriptor.Digest) == digest {
			m.Tags = append(m.Tags, t.Tag)
		}
		return nil
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return m, err
	}
	return m, describe(ctx, s, &m)
}

// Repository counts what is in repo. Its times are those of its oldest and its newest manifest or tag.
func (o own) Repository(ctx context.Context, repo string) (Repository, error) {
	_, l, err := o.open(ctx, repo)
	if err != nil {
		return Repository{}, err
	}
	manifests, err := o.Manifests(ctx, repo)
	if err == nil {
		manifests, err = o.CompleteManifests(ctx, repo, manifests, Times)
	}
	if err != nil {
		return Repository{}, err
	}
	tags, err := o.Tags(ctx, repo)
	if err == nil {
		tags, err = o.CompleteTags(ctx, repo, tags)
	}
	if err != nil {
		return Repository{}, err
	}
	r := Repository{Manifests: len(manifests), Tags: len(tags), Attributes: shown(l.Of(locks.Repository))}
	span := func(created, updated time.Time) {
		if r.Created.IsZero() || created.Before(r.Created.Time) {
			r.Created.Time = created
		}
		if updated.After(r.Updated.Time) {
			r.Updated.Time = updated
		}
	}
	for _, m := range manifests {
		span(m.Created.Time, m.Updated.Time)
	}
	for _, t := range tags {
		span(t.Created.Time, t.Updated.Time)
	}
	return r, nil
}

func (o own) Change(ctx context.Context, repo, name string, a oci.Attributes) error {
	s, err := o.store(repo)
	if err != nil {
		return err
	}
	_, err = s.SetLocks(ctx, name, func(now locks.Attributes) locks.Attributes {
		for _, c := range []struct {
			to   *bool
			from *bool
		}{{&now.Delete, a.Delete}, {&now.Write, a.Write}, {&now.Read, a.Read}, {&now.List, a.List}} {
			if c.from != nil {
				*c.to = *c.from
			}
		}
		return now
	})
	return err
}

func (o own) Delete(ctx context.Context, repo, name string) error {
	s, err := o.store(repo)
	if err != nil {
		return err
	}
	return s.Delete(ctx, name)
}

func (o own) DeleteRepository(ctx context.Context, repo string) (manifests, tags int, err error) {
	s, err := o.store(repo)
	if err != nil {
		return 0, 0, err
	}
	return s.DeleteAll(ctx)
}
