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
	chunk     int64           // the largest body in bytes after answers of 413; 0 means no limit
	minChunk  int64           // OCI-Chunk-Min-Length
	mounts    verdict         // whether the answer to a mount tells if the blob exists
	mountless map[string]bool // "from" paths of refused mounts
	noHead    bool            // it refused HEAD of a blob and answered GET
}

// NewLessons returns Lessons that hold only the dialect.
func NewLessons(d product.Dialect) *Lessons {
	return &Lessons{dialect: d, trial: make(limit.Gate, 1), mountless: map[string]bool{}}
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

// chunkSize returns the number of bytes in one PATCH. 0 means that whole blobs are sent.
func (m *Lessons) chunkSize() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.dialect.Chunk
	if m.chunk > 0 {
		n = m.chunk
	}
	if n == 0 || m.dialect.NoChunks {
		return 0
	}
	if m.dialect.MaxChunk > 0 {
		n = min(n, m.dialect.MaxChunk)
	}
	return max(n, m.dialect.MinChunk, m.minChunk)
}

// firstChunk is the chunk size with which halving begins if a registry refuses whole blobs as too
// large: 8 MiB.
const firstChunk = 8 << 20

// tooMuch learns from a 413 to a body of n bytes: it changes to chunks, and then to smaller chunks.
// It returns false if there is no smaller size to try.
func (m *Lessons) tooMuch(n int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := min(int64(firstChunk), n/2)
	if m.dialect.NoChunks || next < max(64<<10, m.dialect.MinChunk, m.minChunk) {
		return false
	}
	if m.chunk == 0 || next < m.chunk {
		m.chunk = next
	}
	return true
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
	return m.mountless[from]
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
