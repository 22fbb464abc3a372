package read

import (
	"sync"
	"sync/atomic"

	"github.com/drayage/dray/internal/remote/ask"
)

// Reader reads one repository: the targets of tags and digests, documents and blobs. It is safe for
// concurrent use.
type Reader struct {
	*ask.Handle
	mirrors []*Reader // asked first
	taught  *Lessons
	source  bool // names are expected to exist: see doubts404
	pulled  kept // documents that were read, if reading them counts as a pull
	storage shortcuts
	codings codings
	asked   asked // tags that were resolved

	listed atomic.Pointer[map[string]bool] // the tags of the referrers schema, if all tags were listed
}

// New returns a Reader of the repository of h. It asks mirrors before the registry.
func New(h *ask.Handle, taught *Lessons, mirrors []*Reader) *Reader {
	return &Reader{Handle: h, taught: taught, mirrors: mirrors}
}

// Source says that the repository is a source: what is asked for is expected to exist, so that a 404
// is asked again before it is reported. Call it before any other method.
func (r *Reader) Source() { r.source = true }

// Listed says which tags of the referrers schema the repository has.
func (r *Reader) Listed(fallbacks map[string]bool) { r.listed.Store(&fallbacks) }

// Direct makes r read from the registry itself and not from its mirrors. Call it before any other
// method.
func (r *Reader) Direct() { r.mirrors = nil }

// Lessons holds what one registry's answers taught about reading. The zero value holds nothing.
type Lessons struct {
	mu  sync.Mutex
	all map[lesson]bool

	standing standing // of a mirror
	outage   outage   // of a registry with mirrors
}

type lesson string

const (
	noRanges    lesson = "no ranges"    // it answered a Range request with something else
	noHead      lesson = "no HEAD"      // it refused HEAD and answered GET
	noReferrers lesson = "no referrers" // it has no referrers API
)

func (m *Lessons) has(l lesson) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[l]
}

func (m *Lessons) learn(l lesson) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[lesson]bool{}
	}
	m.all[l] = true
}
