package list

import (
	"context"
	"sync"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/oci"
)

// Lister lists one repository: its tags, its manifests, what is locked. It is safe for
// concurrent use.
type Lister struct {
	*ask.Handle
	taught  *Lessons
	resolve func(ctx context.Context, reference string) (oci.Descriptor, error) // what a tag points to that a list does not tell
}

// New lists what h is of.
func New(h *ask.Handle, taught *Lessons, resolve func(context.Context, string) (oci.Descriptor, error)) *Lister {
	return &Lister{Handle: h, taught: taught, resolve: resolve}
}

// Lessons are what one registry's answers taught about its lists, and whom else to ask for them.
type Lessons struct {
	host *ask.Host
	peer func(name string) *ask.Host // another host: some lists are not at the registry's
	ecr  *credential.ECRRepositories // nil asks none

	mu      sync.Mutex
	digests bool // its tags/list tells digests
	noBulk  bool // its own list of tags can not be had
}

// NewLessons knows of h nothing yet. peer gives other hosts; ecr may be nil.
func NewLessons(h *ask.Host, peer func(name string) *ask.Host, ecr *credential.ECRRepositories) *Lessons {
	return &Lessons{host: h, peer: peer, ecr: ecr}
}

// tellsDigests reports whether the plain list was seen to tell digests.
func (m *Lessons) tellsDigests() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.digests
}

func (m *Lessons) learnDigests() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.digests = true
}

// withoutBulk reports whether the registry's own list can not be had.
func (m *Lessons) withoutBulk() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.noBulk
}

// learnNoBulk reports whether that is news.
func (m *Lessons) learnNoBulk() (news bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	news, m.noBulk = !m.noBulk, true
	return news
}

// bulk is a list that a registry has beside the distribution API and that tells digests.
type bulk struct {
	name      string // for people
	elsewhere bool   // asked of another host than the registry, which may be down or closed on its own

	tags      func(context.Context, func([]oci.Listed) (int, error)) (unknown bool, err error)
	manifests func(context.Context, func([]Manifest) (int, error)) (unknown bool, err error) // nil: only tags are listed
}

// fromRows turns a list of manifests into one of tags.
func fromRows(manifests func(context.Context, func([]Manifest) (int, error)) (bool, error)) func(context.Context, func([]oci.Listed) (int, error)) (bool, error) {
	return func(ctx context.Context, show func([]oci.Listed) (int, error)) (bool, error) {
		return manifests(ctx, func(rows []Manifest) (int, error) {
			var tags []oci.Listed
			for _, m := range rows {
				for _, tag := range m.Tags {
					tags = append(tags, oci.Listed{Tag: tag, Descriptor: oci.Descriptor{Digest: m.Digest, MediaType: m.MediaType}, Updated: m.Updated, Created: m.Created})
				}
			}
			if _, err := show(tags); err != nil {
				return 0, err
			}
			return len(rows), nil // a page of manifests without tags is no stray
		})
	}
}
