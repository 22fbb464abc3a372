package place

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Session is what one plan and its application share: the repositories that were opened and
// all that they learned, the documents that were read, what was exchanged. Its methods are
// safe for concurrent use; its fields are set before it is used.
type Session struct {
	Base   *Base
	Logins map[fault.Side]*credential.Login // nil asks the chain
	Shared *Sharing                         // what target registries hold, for runs of many repositories; nil is nothing

	// Traffic is counted here; sessions of one run may share it.
	Traffic *Traffic

	// Looks says that targets are only looked at, where they are: a login that may not write is enough.
	Looks bool

	// Applying says that steps are being done: one that has to wait makes room for others.
	Applying atomic.Bool

	mounts map[ref.Repo][]string // the targets, and the paths that blobs may be mounted from
	docs   map[oci.Digest]oci.Document

	mu      sync.Mutex
	places  map[opened]Repository
	layouts map[opened]*layout.Dir
	watch   event.Observer
	backs   map[Repository]*transfer.Back
}

// opened is a repository as one side uses it.
type opened struct {
	side fault.Side
	repo ref.Repo
	mode layout.Mode // of a layout
}

// Begin opens a session. A nil login asks the chain; a nil observer watches nothing.
func (b *Base) Begin(source, target *credential.Login, obs event.Observer) *Session {
	return &Session{
		Base: b, Logins: map[fault.Side]*credential.Login{fault.Source: source, fault.Target: target}, watch: obs,
		mounts: map[ref.Repo][]string{}, docs: map[oci.Digest]oci.Document{}, places: map[opened]Repository{}, layouts: map[opened]*layout.Dir{},
		Traffic: NewTraffic(), backs: map[Repository]*transfer.Back{},
	}
}

// Aim says that targets will be written from source, so that the first token asked for covers it all.
func (s *Session) Aim(source ref.Repo, targets ...ref.Repo) {
	for _, to := range targets {
		s.mounts[to] = append([]string{}, s.mounts[to]...)
		for _, from := range append([]ref.Repo{source}, targets...) {
			if from.Host == to.Host && from != to && !from.IsLayout() && !slices.Contains(s.mounts[to], from.Path) {
				s.mounts[to] = append(s.mounts[to], from.Path)
			}
		}
	}
}

// Source opens repo for reading. A repository that is a target too, with the same
// login, is opened once for both.
func (s *Session) Source(repo ref.Repo) (Repository, error) {
	side := fault.Source
	if _, both := s.mounts[repo]; both && s.Logins[fault.Source] == s.Logins[fault.Target] {
		side = fault.Target
	}
	p, err := s.Open(side, repo, layout.Read)
	return p, fault.On(fault.Source, err)
}

// Target opens repo for writing, or for looking at what writing would meet.
func (s *Session) Target(repo ref.Repo, mode layout.Mode) (Repository, error) {
	p, err := s.Open(fault.Target, repo, mode)
	return p, fault.On(fault.Target, err)
}

// Open opens repo for one side. mode is that of a layout.
func (s *Session) Open(side fault.Side, repo ref.Repo, mode layout.Mode) (Repository, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if repo.IsLayout() {
		return s.openLayout(opened{"", repo, mode})
	}
	key := opened{side: side, repo: repo}
	if p, ok := s.places[key]; ok {
		return p, nil
	}
	if here, ok := s.Base.Registry(repo.Host); ok {
		p, err := here.Open(repo)
		if err == nil {
			s.places[key] = p
		}
		return p, err
	}
	use := remote.Use{Actions: remote.Pull, Login: s.Logins[side], Observe: s.Watch(), Yield: s.Applying.Load}
	if side == fault.Target && s.Looks {
		p := s.Base.Remote.Open(repo, use).Direct()
		s.places[key] = p
		return p, nil
	}
	if side == fault.Target {
		use.Actions, use.MountFrom, use.Writing = remote.Push, s.mounts[repo], s.Applying.Load
	}
	p := s.Base.Remote.Open(repo, use)
	s.places[key] = p
	return p, nil
}

func (s *Session) openLayout(key opened) (Repository, error) {
	if dir, ok := s.layouts[key]; ok {
		return dir, nil
	}
	dir, err := layout.Open(key.repo.Path, key.mode)
	if err != nil {
		return nil, err
	}
	s.layouts[key] = dir
	return dir, nil
}

// Own opens repo for what its registry has beside the distribution API.
func (s *Session) Own(side fault.Side, repo ref.Repo, actions remote.Actions) *remote.Repository {
	return s.Base.Remote.Open(repo, remote.Use{Actions: actions, Login: s.Logins[side], Observe: s.Watch()})
}

// Once opens a repository of a registry to ask what transfers do not, and gives up at the first trouble.
func (s *Session) Once(side fault.Side, repo ref.Repo, actions remote.Actions) *remote.Repository {
	return s.Base.Remote.Open(repo, remote.Use{Actions: actions, Login: s.Logins[side], Observe: s.Watch()}).Once()
}

// Warm has connections dialled for the blobs that will go from one registry to another, while manifests are read.
func (s *Session) Warm(ctx context.Context, from, to ref.Repo) {
	if from.Host == to.Host {
		return
	}
	for _, repo := range []ref.Repo{from, to} {
		if _, here := s.Base.Registry(repo.Host); !here && !repo.IsLayout() {
			s.Base.Remote.Warm(ctx, repo.Host)
		}
	}
}

// BackOf reads back what at holds; what it saw there counts for all images of the session.
func (s *Session) BackOf(at Repository) *transfer.Back {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backs[at] == nil {
		s.backs[at] = transfer.NewBack(at)
	}
	return s.backs[at]
}

// Release closes what is open on disk. What is needed again is opened again.
func (s *Session) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, dir := range s.layouts {
		dir.Close()
	}
	clear(s.layouts)
	clear(s.backs)
}

// Observe counts e and passes it on to whoever watches now.
func (s *Session) Observe(e event.Event) {
	s.Traffic.Event(e)
	s.mu.Lock()
	watch := s.watch
	s.mu.Unlock()
	watch.Tell(e)
}

// Watch is told of what happens at registries.
func (s *Session) Watch() event.Watch { return event.Watch{Events: s.Observe, Requests: s.requested} }

func (s *Session) requested(q event.Request) {
	s.Traffic.Request(q)
	s.Base.Requests.Tell(q)
}

// Keep holds on to a document that was read, so that a copy does not read it again.
func (s *Session) Keep(doc oci.Document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.docs[doc.Digest] = doc
}

// Kept are the documents that were kept. Nothing may be kept while they are used.
func (s *Session) Kept() map[oci.Digest]oci.Document { return s.docs }

// WatchedBy changes who watches.
func (s *Session) WatchedBy(obs event.Observer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = obs
}
