package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/drayage/dray/fault"
)

// MaxPayload is what one notification can carry, in bytes: PostgreSQL takes 8000 with the topic.
const MaxPayload = 7800

const unread = 256 // notifications that wait for one listener; more are lost

type note struct{ topic, payload string }

// bus carries notifications within the process. They are hints: who listens also looks by itself
// from time to time.
type bus struct {
	mu        sync.Mutex
	pending   map[*sql.Tx][]note // said in transactions that are not committed
	listeners map[string]map[chan string]bool
	closed    bool
}

func newBus() *bus {
	return &bus{pending: map[*sql.Tx][]note{}, listeners: map[string]map[chan string]bool{}}
}

// Notify tells those who Listen to topic, here and in other processes, when tx is committed, and
// nobody when it is not. tx is one of Tx. A notification may be lost.
func (d *DB) Notify(tx *sql.Tx, topic, payload string) error {
	if len(payload) > MaxPayload {
		return &fault.Fault{Kind: fault.TooLarge, Op: "notify", Name: topic}
	}
	d.bus.mu.Lock()
	defer d.bus.mu.Unlock()
	said, open := d.bus.pending[tx]
	if !open {
		return &fault.Fault{Kind: fault.Internal, Op: "notify", Name: topic, Err: errors.New("not in a transaction of Tx")}
	}
	d.bus.pending[tx] = append(said, note{topic, payload})
	return nil
}

// Publish is Notify at once, without a transaction.
func (d *DB) Publish(topic, payload string) error {
	if len(payload) > MaxPayload {
		return &fault.Fault{Kind: fault.TooLarge, Op: "notify", Name: topic}
	}
	d.send([]note{{topic, payload}})
	return nil
}

// Listen returns what is said about topic until ctx ends, and then closes the channel. Notifications
// that nobody takes in time are lost, and so is what is said while a connection is down: an empty
// one then says that it is up again.
func (d *DB) Listen(ctx context.Context, topic string) (<-chan string, error) {
	c := make(chan string, unread)
	if !d.bus.add(topic, c) {
		return nil, &fault.Fault{Kind: fault.Unavailable, Op: "listen to", Name: topic, Err: errors.New("closed")}
	}
	if d.wire != nil {
		d.wire.topicsChanged()
	}
	context.AfterFunc(ctx, func() {
		d.bus.remove(topic, c)
		if d.wire != nil {
			d.wire.topicsChanged()
		}
	})
	return c, nil
}

func (d *DB) send(said []note) {
	for _, n := range said {
		d.bus.deliver(n)
	}
	if d.wire != nil {
		d.wire.send(said)
	}
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
		return // close was first
	}
	delete(b.listeners[topic], c)
	if len(b.listeners[topic]) == 0 {
		delete(b.listeners, topic)
	}
	close(c)
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

// wake tells every listener that something may have been missed.
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
