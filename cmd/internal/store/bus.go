package store

import (
	"database/sql"
	"sync"
)

type note struct{ topic, payload string }

// bus delivers notifications within the process. A notification may be lost, so a listener must also look
// at the database from time to time.
type bus struct {
	mu        sync.Mutex
	pending   map[*sql.Tx][]note // notifications of transactions that are not committed yet
	listeners map[string]map[chan string]bool
	closed    bool
}

func newBus() *bus {
	return &bus{pending: map[*sql.Tx][]note{}, listeners: map[string]map[chan string]bool{}}
}

func (b *bus) begin(tx *sql.Tx) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending[tx] = nil
}

func (b *bus) mark(tx *sql.Tx) int { return len(b.said(tx)) }

func (b *bus) cut(tx *sql.Tx, mark int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending[tx] = b.pending[tx][:mark]
}

func (b *bus) said(tx *sql.Tx) []note {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pending[tx]
}

func (b *bus) forget(tx *sql.Tx) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pending, tx)
}

func (b *bus) add(topic string, c chan string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	if b.listeners[topic] == nil {
		b.listeners[topic] = map[chan string]bool{}
	}
	b.listeners[topic][c] = true
	return true
}

func (b *bus) remove(topic string, c chan string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.listeners[topic][c] {
		return // close has already removed and closed it
	}
	delete(b.listeners[topic], c)
	if len(b.listeners[topic]) == 0 {
		delete(b.listeners, topic)
	}
	close(c)
}

func (b *bus) send(said []note) {
	for _, n := range said {
		b.deliver(n)
	}
}

func (b *bus) deliver(n note) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.listeners[n.topic] {
		select {
		case c <- n.payload:
		default:
		}
	}
}

// wake sends an empty notification to every listener: notifications may have been missed.
func (b *bus) wake() {
	for _, topic := range b.topics() {
		b.deliver(note{topic: topic})
	}
}

func (b *bus) topics() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for t := range b.listeners {
		all = append(all, t)
	}
	return all
}

func (b *bus) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for topic, set := range b.listeners {
		for c := range set {
			close(c)
		}
		delete(b.listeners, topic)
	}
}
