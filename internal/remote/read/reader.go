package read

import (
	"sync"

	"github.com/drayage/dray/internal/remote/ask"
)

// Reader reads one repository: what names point to, documents, blobs. It is safe for
// concurrent use.
type Reader struct {
	*ask.Handle
	mirrors []*Reader // asked first
	taught  *Lessons
	pulled  kept // what was read where reading is counted
	storage shortcuts
}

// New reads what h is of, and asks mirrors first.
func New(h *ask.Handle, taught *Lessons, mirrors []*Reader) *Reader {
	return &Reader{Handle: h, taught: taught, mirrors: mirrors}
}

// Direct leaves mirrors out: what is asked then shows the registry itself. Call it
// before anything else.
func (r *Reader) Direct() { r.mirrors = nil }

// Lessons are what one registry's answers taught about reading. The zero value is nothing.
type Lessons struct {
	mu  sync.Mutex
	all map[lesson]bool
}

type lesson string

const (
	noRanges    lesson = "no ranges"    // it answered a Range with something else
	noHead      lesson = "no HEAD"      // it answered 405 to HEAD
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
