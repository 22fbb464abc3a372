package relay

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/drayage/dray/cmd/internal/acr"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// shelf describes a configured registry. Of a registry of Azure it says all that the registry says; of others, what
// their lists say.
type shelf struct {
	client *remote.Client
	host   string
}

func (s shelf) open(repo string) *remote.Repository {
	return s.client.Open(ref.Repo{Host: s.host, Path: repo}, remote.Use{Actions: remote.Pull}).Direct()
}

func (s shelf) Repositories(ctx context.Context, visit func(path string) error) error {
	return s.client.Repositories(ctx, s.host, remote.Use{Actions: remote.Pull}, visit)
}

// free are the attributes of what is not known to be locked.
var free = acr.Attributes{Delete: true, Write: true, Read: true, List: true}

func (s shelf) Tags(ctx context.Context, repo string) (all []acr.Tag, err error) {
	err = s.open(repo).List(ctx, func(t oci.Listed) error {
		all = append(all, acr.Tag{Name: t.Tag, Digest: string(t.Descriptor.Digest), Attributes: free,
			Created: acr.Stamp{Time: t.Created}, Updated: acr.Stamp{Time: t.Updated}})
		return nil
	})
	return all, err
}

// CompleteTags adds the digests that the list of the registry does not have.
func (s shelf) CompleteTags(ctx context.Context, repo string, tags []acr.Tag) ([]acr.Tag, error) {
	at := s.open(repo)
	whole := tags[:0]
	for _, t := range tags {
		if t.Digest == "" {
			d, err := at.Resolve(ctx, t.Name)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			t.Digest = string(d.Digest)
		}
		whole = append(whole, t)
	}
	return whole, nil
}

func (s shelf) Manifests(ctx context.Context, repo string) (all []acr.Manifest, err error) {
	err = s.open(repo).Manifests(ctx, func(m remote.Manifest) error {
		one := acr.Manifest{Digest: string(m.Digest), Size: m.Total, MediaType: m.MediaType, Tags: m.Tags, Attributes: free,
			Created: acr.Stamp{Time: m.Created}, Updated: acr.Stamp{Time: m.Updated}}
		if m.Platform != nil {
			one.Arch, one.OS = m.Platform.Architecture, m.Platform.OS
		}
		all = append(all, one)
		return nil
	})
	return all, err
}

func (shelf) CompleteManifests(_ context.Context, _ string, all []acr.Manifest, _ acr.Part) ([]acr.Manifest, error) {
	return all, nil
}

// told decodes what a registry of Azure says of name into out. ok is false for another registry.
func (s shelf) told(ctx context.Context, repo, name string, out any) (ok bool, err error) {
	at := s.open(repo)
	if !at.HasAttributes() {
		return false, nil
	}
	raw, err := at.Attributes(ctx, name)
	if err != nil {
		return true, err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return true, &fault.Fault{Kind: fault.Unavailable, Op: "read attributes", Name: s.host + "/" + repo, Err: err}
	}
	return true, nil
}

func (s shelf) Repository(ctx context.Context, repo string) (acr.Repository, error) {
	r := acr.Repository{Attributes: free}
	if ok, err := s.told(ctx, repo, "", &r); ok || err != nil {
		return r, err
	}
	tags, err := s.Tags(ctx, repo)
	if err != nil {
		return r, err
	}
	manifests, err := s.Manifests(ctx, repo)
	r.Tags, r.Manifests = len(tags), len(manifests)
	return r, err
}

func (s shelf) Tag(ctx context.Context, repo, tag string) (acr.Tag, error) {
	t := acr.Tag{Name: tag, Attributes: free}
	if ok, err := s.told(ctx, repo, tag, &t); ok || err != nil {
		return t, err
	}
	d, err := s.open(repo).Resolve(ctx, tag)
	t.Digest = string(d.Digest)
	return t, err
}

func (s shelf) Manifest(ctx context.Context, repo, digest string) (acr.Manifest, error) {
	m := acr.Manifest{Digest: digest, Attributes: free}
	if ok, err := s.told(ctx, repo, digest, &m); ok || err != nil {
		return m, err
	}
	d, err := s.open(repo).Resolve(ctx, digest)
	m.MediaType = d.MediaType
	return m, err
}

// Change locks or unlocks at a registry of Azure. Others refuse it.
func (s shelf) Change(ctx context.Context, repo, name string, a oci.Attributes) error {
	_, err := s.open(repo).SetAttributes(ctx, name, a)
	return err
}

func (s shelf) Delete(ctx context.Context, repo, name string) error {
	use := remote.Use{Actions: remote.Push}
	at := s.client.Open(ref.Repo{Host: s.host, Path: repo}, use).Direct()
	if ref.Digest(name) != nil {
		return at.Delete(ctx, name)
	}
	var tags []string
	err := at.List(ctx, func(t oci.Listed) error {
		if string(t.Descriptor.Digest) == name {
			tags = append(tags, t.Tag)
		}
		return nil
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return at.Delete(ctx, name, tags...)
}

func (s shelf) DeleteRepository(_ context.Context, repo string) (manifests, tags int, err error) {
	return 0, 0, &fault.Fault{Kind: fault.Refused, Op: "delete repository", Name: s.host + "/" + repo,
		Err: errNoRepositories, Hint: "delete its manifests, or ask the registry itself"}
}

// errNoRepositories is the cause for a registry that has no way to remove a repository.
var errNoRepositories = errors.New("dray removes whole repositories of its own registry alone")
