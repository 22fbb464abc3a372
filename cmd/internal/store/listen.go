package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/drayage/dray/fault"
)

// MaxPayload is what one notification can carry, in bytes: PostgreSQL takes 8000 with the topic.
const MaxPayload = 7800

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

const unread = 256 // notifications that wait for one listener; more are lost

func (d *DB) send(said []note) {
	d.bus.send(said)
	if d.wire != nil {
		d.wire.send(said)
	}
}
