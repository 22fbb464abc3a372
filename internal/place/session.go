package place

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/ends"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
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
	Verdicts  *Verdicts           // what Gate said about images
	Writing   *ends.Writing       // archives and directories that are written
	Layouts   *layout.Layouts     // the layouts on disk that are open

	// Gate is asked before an image moves; nil admits all.
	Gate gate.Gate

	// Guard is asked before the list of what refers to an image is set as a tag, see Job.Guard; nil allows all.
	Guard func(context.Context, []plan.Step) error

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
	onDisk  map[opened]OnDisk
	watch   event.Observer
	backs   map[Repository]*transfer.Back
	tagged  map[ref.Repo]Tagged       // the digest tags of source repositories that were listed
	foreign map[Repository]Repository // with their foreign layers
}

// opened identifies a repository as one side opened it.
type opened struct {
	side fault.Side
	repo ref.Repo
	mode layout.Mode // only for ends on disk
}

// OnDisk is a repository in a layout, or in another end on disk.
type OnDisk interface {
	Repository
	Deleter
	io.Closer
	// Images returns the names of all images in the layout; see [layout.Dir].
	Images() ([]ref.Name, error)
	// Nameless lists the images that only their digests find; see [layout.Dir].
	Nameless(ctx context.Context) ([]oci.Descriptor, error)
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
		Verdicts:  &Verdicts{},
		Gate:      b.Gate,
		Guard:     b.Guard,
		Layouts:   &layout.Layouts{},
		mounts:    map[ref.Repo][]string{},
		places:    map[opened]Repository{},
		Writing:   &ends.Writing{Reading: b.Ends, Output: b.Output},
		onDisk:    map[opened]OnDisk{},
		watch:     obs,
		backs:     map[Repository]*transfer.Back{},
		tagged:    map[ref.Repo]Tagged{},
		foreign:   map[Repository]Repository{},
	}
}

// Another opens a session of the same run, with the same logins and observer.
func (s *Session) Another() *Session {
	other := s.Base.Begin(s.Logins[fault.Source], s.Logins[fault.Target], s.watch)
	other.Shared, other.Documents, other.Traffic, other.Told = s.Shared, s.Documents, s.Traffic, s.Told
	other.Gate, other.Verdicts = s.Gate, s.Verdicts
	other.Writing = s.Writing
	other.Layouts = s.Layouts
	return other
}

// learned is what the sessions of one run share.
type learned struct {
	shared    *Sharing
	documents *transfer.Documents
	told      *Told
	verdicts  *Verdicts
}

// Join lets s share what the other parts of a divided run learn that this process carries out, as if they were one run:
// which repositories hold which blobs, what was read, what was told, and what a gate said. It does nothing if run is
// "".
func (s *Session) Join(run string) {
	if run == "" {
		return
	}
	l, _ := s.Base.Runs.Of(run, learned{s.Shared, s.Documents, s.Told, s.Verdicts}).(learned)
	s.Shared, s.Documents, s.Told, s.Verdicts = l.shared, l.documents, l.told, l.verdicts
}

// GatedBy lets g decide about images, too. The gate that every session has is asked before it. A nil g
// changes nothing.
func (s *Session) GatedBy(g gate.Gate) {
	switch {
	case g == nil:
	case s.Gate == nil:
		s.Gate = g
	default:
		s.Gate = gate.All{s.Gate, g}
	}
}

// GateNamed returns the gate that an entry of a list or a step of a plan names. The error is Invalid.
func (s *Session) GateNamed(name string) (gate.Gate, error) {
	if s.Base.Gates == nil || name == "" {
		return nil, fault.Misuse("find gate", strconv.Quote(name), "there is no such gate",
			"leave the gate out, or name one of the configuration")
	}
	return s.Base.Gates(name)
}

// KnowsGates returns the error of the first of these gates that does not exist.
func (s *Session) KnowsGates(names []string) error {
	for _, name := range names {
		if _, err := s.GateNamed(name); err != nil {
			return err
		}
	}
	return nil
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
func (s *Session) Source(ctx context.Context, repo ref.Repo) (Repository, error) {
	side := fault.Source
	if _, both := s.mounts[repo]; both && s.Logins[fault.Source] == s.Logins[fault.Target] {
		side = fault.Target
	}
	p, err := s.Open(ctx, side, repo, layout.Read)
	if err != nil || s.Base.Foreign == nil {
		return p, fault.On(fault.Source, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.foreign[p] == nil {
		s.foreign[p] = carrier{p, s.Base.Foreign.Of(p)}
	}
	return s.foreign[p], nil
}

// Target opens repo for writing, or for a survey of a target.
func (s *Session) Target(ctx context.Context, repo ref.Repo, mode layout.Mode) (Repository, error) {
	p, err := s.Open(ctx, fault.Target, repo, mode)
	if mode == layout.Read && fault.Is(err, fault.NotFound) && repo.Host == ref.Layout && !Absent(repo) {
		err = fault.Misuse("open layout", repo.String(), "the directory is not empty and is no image layout",
			"name a new or an empty directory, or an image layout")
	}
	if mode == layout.Read && !s.Looks {
		if repo.IsMade() {
			err = ends.Occupied(repo, err)
		} else if err == nil && repo.Host == ref.Layout {
			err = ends.Bundled(repo)
		}
	}
	return p, fault.On(fault.Target, err)
}

// Open opens repo for one side. mode applies only to a layout.
func (s *Session) Open(ctx context.Context, side fault.Side, repo ref.Repo, mode layout.Mode) (Repository, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if repo.IsLayout() {
		return s.openOnDisk(ctx, opened{"", repo, mode})
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
		use.Lists = func(ctx context.Context, tag string, was oci.Digest, list oci.Descriptor) error {
			return s.mayList(ctx, repo.Tagged(tag), was, list)
		}
	}
	p := s.Base.Remote.Open(repo, use)
	s.places[key] = p
	return p, nil
}

// mayList asks the guard whether a tag of a target may be set to a list of referrers. The registry has that list
// itself, and the new one has all of the old one.
func (s *Session) mayList(ctx context.Context, tag ref.Name, was oci.Digest, list oci.Descriptor) error {
	if s.Guard == nil {
		return nil
	}
	return s.Guard(ctx, []plan.Step{{Action: plan.Copy, From: tag.Repo.At(string(list.Digest)), To: tag,
		MediaType: list.MediaType, Size: list.Size, Replaces: was, Overwrite: plan.Update}})
}

func (s *Session) openOnDisk(ctx context.Context, key opened) (OnDisk, error) {
	if at, ok := s.onDisk[key]; ok {
		return at, nil
	}
	var at OnDisk
	var err error
	switch {
	case key.repo.Host == ref.Layout && key.mode == layout.Write:
		if err = ends.Bundled(key.repo); err == nil {
			at, err = s.Layouts.Open(key.repo, key.mode)
		}
	case key.repo.Host == ref.Layout:
		at, err = s.Layouts.Open(key.repo, key.mode)
	case key.mode == layout.Write:
		at, err = s.Writing.Open(ctx, key.repo)
	default:
		at, err = s.Base.Ends.Open(ctx, key.repo)
	}
	if err != nil {
		return nil, err
	}
	s.onDisk[key] = at
	return at, nil
}

// OnDisk opens a repository of an end on disk for reading.
func (s *Session) OnDisk(ctx context.Context, repo ref.Repo) (OnDisk, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.openOnDisk(ctx, opened{"", repo, layout.Read})
}

// maxNamed is how many images a note names.
const maxNamed = 5

// noteNameless notes which images docker load shows without a name.
func (s *Session) noteNameless(c ends.Committed) {
	if n := len(c.Nameless); n > 0 {
		some := strings.Join(c.Nameless[:min(n, maxNamed)], ", ")
		if n > maxNamed {
			some += fmt.Sprintf(" and %d more", n-maxNamed)
		}
		s.Observe(event.Event{Kind: event.Noted, Side: string(fault.Target), Name: c.End.String(),
			Text: "docker load shows <none> in place of a name, because no repository is named in " + c.End.String() +
				" for " + some + ": to name one, write docker-archive:FILE:REPOSITORY:TAG"})
	}
}

// Commit makes the archives and the directories that were written, as far as wanted is true for them. The
// others stay as they were. It returns why an end was not made. A note says where what arrived stays for the
// next run.
func (s *Session) Commit(ctx context.Context, wanted func(end ref.Repo) bool) map[ref.Repo]error {
	s.Release()
	var failed map[ref.Repo]error
	for _, c := range s.Writing.Commit(ctx, wanted) {
		if c.Err != nil {
			if failed == nil {
				failed = map[ref.Repo]error{}
			}
			failed[c.End] = fault.On(fault.Target, c.Err)
		}
		s.noteNameless(c)
		if c.Kept != "" {
			s.Observe(event.Event{Kind: event.Noted, Side: string(fault.Target), Name: c.End.String(),
				Text: c.End.String() + " was not written; what arrived is in " + c.Kept +
					": run the same again to continue, or remove that directory"})
		}
	}
	return failed
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
func (s *Session) Deleter(ctx context.Context, repo ref.Repo) (Deleter, error) {
	if here, ok := s.Base.Registry(repo.Host); ok {
		return here.Open(repo)
	}
	if !repo.IsLayout() {
		use := remote.Use{Actions: remote.Pull, Login: s.Logins[fault.Source], Observe: s.Watch()}
		return s.Base.Remote.Open(repo, use), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.openOnDisk(ctx, opened{"", repo, layout.Write})
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

// Tagged returns what a digest tag points to. The descriptor may be empty, although the tag is there.
type Tagged func(tag string) (d oci.Descriptor, there bool)

// DigestTagsOf returns the Tagged of a listing.
func DigestTagsOf(all iter.Seq2[string, oci.Descriptor]) Tagged {
	kept := map[string]oci.Descriptor{}
	for tag, d := range all {
		if oci.IsDigestTag(tag) {
			kept[tag] = d
		}
	}
	return func(tag string) (oci.Descriptor, bool) { d, there := kept[tag]; return d, there }
}

// NoteTags keeps a complete listing of a source repository, so that nobody has to ask for its digest tags.
func (s *Session) NoteTags(repo ref.Repo, all Tagged) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tagged[repo] = all
}

// DigestTags returns the digest tags of a source repository; nil if it was not listed.
func (s *Session) DigestTags(repo ref.Repo) Tagged {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tagged[repo]
}

// Release closes the layouts and the other ends on disk that are open. They are opened again when they are needed.
func (s *Session) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.onDisk {
		_ = at.Close() // each write was synced on its own: closing the directory commits nothing
	}
	clear(s.onDisk)
	clear(s.backs)
	clear(s.foreign)
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
