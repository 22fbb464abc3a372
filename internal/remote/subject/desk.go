package subject

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Desk brings together those of one process that want to change the same list: one of them changes it
// for all who are waiting. The zero Desk is ready. It is safe for concurrent use.
type Desk struct {
	mu    sync.Mutex
	lists map[key]*queue
}

// key names one list.
type key struct {
	repo ref.Repo
	tag  string
}

// queue holds what is to be added to one list.
type queue struct {
	turn  limit.Gate // of the one who changes the list
	users int

	mu      sync.Mutex
	waiting map[oci.Digest]oci.Descriptor
}

// join adds d to what waits for the list k. The caller must call leave when it has given up or is done.
func (s *Desk) join(k key, d oci.Descriptor) (q *queue, leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lists == nil {
		s.lists = map[key]*queue{}
	}
	q, ok := s.lists[k]
	if !ok {
		q = &queue{turn: make(limit.Gate, 1), waiting: map[oci.Digest]oci.Descriptor{}}
		s.lists[k] = q
	}
	q.users++
	q.mu.Lock()
	q.waiting[d.Digest] = d
	q.mu.Unlock()
	return q, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if q.users--; q.users == 0 {
			delete(s.lists, k)
		}
	}
}

// all returns what is waiting, sorted by digest.
func (q *queue) all() []oci.Descriptor {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.SortedFunc(maps.Values(q.waiting), func(a, b oci.Descriptor) int {
		return strings.Compare(string(a.Digest), string(b.Digest))
	})
}

// waits reports whether d is not known to be in the list.
func (q *queue) waits(d oci.Digest) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, ok := q.waiting[d]
	return ok
}

// done records that those of waiting that l has are in the list.
func (q *queue) done(l *list) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range l.digests {
		delete(q.waiting, d)
	}
}
