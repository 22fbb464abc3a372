package bundle

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/have"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// stage is a registry in a directory. It seems to have what the receiver has: the names, and the blobs that
// are elsewhere. So what is copied into it is what the receiver lacks.
type stage struct {
	dir       string
	blobs     *layout.Dir // holds documents, too; its index.json stays empty
	journal   *journal
	lock      *flock.Flock
	has       *have.List              // what the receiver has
	elsewhere func(d oci.Digest) bool // reports whether a blob does not have to be put

	mu      sync.Mutex
	counted map[oci.Digest]bool        // nil, or the blobs that a plan counts and does not read
	repos   map[string]*shelfOf        // by path
	theirs  map[string][]have.Referrer // what the receiver has, by path, where it was asked for
}

// shelfOf is what one repository of a stage holds.
type shelfOf struct {
	tags map[string]oci.Descriptor
	docs map[oci.Digest]put
}

// openStage opens the stage in dir, or makes it. What an earlier run put there counts.
func openStage(dir string, has *have.List, elsewhere func(oci.Digest) bool) (*stage, error) {
	blobs, err := layout.Open(ref.Repo{Host: ref.Layout, Dir: dir}, layout.Write)
	if err != nil {
		return nil, fault.On(fault.Target, err)
	}
	s := &stage{dir: dir, blobs: blobs, has: has, elsewhere: elsewhere, repos: map[string]*shelfOf{},
		theirs: map[string][]have.Referrer{}}
	s.lock = flock.New(filepath.Join(dir, ".dray-create.lock"))
	alone, err := s.lock.TryLock()
	if err == nil && !alone {
		err = &fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: "create bundle", Name: dir,
			Err: errors.New("another process is making this bundle"), Hint: "wait for it, or choose another file"}
	}
	var earlier []put
	if err == nil {
		s.journal, earlier, err = openJournal(dir)
	}
	if err != nil {
		_ = s.lock.Unlock()
		_ = blobs.Close()
		return nil, stageFault("open stage", dir, err)
	}
	for _, p := range earlier {
		if lack, err := blobs.Missing(context.Background(), []oci.Descriptor{p.descriptor()}); err == nil && len(lack) == 0 {
			s.note(p)
		}
	}
	return s, nil
}

// close closes the stage. What was put stays.
func (s *stage) close() error {
	err := errors.Join(s.journal.close(), s.blobs.Close())
	return errors.Join(err, s.lock.Unlock())
}

// remove removes a stage that is closed. It first gets another name, so that no later run finds a part of it.
func (s *stage) remove() error {
	gone := s.dir + removed
	err := os.RemoveAll(gone)
	if err == nil {
		err = os.Rename(s.dir, gone)
	}
	if err == nil {
		err = os.RemoveAll(gone)
	}
	return err
}

// removeEmpty removes a stage into which nothing was put.
func (s *stage) removeEmpty() {
	some, err := filepath.Glob(filepath.Join(escape(s.dir), "blobs", "*", "*"))
	if err == nil && len(some) == 0 && s.close() == nil {
		_ = s.remove() // an empty directory that stays does no harm
	}
}

// note adds a document to what a repository holds.
func (s *stage) note(p put) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.repos[p.Repo]
	if at == nil {
		at = &shelfOf{tags: map[string]oci.Descriptor{}, docs: map[oci.Digest]put{}}
		s.repos[p.Repo] = at
	}
	at.docs[p.Digest] = p
	for _, tag := range p.Tags {
		at.tags[tag] = p.descriptor()
	}
}

// Open implements place.Local.
func (s *stage) Open(repo ref.Repo) (place.LocalRepository, error) {
	return &staged{stage: s, repo: repo}, nil
}

// Repositories implements place.Local.
func (s *stage) Repositories(_ context.Context, visit func(path string) error) error {
	s.mu.Lock()
	paths := slices.Sorted(maps.Keys(s.repos))
	s.mu.Unlock()
	for _, path := range paths {
		if err := visit(path); err != nil {
			return err
		}
	}
	return nil
}

// tag returns what a tag points to: what was staged, or else what the receiver has.
func (s *stage) tag(path, tag string) (oci.Descriptor, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.repos[path]; at != nil {
		if d, ok := at.tags[tag]; ok {
			return d, true
		}
	}
	d := s.has.Tag(path, tag)
	return oci.Descriptor{Digest: d}, d != ""
}

// tags returns all tags of a repository, sorted.
func (s *stage) tags(path string) []oci.Listed {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]oci.Descriptor{}
	for _, n := range s.has.In(path) {
		all[n.Tag] = oci.Descriptor{Digest: n.Digest}
	}
	if at := s.repos[path]; at != nil {
		maps.Copy(all, at.tags)
	}
	var out []oci.Listed
	for _, tag := range slices.Sorted(maps.Keys(all)) {
		out = append(out, oci.Listed{Tag: tag, Descriptor: all[tag]})
	}
	return out
}

// tagsOf returns the tags of a repository that point to a document, sorted.
func (s *stage) tagsOf(p put) (tags []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for tag, d := range s.repos[p.Repo].tags {
		if d.Digest == p.Digest {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags
}

// received returns the referrers without a tag that a repository of the receiver has.
func (s *stage) received(path string) []have.Referrer {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, known := s.theirs[path]
	if !known {
		all = s.has.Referrers(path)
		s.theirs[path] = all
	}
	return all
}

// refers reports whether d is one of the referrers that a repository of the receiver has.
func (s *stage) refers(path string, d oci.Digest) bool {
	all := s.received(path)
	at, _ := slices.BinarySearchFunc(all, d, func(r have.Referrer, d oci.Digest) int { return cmp.Compare(r.Digest, d) })
	return at < len(all) && all[at].Digest == d
}

// doc returns a document that a repository received.
func (s *stage) doc(path string, d oci.Digest) (put, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.repos[path]; at != nil {
		p, ok := at.docs[d]
		return p, ok
	}
	return put{}, false
}

// all returns the documents that a repository received.
func (s *stage) all(path string) []put {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.repos[path]; at != nil {
		return slices.Collect(maps.Values(at.docs))
	}
	return nil
}

// nothing returns the list of a receiver that has nothing.
func nothing() *have.List { return have.New("", time.Time{}) }

// staged is one repository of a stage.
type staged struct {
	*stage
	repo ref.Repo
}

// Repo implements transfer.Target.
func (r *staged) Repo() ref.Repo { return r.repo }

// Resolve implements transfer.Target. What the receiver has counts as there: a tag, or a referrer without one.
func (r *staged) Resolve(_ context.Context, reference string) (oci.Descriptor, error) {
	if ref.Digest(reference) == nil {
		if p, ok := r.doc(r.repo.Path, oci.Digest(reference)); ok {
			return p.descriptor(), nil
		}
		if r.refers(r.repo.Path, oci.Digest(reference)) {
			return oci.Descriptor{Digest: oci.Digest(reference)}, nil
		}
		return oci.Descriptor{}, notFound("resolve", r.repo.At(reference).String())
	}
	if d, ok := r.tag(r.repo.Path, reference); ok {
		return d, nil
	}
	return oci.Descriptor{}, notFound("resolve", r.repo.Tagged(reference).String())
}

// Document implements transfer.Source, for what was staged.
func (r *staged) Document(ctx context.Context, reference string) (oci.Document, error) {
	d, err := r.Resolve(ctx, reference)
	if err != nil {
		return oci.Document{}, err
	}
	p, ok := r.doc(r.repo.Path, d.Digest)
	if !ok {
		return oci.Document{}, notFound("read manifest", r.repo.At(string(d.Digest)).String())
	}
	return r.read(ctx, p)
}

// read reads a document of the stage, and verifies it.
func (s *stage) read(ctx context.Context, p put) (oci.Document, error) {
	body, _, err := s.blobs.Blob(ctx, p.descriptor(), 0, -1)
	if err != nil {
		return oci.Document{}, err
	}
	defer body.Close()
	raw, err := io.ReadAll(body)
	if err != nil {
		return oci.Document{}, err
	}
	return oci.Parse(p.descriptor(), raw)
}

// Blob implements transfer.Source.
func (r *staged) Blob(ctx context.Context, d oci.Descriptor, at, n int64) (io.ReadCloser, int64, error) {
	return r.blobs.Blob(ctx, d, at, n)
}

// Referrers implements transfer.Source. Of those that only the receiver has, the digests are known.
func (r *staged) Referrers(_ context.Context, d oci.Descriptor) ([]oci.Descriptor, error) {
	var out []oci.Descriptor
	for _, f := range r.received(r.repo.Path) {
		if _, staged := r.doc(r.repo.Path, f.Digest); f.Subject == d.Digest && !staged {
			out = append(out, oci.Descriptor{Digest: f.Digest})
		}
	}
	for _, p := range r.all(r.repo.Path) {
		if p.Subject == d.Digest {
			out = append(out, p.descriptor())
		}
	}
	slices.SortFunc(out, func(a, b oci.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	return out, nil
}

// Keeps implements transfer.Target. A bundle keeps digests of every algorithm.
func (r *staged) Keeps(_, _ []oci.Descriptor) error { return nil }

// Missing implements transfer.Target. A blob that the receiver has is not missing.
func (r *staged) Missing(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	lack, err := r.lacks(ctx, blobs)
	return slices.DeleteFunc(lack, func(b oci.Descriptor) bool { return r.elsewhere(b.Digest) }), err
}

// Prove implements transfer.Target.
func (r *staged) Prove(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	return r.Missing(ctx, blobs)
}

// Distrust implements transfer.Target.
func (r *staged) Distrust(blobs []oci.Descriptor) { r.blobs.Distrust(blobs) }

// Put implements transfer.Target.
func (r *staged) Put(ctx context.Context, d oci.Descriptor, _ []ref.Repo, open oci.Opener) (oci.Arrival, error) {
	lack, err := r.Missing(ctx, []oci.Descriptor{d})
	if err == nil && len(lack) == 0 {
		return oci.Arrival{Way: oci.Present}, nil
	}
	if r.counts(d) {
		return oci.Arrival{Way: oci.Sent}, nil
	}
	return r.blobs.Put(ctx, d, nil, open)
}

// counts reports whether the stage only counts blobs, and counts d then.
func (s *stage) counts(d oci.Descriptor) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counted != nil {
		s.counted[d.Digest] = true
	}
	return s.counted != nil
}

// lacks returns those of blobs that were neither put nor counted.
func (s *stage) lacks(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	lack, err := s.blobs.Missing(ctx, blobs)
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(lack, func(b oci.Descriptor) bool { return s.counted[b.Digest] }), err
}

// PutDocument implements transfer.Target.
func (r *staged) PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error) {
	open := func(context.Context, int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(doc.Raw)), nil
	}
	if _, err := r.blobs.Put(ctx, doc.Descriptor, nil, open); err != nil {
		return oci.Accepted{}, err
	}
	p := put{Repo: r.repo.Path, Tags: tags, Digest: doc.Digest, Size: doc.Size, MediaType: doc.MediaType}
	if doc.Subject != nil {
		p.Subject = doc.Subject.Digest
	}
	if err := r.journal.add(p); err != nil {
		return oci.Accepted{}, err
	}
	r.note(p)
	return oci.Accepted{Tags: tags, Subject: p.Subject}, nil
}

// List implements place.Repository.
func (r *staged) List(_ context.Context, visit func(oci.Listed) error) error {
	tags := r.tags(r.repo.Path)
	if len(tags) == 0 {
		return notFound("list tags", r.repo.String())
	}
	return listed(tags, visit)
}

// Digests implements place.LocalRepository.
func (r *staged) Digests(context.Context) ([]oci.Digest, error) {
	var out []oci.Digest
	for _, p := range r.all(r.repo.Path) {
		out = append(out, p.Digest)
	}
	slices.Sort(out)
	return out, nil
}

// Delete implements place.LocalRepository. Nothing is deleted from a bundle.
func (r *staged) Delete(_ context.Context, reference string, _ ...string) error {
	return &fault.Fault{Kind: fault.Refused, Op: "delete", Name: r.repo.String() + " " + reference,
		Err: errors.New("nothing is deleted from a bundle")}
}
