package store

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// patience says how long the connections of a database wait for an answer.
type patience struct {
	statement atomic.Int64 // statement_timeout of the sessions, in milliseconds; 0 means none
	migrating atomic.Int64 // number of migrations that are running; they have no limit
}

// margin is how much longer than its timeout the answer to a statement may take.
const margin = 10 * time.Second

// limit returns the longest wait for the next bytes of an answer, or 0 for no limit.
func (p *patience) limit() time.Duration {
	ms := p.statement.Load()
	if ms == 0 || p.migrating.Load() > 0 {
		return 0
	}
	return time.Duration(ms)*time.Millisecond + margin
}

// path is a connection to PostgreSQL that notices a network that has gone silent. The driver reads only
// when it waits for an answer, and each statement ends after its timeout. If nothing arrives for longer,
// nothing will.
type path struct {
	net.Conn
	patience *patience

	mu       sync.Mutex
	deadline time.Time // as the driver has set it; zero means none
}

func (p *path) Read(b []byte) (int, error) {
	if err := p.arm(); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

func (p *path) arm() error {
	limit := p.patience.limit()
	p.mu.Lock()
	defer p.mu.Unlock()
	until := p.deadline
	if at := time.Now().Add(limit); limit > 0 && (until.IsZero() || at.Before(until)) {
		until = at
	}
	return p.Conn.SetReadDeadline(until)
}

// SetDeadline keeps t for the next Read.
func (p *path) SetDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	return p.Conn.SetDeadline(t)
}

// SetReadDeadline keeps t for the next Read.
func (p *path) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	return p.Conn.SetReadDeadline(t)
}
