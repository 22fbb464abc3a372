package place

import (
	"context"
	"iter"
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

// Session holds what one plan and its application share: open repositories and what they learned,
// documents that were read, what the targets have, and the count of traffic. Its methods are safe for concurrent use.
// Its fields must be set before it is used.
type Session struct {
	Base   *Base
	Logins map[fault.Side]*credential.Login // a nil login means that the credential chain is asked

	// Several sessions of one run may share these.
	Shared    *Sharing            // what target registries have
	Documents *transfer.Documents // what was read from the sources
	Traffic   *Traffic            // counts the traffic
	Told      *Told               // what was noted about registries
	Layouts   *layout.Layouts     // the layouts on disk that are open

	// Looks says that target registries are only read, so that a login without push access is
	// enough.
	Looks bool

	// Applying says that steps are being executed. A step that has to wait then lets other steps
	// go on.
	Applying atomic.Bool

	// mounts holds, for each target, the paths of the repositories that it may mount blobs from.
	mounts map[ref.Repo][]string

	mu      sync.Mutex
	places  map[opened]Repository
	layouts map[opened]*layout.Dir
	watch   event.Observer
	backs   map[Repository]*transfer.Back
	tagged  map[ref.Repo]map[string]oci.Descriptor // the digest tags of source repositories that were listed
}

// opened identifies a repository as one side opened it.
type opened struct {
	side fault.Side
	repo ref.Repo
	mode layout.Mode // only for layouts
}

// Begin opens a session. If a login is nil, the session asks the credential chain. If obs is nil,
// events are ignored.
func (b *Base) Begin(source, target *credential.Login, obs event.Observer) *Session {
	return &Session{
		Base:      b,
		Logins:    map[fault.Side]*credential.Login{fault.Source: source, fault.Target: target},
		Shared:    NewSharing(b.Earlier),
		Documents: &transfer.Documents{},
		Traffic:   NewTraffic(),
		Told:      &Told{},
		Layouts:   &layout.Layouts{},
		mounts:    map[ref.Repo][]string{},
		places:    map[opened]Repository{},
		layouts:   map[opened]*layout.Dir{},
		watch:     obs,
		backs:     map[Repository]*transfer.Back{},
		tagged:    map[ref.Repo]map[string]oci.Descriptor{},
	}
}

// Another opens a session of the same run, with the same logins and observer.
func (s *Session) Another() *Session {
	other := s.Base.Begin(s.Logins[fault.Source], s.Logins[fault.Target], s.watch)
	other.Shared, other.Documents, other.Traffic, other.Told = s.Shared, s.Documents, s.Traffic, s.Told
	other.Layouts = s.Layouts
	return other
}

// Aim announces that source will be copied to targets. The first token that is requested for a
// target then also covers the mounts from the other repositories.
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

// Source opens repo for reading. If repo is also a target with the same login, it is opened only
// once for both.
func (s *Session) Source(repo ref.Repo) (Repository, error) {
	side := fault.Source
	if _, both := s.mounts[repo]; both && s.Logins[fault.Source] == s.Logins[fault.Target] {
		side = fault.Target
	}
	p, err := s.Open(side, repo, layout.Read)
	return p, fault.On(fault.Source, err)
}

// Target opens repo for writing, or for a survey of a target.
func (s *Session) Target(repo ref.Repo, mode layout.Mode) (Repository, error) {
	p, err := s.Open(fault.Target, repo, mode)
	if mode == layout.Read && fault.Is(err, fault.NotFound) && repo.IsLayout() && !Absent(repo) {
		err = fault.Misuse("open layout", repo.String(), "the directory is not empty and is no image layout",
			"name a new or an empty directory, or an image layout")
	}
	return p, fault.On(fault.Target, err)
}

// Open opens repo for one side. mode applies only to a layout.
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
		use.Target = true
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

func (s *Session) openLayout(key opened) (*layout.Dir, error) {
	if dir, ok := s.layouts[key]; ok {
		return dir, nil
	}
	dir, err := s.Layouts.Open(key.repo, key.mode)
	if err != nil {
		return nil, err
	}
	s.layouts[key] = dir
	return dir, nil
}

// Own opens repo for requests that the registry offers in addition to the distribution API.
func (s *Session) Own(side fault.Side, repo ref.Repo, actions remote.Actions) *remote.Repository {
	return s.Base.Remote.Open(repo, remote.Use{Actions: actions, Login: s.Logins[side], Observe: s.Watch()})
}

// Once opens a repository of a registry for requests that transfers do not send. Such a request
// is not retried.
func (s *Session) Once(side fault.Side, repo ref.Repo, actions remote.Actions) *remote.Repository {
	return s.Base.Remote.Open(repo, remote.Use{Actions: actions, Login: s.Logins[side], Observe: s.Watch()}).Once()
}

// Deleter is a repository whose tags and manifests can be deleted.
type Deleter interface {
	Resolve(ctx context.Context, reference string) (oci.Descriptor, error)
	Delete(ctx context.Context, reference string, tags ...string) error
}

// Deleter opens a repository in order to delete tags or manifests from it.
func (s *Session) Deleter(repo ref.Repo) (Deleter, error) {
	if here, ok := s.Base.Registry(repo.Host); ok {
		return here.Open(repo)
	}
	if !repo.IsLayout() {
		use := remote.Use{Actions: remote.Pull, Login: s.Logins[fault.Source], Observe: s.Watch()}
		return s.Base.Remote.Open(repo, use), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.openLayout(opened{"", repo, layout.Write})
}

// Warm opens connections for the blobs that will be copied from one registry to another, while
// the manifests are still being read.
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

// BackOf returns the transfer.Back of a repository. All images of the session share it, so that
// each blob is read back only once.
func (s *Session) BackOf(at Repository) *transfer.Back {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backs[at] == nil {
		s.backs[at] = transfer.NewBack(at)
	}
	return s.backs[at]
}

// NoteTags keeps the digest tags of a complete listing of a source repository, so that nobody has to ask
// for them. Descriptors may be empty.
func (s *Session) NoteTags(repo ref.Repo, all iter.Seq2[string, oci.Descriptor]) {
	kept := map[string]oci.Descriptor{}
	for tag, d := range all {
		if belongs, fallback := oci.TaggedFor(tag); belongs != "" && !fallback {
			kept[tag] = d
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tagged[repo] = kept
}

// DigestTags returns the digest tags of a source repository. known is false if it was not listed.
func (s *Session) DigestTags(repo ref.Repo) (tags map[string]oci.Descriptor, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags, known = s.tagged[repo]
	return tags, known
}

// Release closes the layouts that are open. They are opened again when they are needed.
func (s *Session) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, dir := range s.layouts {
		_ = dir.Close() // each write was synced on its own: closing the directory commits nothing
	}
	clear(s.layouts)
	clear(s.backs)
}

// Observe counts e and passes it to the current observer. A note about a registry is passed on once
// in a run.
func (s *Session) Observe(e event.Event) {
	s.Traffic.Event(e)
	if e.Kind == event.Noted && e.Host != "" && !s.Told.news(e) {
		return
	}
	s.mu.Lock()
	watch := s.watch
	s.mu.Unlock()
	watch.Tell(e)
}

// Watch returns the observers for the events and requests of registries.
func (s *Session) Watch() event.Watch { return event.Watch{Events: s.Observe, Requests: s.requested} }

func (s *Session) requested(q event.Request) {
	s.Traffic.Request(q)
	s.Base.Requests.Tell(q)
}

// WatchedBy replaces the observer.
func (s *Session) WatchedBy(obs event.Observer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = obs
}
