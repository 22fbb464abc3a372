package bundle

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

	mu    sync.Mutex
	puts  []put
	repos map[string]*shelfOf // by path
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
	s := &stage{dir: dir, blobs: blobs, has: has, elsewhere: elsewhere, repos: map[string]*shelfOf{}}
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

// remove removes a stage that is closed.
func (s *stage) remove() error { return os.RemoveAll(s.dir) }

// note adds a document to what a repository holds.
func (s *stage) note(p put) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.repos[p.Repo]
	if at == nil {
		at = &shelfOf{tags: map[string]oci.Descriptor{}, docs: map[oci.Digest]put{}}
		s.repos[p.Repo] = at
	}
	if _, known := at.docs[p.Digest]; !known {
		s.puts = append(s.puts, p)
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
