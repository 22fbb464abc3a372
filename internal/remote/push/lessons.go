package push

import (
	"context"
	"sync"

	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/product"
)

// Lessons are what one registry's answers taught about pushing.
type Lessons struct {
	dialect product.Dialect

	trial limit.Gate // of the one mount that finds out whether mounts tell
	made  places

	mu        sync.Mutex
	chunk     int64           // what a 413 left of the largest body; 0 is any
	minChunk  int64           // OCI-Chunk-Min-Length
	mounts    verdict         // whether its answer to a mount tells what is there
	mountless map[string]bool // "from" paths that were refused
}

// NewLessons knows nothing yet but the dialect.
func NewLessons(d product.Dialect) *Lessons {
	return &Lessons{dialect: d, trial: make(limit.Gate, 1), mountless: map[string]bool{}}
}

// places are what was looked after already, by ECR's repository or Harbor's project.
type places struct {
	mu  sync.Mutex
	all map[string]*preparing
}

// preparing lets one request look after a place; it holds what came of it.
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

// chunkSize is how many bytes one PATCH carries now; 0 sends whole blobs.
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

// firstChunk is where halving begins when a registry takes no whole blob: 8 MiB.
const firstChunk = 8 << 20

// tooMuch learns from a 413 to a body of n bytes: pieces, then smaller ones.
// It returns false when there is nothing smaller to try.
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

// verdict is whether a registry's 202 to a mount says that the blob is not there.
type verdict int

const (
	untried verdict = iota
	tells
	silent
)

// tryable are the products whose answers may tell; "" is one that is not known.
var tryable = map[string]bool{"": true, "distribution": true, "harbor": true, "gitlab": true}

// verdict is what is known of the host.
func (m *Lessons) verdict() verdict {
	if !tryable[m.dialect.Kind] {
		return silent
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mounts
}

// sole returns when it is known whether mounts tell, or when it is the caller's turn to
// find that out for all; leave ends the turn.
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

func (m *Lessons) refusesMount(from string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mountless[from]
}

// learnMounts notes what an answer to a mount shows.
func (m *Lessons) learnMounts(v verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mounts = v
}

// learnMinChunk notes the least that the registry takes in one piece, in bytes.
func (m *Lessons) learnMinChunk(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.minChunk = n
}

// refuseMount notes that nothing is mounted from a path.
func (m *Lessons) refuseMount(from string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mountless[from] = true
}
