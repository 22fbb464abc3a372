package referrers

import (
	"context"
	"sync"

	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Finder finds what refers to the images of one run. It asks for each document once, even if several images
// have it. It is safe for concurrent use.
type Finder struct {
	session *place.Session
	choice  plan.Referrers

	mu            sync.Mutex
	answers       map[asking]*answer
	lists         map[ref.Repo]*listing
	announcements map[ref.Repo]int
	told          map[ref.Name]oci.Descriptor // digest tags
	unread        map[asking]bool             // documents of which a source does not say what refers to them
	left          map[asking][]string         // the types of what refers to a document and is not chosen
}

// New returns a Finder of what choice takes.
func New(s *place.Session, choice plan.Referrers) *Finder {
	return &Finder{session: s, choice: choice, answers: map[asking]*answer{}, lists: map[ref.Repo]*listing{},
		announcements: map[ref.Repo]int{}, told: map[ref.Name]oci.Descriptor{}, unread: map[asking]bool{},
		left: map[asking][]string{}}
}

// Choice returns what f finds.
func (f *Finder) Choice() plan.Referrers { return f.choice }

// Source opens a repository to be searched.
func (f *Finder) Source(ctx context.Context, repo ref.Repo) (place.Repository, error) {
	return f.session.Source(ctx, repo)
}

// key identifies a referrer. A document under two digest tags is two of them.
type key struct {
	digest oci.Digest
	tag    string
}

// asking is the question what refers to a document.
type asking struct {
	repo   ref.Repo
	digest oci.Digest
}

// answer is the answer to an asking. Read found and err only after done is closed.
type answer struct {
	done  chan struct{}
	found []plan.Referrer
	err   error
}

// claim returns the answer to a question. If mine is true, the caller has to find it.
func (f *Finder) claim(q asking) (a *answer, mine bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.answers[q]; a != nil {
		return a, false
	}
	a = &answer{done: make(chan struct{})}
	f.answers[q] = a
	return a, true
}

// answered tells those who wait. An error is not kept: others ask again.
func (f *Finder) answered(q asking, a *answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.err != nil {
		delete(f.answers, q)
	}
	close(a.done)
}

// listing is the listing of one repository, which one walk makes for all.
type listing struct {
	turn    chan struct{} // holds the walk that lists; the others can be canceled while they wait
	refused bool
}
