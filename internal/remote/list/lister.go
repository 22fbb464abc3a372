package list

import (
	"context"
	"sync"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/oci"
)

// Lister lists one repository: its tags, its manifests and its locks. It is safe for concurrent
// use.
type Lister struct {
	*ask.Handle
	taught *Lessons
	// resolve returns the target of a tag for lists without digests.
	resolve func(ctx context.Context, reference string) (oci.Descriptor, error)
}

// New returns a Lister of the repository of h. resolve returns the target of a tag.
func New(h *ask.Handle, taught *Lessons, resolve func(context.Context, string) (oci.Descriptor, error)) *Lister {
	return &Lister{Handle: h, taught: taught, resolve: resolve}
}

// Lessons holds what one registry's answers taught about its lists, and the other hosts and APIs to
// use for them. It is safe for concurrent use.
type Lessons struct {
	host *ask.Host
	peer func(name string) *ask.Host // returns another host, because some lists are not at the registry's own
	ecr  *credential.ECRRepositories // nil is not used
	all  *Names

	mu      sync.Mutex
	digests bool // its tags/list was seen to contain digests
	noBulk  bool // its own list of tags is not available

	tags, repositories paging
}

// NewLessons returns empty Lessons about h. peer returns other hosts; ecr may be nil. all bounds the lists of all
// hosts.
func NewLessons(
	h *ask.Host, peer func(name string) *ask.Host, ecr *credential.ECRRepositories, all *Names,
) *Lessons {
	m := &Lessons{host: h, peer: peer, ecr: ecr, all: all}
	m.tags.inquiry, m.repositories.inquiry = make(limit.Gate, 1), make(limit.Gate, 1)
	return m
}

// share returns the memory for the names of one list. The caller must leave it.
func (m *Lessons) share() *share { return &share{of: m.all} }

// paging holds what is known about the pages of one kind of list at a host. It is safe for
// concurrent use.
type paging struct {
	mu      sync.Mutex
	noCount bool // requests must not say how many names they want
	noLast  bool // it refuses requests for the names after one
	asked   bool // one page that may have been cut was followed by a request for the names after it
	links   bool // a page that is not the last one has a Link
	cut     bool // a page that is not the last one had no Link
	deaf    bool // the number of names that a request names has no effect
	longest int  // number of names in the longest page

	inquiry limit.Gate // one inquiry at a time: its result spares the others
}

// learn changes what is known.
func (p *paging) learn(change func(*paging)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// known reports whether it is known if the registry writes a Link to pages that it cuts (links).
func (p *paging) known() (links, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.links, p.links || p.cut || p.deaf
}

// withoutCount reports whether requests must leave the number of names out.
func (p *paging) withoutCount() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.noCount
}

// doubt says what to do about a page without a Link:
//   - believe: it is the last page.
//   - inquire: find out whether the registry writes a Link where it cuts, and if not, continue.
//   - guess: request the names after the last one. If the registry refuses that, it is the last page.
//   - proceed: request the names after the last one.
type doubt int

const (
	believe doubt = iota
	inquire
	guess
	proceed
)

// doubts says what to do about a page of n names that has no Link. full means that the page has as
// many names as were requested.
func (p *paging) doubts(n int, full bool) doubt {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.longest = max(p.longest, n)
	switch {
	case full, p.cut:
		return proceed
	case p.links, p.noLast, n < p.longest, !isRound(n):
		return believe
	case p.asked:
		return inquire
	}
	p.asked = true
	return guess
}

// isRound reports whether n is a number of names at which a registry may cut its pages.
func isRound(n int) bool {
	return n >= 10 && (n%10 == 0 || n%25 == 0 || n >= 16 && n&(n-1) == 0)
}

// tellsDigests reports whether the plain list was seen to contain digests.
func (m *Lessons) tellsDigests() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.digests
}

// learnDigests records that the plain list contains digests.
func (m *Lessons) learnDigests() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.digests = true
}

// withoutBulk reports whether the registry's own list is not available.
func (m *Lessons) withoutBulk() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.noBulk
}

// learnNoBulk records that the registry's own list is not available, and reports whether that is
// new.
func (m *Lessons) learnNoBulk() (news bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	news, m.noBulk = !m.noBulk, true
	return news
}

// bulk is a list with digests that a registry offers in addition to the distribution API.
type bulk struct {
	name string // for messages
	// elsewhere means that another host than the registry serves the list. That host may be down or
	// unreachable while the registry is not.
	elsewhere bool

	tags reader[oci.Listed]
	// manifests is nil if only tags are listed.
	manifests reader[Manifest]
}

// reader reads a list and calls show for the rows of each page. unknown is true if the registry
// says that the repository does not exist.
type reader[T any] func(ctx context.Context, show func(rows []T) (fresh int, err error)) (unknown bool, err error)

// fromRows turns a list of manifests into a list of tags.
func fromRows(manifests reader[Manifest]) reader[oci.Listed] {
	return func(ctx context.Context, show func([]oci.Listed) (int, error)) (bool, error) {
		seen := newMarks()
		return manifests(ctx, func(rows []Manifest) (int, error) {
			var tags []oci.Listed
			fresh := 0
			for _, m := range rows {
				if seen.add(string(m.Digest)) {
					fresh++ // a page of untagged manifests counts as progress
				}
				for _, tag := range m.Tags {
					tags = append(tags, oci.Listed{
						Tag:        tag,
						Descriptor: oci.Descriptor{Digest: m.Digest, MediaType: m.MediaType},
						Updated:    m.Updated,
						Created:    m.Created,
					})
				}
			}
			if _, err := show(tags); err != nil {
				return 0, err
			}
			return fresh, nil
		})
	}
}
