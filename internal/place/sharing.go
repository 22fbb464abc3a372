package place

import (
	"context"
	"slices"
	"sync"

	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

const (
	// maxShared is how many blobs of a registry are remembered: some 20 MiB. One that is
	// forgotten costs at most that it is sent again.
	maxShared = 1 << 17

	// maxHolders is how many repositories are remembered for each.
	maxHolders = 2

	// distrust is how many mounts a registry may refuse, and take none, before it is
	// believed to take none at all.
	distrust = 3
)

// Sharing remembers during one run which repositories of a registry hold which blobs, so
// that what one received the others mount. What earlier runs saw is taken for a hint.
type Sharing struct {
	earlier *ledger.Whereabouts

	mu    sync.Mutex
	hosts map[string]*shared
}

// NewSharing begins with what earlier runs saw; nil is nothing.
func NewSharing(earlier *ledger.Whereabouts) *Sharing {
	return &Sharing{earlier: earlier, hosts: map[string]*shared{}}
}

// shared is what is known of one registry.
type shared struct {
	mu      sync.Mutex
	blobs   map[oci.Digest]*holders
	mounted int
	refused int           // mounts of blobs that a repository was believed to hold
	wrong   ledger.Places // hints that led to nothing
}

// holders are the repositories that hold one blob.
type holders struct {
	paths []string
	seen  []string      // those of paths that this run saw; the others are hints of earlier runs
	busy  chan struct{} // closed when the Put under way ends; nil while there is none
}

// Target wraps at, if it is at a registry.
func (s *Sharing) Target(at Repository) transfer.Target {
	if s == nil || at.Repo().IsLayout() {
		return at
	}
	return &sharer{Repository: at, known: s.of(at.Repo().Host)}
}

// Turn is the transfer.End.Turn of at: of repositories that lack one blob at the same
// time one gets it sent, and the others wait for that and mount it.
func (s *Sharing) Turn(at Repository) func(oci.Digest) (done func(), busy <-chan struct{}) {
	if s == nil || at.Repo().IsLayout() {
		return nil
	}
	known := s.of(at.Repo().Host)
	return func(d oci.Digest) (func(), <-chan struct{}) { return known.turn(d, at.Repo()) }
}

// of is what is known of a registry.
func (s *Sharing) of(host string) *shared {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.hosts[host]
	if known == nil {
		known = &shared{blobs: map[oci.Digest]*holders{}, wrong: ledger.Places{}}
		hints, _ := s.earlier.Read(host) // without hints more is sent, and that is all
		for d, paths := range hints {
			known.blobs[d] = &holders{paths: paths}
		}
		s.hosts[host] = known
	}
	return known
}

// Keep hands what was seen on to later runs, as far as the disk works.
func (s *Sharing) Keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for host, known := range s.hosts {
		known.mu.Lock()
		seen := ledger.Places{}
		for d, h := range known.blobs {
			if len(h.seen) > 0 {
				seen[d] = h.seen
			}
		}
		_ = s.earlier.Merge(host, seen, known.wrong)
		known.mu.Unlock()
	}
}

// sharer is a repository that takes part in sharing.
type sharer struct {
	Repository
	known *shared
}

// Missing asks only for blobs that no repository of the registry is known to hold: the
// mount of the others is question and answer in one.
func (s *sharer) Missing(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	var ask []oci.Descriptor
	elsewhere := map[oci.Digest]bool{}
	for _, d := range blobs {
		if len(s.known.from(d.Digest, s.Repo())) > 0 {
			elsewhere[d.Digest] = true
		} else {
			ask = append(ask, d)
		}
	}
	var lack []oci.Descriptor
	if len(ask) > 0 {
		var err error
		if lack, err = s.Repository.Missing(ctx, ask); err != nil {
			return nil, err
		}
	}
	lacks := map[oci.Digest]bool{}
	for _, d := range lack {
		lacks[d.Digest] = true
	}
	var missing []oci.Descriptor
	for _, d := range blobs {
		if elsewhere[d.Digest] || lacks[d.Digest] {
			missing = append(missing, d)
		} else {
			s.known.note(d.Digest, s.Repo().Path)
		}
	}
	return missing, nil
}

// Put mounts d where another repository holds it.
func (s *sharer) Put(ctx context.Context, d oci.Descriptor, likely []ref.Repo, open oci.Opener) (oci.Arrival, error) {
	at := s.known.from(d.Digest, s.Repo())
	for _, repo := range at {
		if !slices.Contains(likely, repo) {
			likely = append(slices.Clone(likely), repo)
		}
	}
	arrival, err := s.Repository.Put(ctx, d, likely, open)
	if err == nil {
		s.known.ended(d.Digest, s.Repo().Path, arrival.Way, len(at) > 0)
	}
	return arrival, err
}

// from lists the other repositories that hold a blob.
func (k *shared) from(d oci.Digest, repo ref.Repo) []ref.Repo {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.others(d, repo)
}

func (k *shared) others(d oci.Digest, repo ref.Repo) []ref.Repo {
	h := k.blobs[d]
	if h == nil || k.barren() {
		return nil
	}
	var at []ref.Repo
	for _, path := range h.paths {
		if path != repo.Path {
			at = append(at, ref.Repo{Host: repo.Host, Path: path})
		}
	}
	return at
}

// barren reports whether mounting leads to nothing here.
func (k *shared) barren() bool { return k.mounted == 0 && k.refused >= distrust }

// turn makes the caller the one who brings a blob to repo, unless it can be mounted; done
// tells the others to go on. Where somebody else brings it, busy is closed when that ended.
func (k *shared) turn(d oci.Digest, repo ref.Repo) (done func(), busy <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.others(d, repo)) > 0 || k.barren() {
		return func() {}, nil
	}
	h := k.holders(d)
	if h.busy != nil {
		return nil, h.busy
	}
	mine := make(chan struct{})
	h.busy = mine
	return func() {
		k.mu.Lock()
		h.busy = nil
		k.mu.Unlock()
		close(mine)
	}, nil
}

// holders makes room for a blob where there is none. k.mu is held.
func (k *shared) holders(d oci.Digest) *holders {
	if h := k.blobs[d]; h != nil {
		return h
	}
	for other, h := range k.blobs {
		if len(k.blobs) < maxShared {
			break
		}
		if h.busy == nil {
			delete(k.blobs, other)
		}
	}
	h := &holders{}
	k.blobs[d] = h
	return h
}

// note remembers that a repository holds a blob.
func (k *shared) note(d oci.Digest, path string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.add(d, path)
}

func (k *shared) add(d oci.Digest, path string) {
	h := k.holders(d)
	if len(h.seen) == maxHolders || slices.Contains(h.seen, path) {
		return
	}
	h.seen = append(h.seen, path)
	h.paths = slices.Clone(h.seen) // before the hints
}

// ended learns from a Put. What was sent although it was thought to be mountable was a
// wrong hint, which is dropped.
func (k *shared) ended(d oci.Digest, path string, way oci.Way, hinted bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case way == oci.Mounted:
		k.mounted++
	case way == oci.Sent && hinted:
		h := k.holders(d)
		if len(h.seen) > 0 {
			k.refused++
		} else {
			k.wrong[d] = h.paths // things change between runs: that says nothing about mounts
		}
		h.paths, h.seen = nil, nil
	}
	k.add(d, path)
}
