package dray

import (
	"context"
	"maps"
	"os"
	"path/filepath"
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

// place is a repository wherever it is: both ends of a transfer, and listable.
type place interface {
	transfer.Source
	transfer.Target
	List(ctx context.Context, visit func(oci.Listed) error) error
}

// session is what one plan and its application share: the repositories that were
// opened and all that they learned, the documents read, what was exchanged.
type session struct {
	base    *base
	mounts  map[ref.Repo][]string // the targets, and the paths that blobs may be mounted from
	logins  map[fault.Side]*credential.Login
	docs    map[oci.Digest]oci.Document
	traffic map[string]Traffic
	shared  *sharing // what target registries hold, for runs of many repositories; nil is nothing

	mu      sync.Mutex
	places  map[opened]place
	layouts map[opened]*layout.Dir
	watch   event.Observer
	pulled  map[string]int // manifests read, by host
	backs   map[place]*transfer.Back

	looks    bool        // the targets are only looked at, where they are: a login that may not write is enough
	applying atomic.Bool // steps are being done: one that has to wait makes room for others
}

// opened is a repository as one side uses it.
type opened struct {
	side fault.Side
	repo ref.Repo
	mode layout.Mode // of a layout
}

// observe counts e and passes it on to whoever watches now.
func (s *session) observe(e event.Event) {
	s.mu.Lock()
	t := s.traffic[e.Host]
	switch e.Kind {
	case event.Requested:
		t.Requests++
		t.Sent += e.Sent
		t.Received += e.Received
		s.pulled[e.Host] += pullsIn(e)
		s.traffic[e.Host] = t
	case event.Retried:
		if e.Host != "" { // else it is a layout's
			t.Retries++
			s.traffic[e.Host] = t
		}
	}
	watch := s.watch
	s.mu.Unlock()
	watch.Tell(e)
}

// exchanged is what was exchanged so far, by registry host.
func (s *session) exchanged() map[string]Traffic {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.traffic)
}

func (s *session) watchedBy(obs event.Observer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = obs
}

// aim says that targets will be written from source, so that the first token asked for covers it all.
func (s *session) aim(source ref.Repo, targets ...ref.Repo) {
	for _, to := range targets {
		s.mounts[to] = append([]string{}, s.mounts[to]...)
		for _, from := range append([]ref.Repo{source}, targets...) {
			if from.Host == to.Host && from != to && !from.IsLayout() && !slices.Contains(s.mounts[to], from.Path) {
				s.mounts[to] = append(s.mounts[to], from.Path)
			}
		}
	}
}

// source opens repo for reading. A repository that is a target too, with the same
// login, is opened once for both.
func (s *session) source(repo ref.Repo) (place, error) {
	side := fault.Source
	if _, both := s.mounts[repo]; both && s.logins[fault.Source] == s.logins[fault.Target] {
		side = fault.Target
	}
	p, err := s.open(side, repo, layout.Read)
	return p, fault.On(fault.Source, err)
}

// target opens repo for writing, or for looking at what writing would meet.
func (s *session) target(repo ref.Repo, mode layout.Mode) (place, error) {
	p, err := s.open(fault.Target, repo, mode)
	return p, fault.On(fault.Target, err)
}

func (s *session) open(side fault.Side, repo ref.Repo, mode layout.Mode) (place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if repo.IsLayout() {
		return s.openLayout(opened{"", repo, mode})
	}
	key := opened{side: side, repo: repo}
	if p, ok := s.places[key]; ok {
		return p, nil
	}
	if here, ok := s.base.local(repo.Host); ok {
		p, err := here.Open(repo)
		if err == nil {
			s.places[key] = p
		}
		return p, err
	}
	use := remote.Use{Actions: remote.Pull, Login: s.logins[side], Observe: s.observe, Yield: s.applying.Load}
	if side == fault.Target && s.looks {
		p := s.base.remote.Open(repo, use).Direct()
		s.places[key] = p
		return p, nil
	}
	if side == fault.Target {
		use.Actions, use.MountFrom, use.Writing = remote.Push, s.mounts[repo], s.applying.Load
	}
	p := s.base.remote.Open(repo, use)
	s.places[key] = p
	return p, nil
}

// warm has connections dialled for the blobs that will go from one registry to another, while manifests are read.
func (s *session) warm(ctx context.Context, from, to ref.Repo) {
	if from.Host == to.Host {
		return
	}
	for _, repo := range []ref.Repo{from, to} {
		if _, here := s.base.local(repo.Host); !here && !repo.IsLayout() {
			s.base.remote.Warm(ctx, repo.Host)
		}
	}
}

func (s *session) openLayout(key opened) (place, error) {
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

// backOf reads back what at holds; what it saw there counts for all images of the session.
func (s *session) backOf(at place) *transfer.Back {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backs[at] == nil {
		s.backs[at] = transfer.NewBack(at)
	}
	return s.backs[at]
}

// release closes what is open on disk. What is needed again is opened again.
func (s *session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, dir := range s.layouts {
		dir.Close()
	}
	clear(s.layouts)
	clear(s.backs)
}

// absent reports whether repo is a layout that is not there yet: it holds nothing, and looking must not make it.
func absent(repo ref.Repo) bool {
	if !repo.IsLayout() {
		return false
	}
	entries, err := os.ReadDir(filepath.Clean(repo.Path))
	return os.IsNotExist(err) || err == nil && len(entries) == 0
}
