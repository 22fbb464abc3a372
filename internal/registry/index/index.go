// Package index finds the manifests of a repository, and those that refer to another.
package index

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry/backing"
	"github.com/drayage/dray/internal/registry/home"
	"github.com/drayage/dray/internal/registry/tend"
	"github.com/drayage/dray/internal/registry/tree"
)

const maxAnswer = 2 << 20 // bytes of descriptors after which a page ends; clients accept 4 MiB

// Index finds manifests by their subject.
//
// It is a set of link files in the directory of the subject, whether the subject exists or not:
//
//	<repo>/_manifests/revisions/<alg>/<subject>/_referrers/<alg>/<referrer>/link
//
// This is the format of distribution's pull request 4828, but without the directory level for the
// artifact type. No driver of v3.1.2 accepts the escaped name of an artifact type as a path.
//
// A link may exist without its manifest, but a manifest never exists without its link.
type Index struct {
	Driver *backing.Driver
	Store  distribution.Namespace
	Page   int // the most referrers in one answer

	// A deletion checks whether the manifest is gone and then removes its link. Nobody may put
	// the same manifest in between. So puts hold mu for reading and deletions hold it for
	// writing.
	mu sync.RWMutex
}

// Link is one entry of the index: the manifest referrer has the subject.
type Link struct {
	repo              reference.Named
	Subject, referrer digest.Digest
}

// Dir returns the directory of l.
func (l *Link) Dir() string {
	return path.Join(referrersDir(l.repo, l.Subject), l.referrer.Algorithm().String(), l.referrer.Encoded())
}

func referrersDir(repo reference.Named, subject digest.Digest) string {
	return path.Join(tree.Revision(repo.Name(), subject), "_referrers")
}

// manifest holds the fields of an image manifest or index that the index reads.
type manifest struct {
	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
	Config       struct {
		MediaType string `json:"mediaType"`
	} `json:"config"`
	Subject *struct {
		Digest digest.Digest `json:"digest"`
	} `json:"subject"`
}

// artifactType returns the artifact type of the manifest or, for an image, the media type of its
// config (distribution-spec v1.1.1 §Listing referrers).
func (m manifest) artifactType() string { return cmp.Or(m.ArtifactType, m.Config.MediaType) }

// LinkOf returns the entry for a manifest, or nil if the manifest has no subject. Only OCI media
// types have one. Text that is not JSON has none; distribution refuses it.
func LinkOf(repo reference.Named, contentType string, raw []byte) (*Link, error) {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	if mediaType != v1.MediaTypeImageManifest && mediaType != v1.MediaTypeImageIndex {
		return nil, nil
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil || m.Subject == nil {
		return nil, nil
	}
	if err := m.Subject.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	return &Link{repo, m.Subject.Digest, digest.FromBytes(raw)}, nil
}

// Put records l and then calls store, which stores the manifest. If the manifest does not exist
// afterwards, put removes the record. An error is about the record: if put returns an error
// without calling store, nothing was stored.
func (x *Index) Put(ctx context.Context, l *Link, store func()) error {
	if err := x.shared(ctx, l, store); err != nil {
		return err
	}
	there, err := x.Has(ctx, l.repo, l.referrer)
	if err != nil {
		return err
	}
	if there { // another server, which mu does not exclude, may have removed the record of an earlier manifest
		return x.record(ctx, l)
	}
	// The manifest was refused. Now the lock excludes all puts, so check again: another put of
	// the same manifest may have succeeded in the meantime.
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.dropDead(ctx, l)
}

func (x *Index) shared(ctx context.Context, l *Link, store func()) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if err := x.record(ctx, l); err != nil {
		return err
	}
	store()
	return nil
}

// Delete calls remove, which deletes the manifest dgst. If the manifest is gone afterwards,
// Delete also removes its link.
func (x *Index) Delete(ctx context.Context, repo reference.Named, dgst digest.Digest, remove func()) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	mediaType, raw, err := x.Read(ctx, repo, dgst)
	if err != nil { // the manifest does not exist or is damaged, so a link to it is not listed
		remove()
		return nil
	}
	l, err := LinkOf(repo, mediaType, raw)
	remove()
	if l == nil || err != nil {
		return nil
	}
	return x.dropDead(ctx, l)
}

// record writes l. It is durable when record returns, because the driver syncs the file and its
// directory.
func (x *Index) record(ctx context.Context, l *Link) error {
	name := path.Join(l.Dir(), "link")
	if got, err := x.Driver.GetContent(ctx, name); err == nil && string(got) == l.referrer.String() {
		return nil
	}
	return x.Driver.PutContent(ctx, name, []byte(l.referrer))
}

func (x *Index) dropDead(ctx context.Context, l *Link) error {
	ctx = context.WithoutCancel(ctx)
	if there, err := x.Has(ctx, l.repo, l.referrer); there || err != nil {
		return err
	}
	if err := x.Driver.Delete(ctx, l.Dir()); err != nil && !tend.Missing(err) {
		return err
	}
	return nil
}

// Has reports whether repo has the manifest dgst.
func (x *Index) Has(ctx context.Context, repo reference.Named, dgst digest.Digest) (bool, error) {
	ms, err := x.Manifests(ctx, repo)
	if err != nil {
		return false, err
	}
	return ms.Exists(ctx, dgst)
}

func (x *Index) Read(
	ctx context.Context, repo reference.Named, dgst digest.Digest,
) (mediaType string, raw []byte, err error) {
	ms, err := x.Manifests(ctx, repo)
	if err != nil {
		return "", nil, err
	}
	m, err := ms.Get(ctx, dgst)
	if err != nil {
		return "", nil, err
	}
	return m.Payload()
}

// Manifests returns the manifests of repo in distribution's form.
func (x *Index) Manifests(ctx context.Context, repo reference.Named) (distribution.ManifestService, error) {
	r, err := x.Store.Repository(ctx, repo)
	if err != nil {
		return nil, err
	}
	return r.Manifests(ctx)
}

// List returns one page of the referrers of subject, sorted by digest, beginning after last. next
// is the value of last for the next page, or "" at the end. If artifactType is "", all types are
// listed.
func (x *Index) List(ctx context.Context, repo reference.Named, subject digest.Digest, artifactType, last string) (
	page []v1.Descriptor, next string, err error) {
	all, err := x.Linked(ctx, repo, subject)
	if err != nil {
		return nil, "", err
	}
	size := 0
	for _, dgst := range all {
		if dgst.String() <= last {
			continue
		}
		d, err := x.describe(ctx, repo, dgst)
		var unknown distribution.ErrManifestUnknownRevision
		switch {
		case errors.As(err, &unknown):
			continue
		case err != nil:
			return nil, "", err
		case artifactType != "" && d.ArtifactType != artifactType:
			continue
		}
		text, _ := json.Marshal(d)
		if len(page) == x.Page || len(page) > 0 && size+len(text) > maxAnswer {
			return page, page[len(page)-1].Digest.String(), nil
		}
		size += len(text)
		page = append(page, d)
	}
	return page, "", nil
}

// Linked returns the digests of all links of subject, sorted.
func (x *Index) Linked(ctx context.Context, repo reference.Named, subject digest.Digest) ([]digest.Digest, error) {
	level := []string{referrersDir(repo, subject)}
	for range 2 { // first the algorithms, then the digests
		var below []string
		for _, dir := range level {
			names, err := x.Driver.List(ctx, dir)
			if err != nil && !tend.Missing(err) {
				return nil, err
			}
			below = append(below, names...)
		}
		level = below
	}
	var all []digest.Digest
	for _, dir := range level {
		dgst := digest.NewDigestFromEncoded(digest.Algorithm(path.Base(path.Dir(dir))), path.Base(dir))
		if dgst.Validate() == nil {
			all = append(all, dgst)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func (x *Index) describe(ctx context.Context, repo reference.Named, dgst digest.Digest) (v1.Descriptor, error) {
	mediaType, raw, err := x.Read(ctx, repo, dgst)
	if err != nil {
		return v1.Descriptor{}, err
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{MediaType: mediaType, Digest: dgst, Size: int64(len(raw)),
		ArtifactType: m.artifactType(), Annotations: m.Annotations}, nil
}

// rebuild records the subject of every manifest in the storage. It logs and skips a manifest that
// cannot be read, because such a manifest cannot be pulled either.
func (x *Index) rebuild(ctx context.Context, log *slog.Logger) error {
	var names []string
	err := x.Repositories(ctx, func(name string) error { names = append(names, name); return ctx.Err() })
	if err != nil {
		return err
	}
	for _, name := range names {
		repo, err := reference.WithName(name)
		if err != nil {
			return err
		}
		if err := x.rebuildRepo(ctx, repo, log); err != nil {
			return err
		}
	}
	return nil
}

// Repositories calls visit with each repository. An empty storage is not an error.
func (x *Index) Repositories(ctx context.Context, visit func(name string) error) error {
	repos, ok := x.Store.(distribution.RepositoryEnumerator)
	if !ok {
		return errors.New("the storage cannot list its repositories")
	}
	if err := repos.Enumerate(ctx, visit); !tend.Missing(err) {
		return err
	}
	return nil
}

// Digests lists the manifests of repo, tagged or not, sorted.
func (x *Index) Digests(ctx context.Context, repo reference.Named) ([]digest.Digest, error) {
	ms, err := x.Manifests(ctx, repo)
	if err != nil {
		return nil, err
	}
	enumerator, ok := ms.(distribution.ManifestEnumerator)
	if !ok {
		return nil, errors.New("the storage cannot list its manifests")
	}
	var all []digest.Digest // read completely first, because the links are written into the tree that is read
	err = enumerator.Enumerate(ctx, func(d digest.Digest) error { all = append(all, d); return ctx.Err() })
	if err != nil && !tend.Missing(err) {
		return nil, err
	}
	slices.Sort(all) // the link of a referrer in its subject's directory lists the referrer a second time
	return slices.Compact(all), nil
}

func (x *Index) rebuildRepo(ctx context.Context, repo reference.Named, log *slog.Logger) error {
	all, err := x.Digests(ctx, repo)
	if err != nil {
		return err
	}
	for _, dgst := range all {
		mediaType, raw, err := x.Read(ctx, repo, dgst)
		var l *Link
		if err == nil {
			l, err = LinkOf(repo, mediaType, raw)
		}
		if err != nil {
			log.LogAttrs(ctx, slog.LevelWarn, "storage",
				slog.String("image", repo.Name()+"@"+dgst.String()), slog.Any("err", err))
		}
		if l == nil {
			continue
		}
		if err := x.record(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

const (
	indexedFile   = "referrers-indexed"       // exists in the directory after the storage was searched for referrers
	indexedObject = "/dray/referrers-indexed" // the same in a bucket
)

// Once records the subjects of manifests that were stored without the index. It does so only
// once for each storage. What says so is next to the content: in dir, or in the bucket that several
// servers share.
func Once(ctx context.Context, dir string, s backing.Storage, x *Index, log *slog.Logger) error {
	name := filepath.Join(dir, indexedFile)
	_, err := os.Stat(name)
	if !s.Local() {
		_, err = x.Driver.Stat(ctx, indexedObject)
	}
	if err == nil {
		return nil
	}
	if err = x.rebuild(ctx, log); err == nil && s.Local() {
		err = home.WriteFile(name, "")
	} else if err == nil {
		err = x.Driver.PutContent(ctx, indexedObject, []byte("yes"))
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return home.Failed(dir, fault.Canceled, "", context.Cause(ctx))
	}
	return home.Failed(dir, backing.KindOf(err), "", err)
}

// FirstTagged returns when the oldest manifest that tag has pointed to was tagged; zero if that is not known.
func (x *Index) FirstTagged(ctx context.Context, repo, tag string) (first time.Time, err error) {
	below, err := x.Driver.List(ctx, path.Join(tree.Tag(repo, tag), "index/sha256"))
	if err != nil && !tend.Missing(err) {
		return first, err
	}
	for _, dir := range below {
		info, err := x.Driver.Stat(ctx, path.Join(dir, "link"))
		if err != nil && !tend.Missing(err) {
			return first, err
		}
		if err == nil && (first.IsZero() || info.ModTime().Before(first)) {
			first = info.ModTime()
		}
	}
	return first, nil
}
