package remote

import "sync"

// reader reads one repository: what names point to, documents, blobs. It is safe for
// concurrent use.
type reader struct {
	*handle
	mirrors []*reader // asked first
	taught  *readLessons
	pulled  kept // what was read where reading is counted
	storage shortcuts
}

// newReader reads what h is of, and asks mirrors first.
func newReader(h *handle, taught *readLessons, mirrors []*reader) *reader {
	return &reader{handle: h, taught: taught, mirrors: mirrors}
}

// Direct leaves mirrors out: what is asked then shows the registry itself. Call it
// before anything else.
func (r *reader) Direct() { r.mirrors = nil }

// readLessons are what one registry's answers taught about reading. The zero value is nothing.
type readLessons struct {
	mu  sync.Mutex
	all map[readLesson]bool
}

type readLesson string

const (
	noRanges    readLesson = "no ranges"    // it answered a Range with something else
	noHead      readLesson = "no HEAD"      // it answered 405 to HEAD
	noReferrers readLesson = "no referrers" // it has no referrers API
)

func (m *readLessons) has(l readLesson) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[l]
}

func (m *readLessons) learn(l readLesson) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[readLesson]bool{}
	}
	m.all[l] = true
}
