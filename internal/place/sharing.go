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
	// maxShared is how many blobs are remembered for one registry, in about 20 MiB of memory. At
	// worst, a forgotten blob is sent again.
	maxShared = 1 << 17

	// maxHolders is how many repositories are remembered for each blob.
	maxHolders = 2

	// maxRefused is after how many refused mounts a registry is assumed to refuse all mounts, if it
	// has accepted none.
	maxRefused = 3
)

// Sharing remembers, during one run, which repositories of a registry hold which blobs. A blob
// that one repository has received can then be mounted into the others. What earlier runs saw is
// used as a hint that may be wrong.
type Sharing struct {
	earlier *ledger.Whereabouts

	mu    sync.Mutex
	hosts map[string]*shared
	disks map[string]*taking // by host and directory
}

// NewSharing returns a Sharing that begins with the hints of earlier runs. If earlier is nil, it
// begins without hints.
func NewSharing(earlier *ledger.Whereabouts) *Sharing {
	return &Sharing{earlier: earlier, hosts: map[string]*shared{}, disks: map[string]*taking{}}
}

// shared is what is known about one registry.
type shared struct {
	mu      sync.Mutex
	blobs   map[oci.Digest]*holders
	mounted int
	refused int           // refused mounts of blobs that this run saw in a repository
	wrong   ledger.Places // hints that turned out to be wrong
}

// holders lists the repositories that hold one blob.
type holders struct {
	paths []string
	seen  []string      // the part of paths that this run saw; the rest are hints of earlier runs
	busy  chan struct{} // closed when the Put in progress ends; nil if no Put is in progress
}

// Target returns at with sharing, if it is at a registry. Otherwise it returns at. It is for the copy
// of one image, which the repositories in there have already.
func (s *Sharing) Target(at Repository, there ...ref.Repo) transfer.Target {
	if at.Repo().IsLayout() {
		return at
	}
	to := &sharer{Repository: at, sharing: s}
	for _, repo := range there {
		if repo.Host == at.Repo().Host {
			to.there = append(to.there, repo.Path)
		}
	}
	return to
}

// Turn returns the transfer.End.Turn of at. If several repositories lack a blob at the same time,
// one of them receives it, and the others wait and then mount it. On disk, the others have it then.
func (s *Sharing) Turn(at Repository) func(oci.Digest) (done func(), busy <-chan struct{}) {
	if at.Repo().IsLayout() {
		return s.disk(at.Repo()).turn
	}
	return func(d oci.Digest) (func(), <-chan struct{}) { return s.of(at.Repo().Host).turn(d, at.Repo()) }
}

// taking holds the blobs that one end on disk is receiving.
type taking struct {
	mu   sync.Mutex
	busy map[oci.Digest]chan struct{}
}

func (s *Sharing) disk(repo ref.Repo) *taking {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := repo.Host + repo.Dir
	if s.disks[at] == nil {
		s.disks[at] = &taking{busy: map[oci.Digest]chan struct{}{}}
	}
	return s.disks[at]
}

// turn is shared.turn for an end on disk.
func (t *taking) turn(d oci.Digest) (done func(), busy <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy[d] != nil {
		return nil, t.busy[d]
	}
	mine := make(chan struct{})
	t.busy[d] = mine
	return func() {
		t.mu.Lock()
		delete(t.busy, d)
		t.mu.Unlock()
		close(mine)
	}, nil
}

// of returns what is known about a registry.
func (s *Sharing) of(host string) *shared {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.hosts[host]
	if known == nil {
		known = &shared{blobs: map[oci.Digest]*holders{}, wrong: ledger.Places{}}
		hints, _ := s.earlier.Read(host) // without hints, more blobs are sent, but the result is the same
		for d, paths := range hints {
			known.blobs[d] = &holders{paths: paths}
		}
		s.hosts[host] = known
	}
	return known
}

// Keep saves what this run saw for later runs. Errors of the disk are ignored.
func (s *Sharing) Keep() {
	if s.earlier == nil {
		return
	}
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
	sharing *Sharing
	there   []string // repositories that have the whole image
}

// known returns what is known about the registry, and about blobs of the image. The hints of earlier
// runs are read when a blob is first asked for, so a run that copies no blob does not read them.
func (s *sharer) known(blobs ...oci.Descriptor) *shared {
	known := s.sharing.of(s.Repo().Host)
	for _, d := range blobs {
		for _, path := range s.there {
			known.note(d.Digest, path)
		}
	}
	return known
}

// Missing asks the registry only for blobs that no other repository is known to hold. The others
// are mounted, and the answer to a mount request also tells whether the blob is there.
func (s *sharer) Missing(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	known := s.known(blobs...)
	var ask []oci.Descriptor
	elsewhere := map[oci.Digest]bool{}
	for _, d := range blobs {
		if len(known.from(d.Digest, s.Repo())) > 0 {
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
			known.note(d.Digest, s.Repo().Path)
		}
	}
	return missing, nil
}

// Put mounts d if another repository holds it, and sends it otherwise.
func (s *sharer) Put(ctx context.Context, d oci.Descriptor, likely []ref.Repo, open oci.Opener) (oci.Arrival, error) {
	known := s.known(d)
	at := known.from(d.Digest, s.Repo())
	for _, repo := range at {
		if !slices.Contains(likely, repo) {
			likely = append(slices.Clone(likely), repo)
		}
	}
	arrival, err := s.Repository.Put(ctx, d, likely, open)
	if err == nil {
		known.ended(d.Digest, s.Repo().Path, arrival.Way, len(at) > 0)
	}
	return arrival, err
}

// from lists the other repositories that hold a blob.
func (k *shared) from(d oci.Digest, repo ref.Repo) []ref.Repo {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.others(d, repo)
}

// others is from for a caller that holds k.mu.
func (k *shared) others(d oci.Digest, repo ref.Repo) []ref.Repo {
	h := k.blobs[d]
	if h == nil || k.refusesMounts() || slices.Contains(h.paths, repo.Path) {
		return nil // a repository that holds the blob itself is asked for it
	}
	at := make([]ref.Repo, len(h.paths))
	for i, path := range h.paths {
		at[i] = ref.Repo{Host: repo.Host, Path: path}
	}
	return at
}

// refusesMounts reports whether the registry seems to refuse all mounts.
func (k *shared) refusesMounts() bool { return k.mounted == 0 && k.refused >= maxRefused }

// turn lets the caller put a blob to repo, or mount it if another repository holds it. The caller
// must call done when the Put has ended. If another repository is receiving the blob, turn
// returns busy instead, which is closed when that has ended.
func (k *shared) turn(d oci.Digest, repo ref.Repo) (done func(), busy <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.others(d, repo)) > 0 || k.refusesMounts() {
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

// holders returns the entry for a blob, and makes one if there is none. If there are too many
// entries, it drops others first. The caller holds k.mu.
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

// note records that a repository holds a blob.
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
	h.paths = slices.Clone(h.seen) // seen repositories replace the hints
}

// ended records the result of a Put. If a blob was sent although it should have been mountable,
// the list of its holders was wrong and is dropped.
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
			k.wrong[d] = h.paths // content may change between runs, so this does not count as a refused mount
		}
		h.paths, h.seen = nil, nil
	}
	k.add(d, path)
}
