package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/drayage/dray/fault"
)

// MaxPayload is the maximum size of a notification's payload in bytes.
const MaxPayload = 7800

// Notify sends a notification to every listener of topic in this process when tx is committed. If tx is
// rolled back, nothing is sent. tx must be a transaction of Tx. A notification may be lost, and other
// processes do not receive it. The error is TooLarge if payload is longer than MaxPayload.
func (d *DB) Notify(tx *sql.Tx, topic, payload string) error {
	if len(payload) > MaxPayload {
		return &fault.Fault{Kind: fault.TooLarge, Op: "notify", Name: topic}
	}
	d.bus.mu.Lock()
	defer d.bus.mu.Unlock()
	said, open := d.bus.pending[tx]
	if !open {
		return &fault.Fault{Kind: fault.Internal, Op: "notify", Name: topic,
			Err: errors.New("the transaction is not one of Tx")}
	}
	d.bus.pending[tx] = append(said, note{topic, payload})
	return nil
}

// Publish sends a notification at once, without a transaction. The error is TooLarge as for Notify.
func (d *DB) Publish(topic, payload string) error {
	if len(payload) > MaxPayload {
		return &fault.Fault{Kind: fault.TooLarge, Op: "notify", Name: topic}
	}
	d.bus.send([]note{{topic, payload}})
	return nil
}

// Listen returns a channel that receives the payloads of topic. The channel is closed when ctx ends or
// the database is closed. Notifications are lost if more than 256 wait in the channel, so a listener must
// also look at the database from time to time. The error is Unavailable if the database is closed.
func (d *DB) Listen(ctx context.Context, topic string) (<-chan string, error) {
	c := make(chan string, maxUnread)
	if !d.bus.add(topic, c) {
		return nil, &fault.Fault{Kind: fault.Unavailable, Op: "listen to", Name: topic,
			Err: errors.New("the database is closed")}
	}
	context.AfterFunc(ctx, func() { d.bus.remove(topic, c) })
	return c, nil
}

const maxUnread = 256 // maximum number of notifications that wait for one listener

type note struct{ topic, payload string }

// bus delivers notifications within the process.
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
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range said {
		for c := range b.listeners[n.topic] {
			select {
			case c <- n.payload:
			default:
			}
		}
	}
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
