package push

import (
	"context"
	"sync"

	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/product"
)

// Lessons holds what one registry's answers taught about pushing. It is safe for concurrent use.
type Lessons struct {
	dialect product.Dialect

	trial limit.Gate // for the single mount that finds out whether mounts tell which blobs exist
	made  places

	mu        sync.Mutex
	chunk     int64           // the chunk size in bytes with which a refused blob arrived; 0 means none
	minChunk  int64           // OCI-Chunk-Min-Length
	mounts    verdict         // whether the answer to a mount tells if the blob exists
	chooses   bool            // it answered 202 to a mount of a blob that does not exist
	lied      bool            // it answered 201 to a mount, and the blob does not exist
	mountless map[string]bool // "from" paths of refused mounts
	noHead    bool            // it refused HEAD of a blob and answered GET

	mounted word // a 201 to a mount from another repository
	stored  word // a 2xx to the end of an upload, without the digest
}

// NewLessons returns Lessons that hold only the dialect.
func NewLessons(d product.Dialect) *Lessons {
	return &Lessons{
		dialect:   d,
		trial:     make(limit.Gate, 1),
		mountless: map[string]bool{},
		mounted:   word{turn: make(limit.Gate, 1)},
		stored:    word{turn: make(limit.Gate, 1)},
	}
}

// places holds the ECR repositories or Harbor projects that were prepared for pushing.
type places struct {
	mu  sync.Mutex
	all map[string]*preparing
}

// preparing lets one caller at a time prepare a place; done is true once that has succeeded.
type preparing struct {
	turn limit.Gate
	done bool
}

func (p *places) of(name string) *preparing {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[string]*preparing{}
	}
	at, ok := p.all[name]
	if !ok {
		at = &preparing{turn: make(limit.Gate, 1)}
		p.all[name] = at
	}
	return at
}

// chunkSize returns the number of bytes in one PATCH. 0 means that whole blobs are sent. own is the
// size that one upload found out for itself; 0 means none.
func (m *Lessons) chunkSize(own int64) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.dialect.Chunk
	for _, found := range []int64{own, m.chunk} {
		if found > 0 && (n == 0 || found < n) {
			n = found
		}
	}
	if n == 0 || m.dialect.NoChunks {
		return 0
	}
	if m.dialect.MaxChunk > 0 {
		n = min(n, m.dialect.MaxChunk)
	}
	return max(n, m.dialect.MinChunk, m.minChunk)
}

const (
	// firstChunk is the chunk size with which halving begins if a registry refuses whole blobs as
	// too large: 8 MiB.
	firstChunk = 8 << 20
	// anyChunk is the size of a chunk that holds the whole blob, whatever its size.
	anyChunk = 1 << 62
)

// smaller returns the chunk size to try after a 413 to a body of n bytes. 0 means that there is no
// smaller size to try.
func (m *Lessons) smaller(n int64) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := min(int64(firstChunk), n/2)
	if m.dialect.NoChunks || next < max(64<<10, m.dialect.MinChunk, m.minChunk) {
		return 0
	}
	return next
}

// pieces returns the chunk size with which a blob of the given size is tried after the registry
// refused it whole. 0 means that it cannot be sent otherwise.
func (m *Lessons) pieces(size int64) int64 {
	n := m.chunkSize(anyChunk)
	if m.dialect.FullClose && n >= size { // its last chunk is in the closing PUT, so this is the same request
		n = m.chunkSize(1)
	}
	if size == 0 || m.dialect.FullClose && n >= size {
		return 0
	}
	return n
}

// learnChunk records the chunk size with which an upload succeeded, unless a smaller one is known.
// It reports whether this is the first one.
func (m *Lessons) learnChunk(n int64) (first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first = m.chunk == 0
	if first || n < m.chunk {
		m.chunk = n
	}
	return first
}

// verdict says whether a registry's 202 to a mount proves that the blob does not exist.
type verdict int

const (
	untried verdict = iota
	tells           // 202 proves it
	silent          // 202 proves nothing
)

// tryable holds the products for which a 202 may prove it. "" is an unknown product.
var tryable = map[string]bool{"": true, "distribution": true, "harbor": true, "gitlab": true}

// verdict returns what is known about the host.
func (m *Lessons) verdict() verdict {
	if !tryable[m.dialect.Kind] {
		return silent
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lied {
		return silent
	}
	return m.mounts
}

// sole returns when the verdict is known, or when it is the caller's turn to find it out for all.
// The caller must call leave after that.
func (m *Lessons) sole(ctx context.Context) (leave func(), err error) {
	if m.verdict() != untried {
		return func() {}, nil
	}
	if err := m.trial.Enter(ctx); err != nil {
		return nil, err
	}
	if m.verdict() != untried {
		m.trial.Leave()
		return func() {}, nil
	}
	return m.trial.Leave, nil
}

// headless reports whether the registry refuses HEAD of blobs.
func (m *Lessons) headless() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.noHead
}

func (m *Lessons) learnHeadless() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noHead = true
}

func (m *Lessons) refusesMount(from string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mountless[from] || m.lied
}

// distrustMounts records that the registry does not have a blob whose mount it confirmed. No other
// mount of this host is requested or believed after that.
func (m *Lessons) distrustMounts() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lied = true
}

// liedAboutMount reports whether distrustMounts was called.
func (m *Lessons) liedAboutMount() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lied
}

// learnChoice records that the registry does not confirm every mount.
func (m *Lessons) learnChoice() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.chooses = true
}

// choosesMounts reports whether learnChoice was called.
func (m *Lessons) choosesMounts() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.chooses
}

// learnMounts records the verdict that an answer to a mount showed.
func (m *Lessons) learnMounts(v verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mounts = v
}

// learnMinChunk records the smallest chunk that the registry accepts, in bytes.
func (m *Lessons) learnMinChunk(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.minChunk = n
}

// refuseMount records that a mount from a path was refused.
func (m *Lessons) refuseMount(from string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mountless[from] = true
}
