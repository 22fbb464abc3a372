package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/drayage/dray/fault"
)

// MaxPayload is the maximum size of a notification's payload in bytes. PostgreSQL allows 8000 bytes for
// payload and topic together.
const MaxPayload = 7800

// Notify sends a notification to every listener of topic, in this and in other processes, when tx is
// committed. If tx is rolled back, nothing is sent. tx must be a transaction of Tx. A notification may
// be lost. The error is TooLarge if payload is longer than MaxPayload.
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
	d.send([]note{{topic, payload}})
	return nil
}

// Listen returns a channel that receives the payloads of topic. The channel is closed when ctx ends or
// the database is closed.
//
// Notifications are lost if more than 256 wait in the channel. They are also lost while the connection
// to PostgreSQL is down. When it is up again, every channel receives an empty payload. The error is
// Unavailable if the database is closed.
func (d *DB) Listen(ctx context.Context, topic string) (<-chan string, error) {
	c := make(chan string, maxUnread)
	if !d.bus.add(topic, c) {
		return nil, &fault.Fault{Kind: fault.Unavailable, Op: "listen to", Name: topic,
			Err: errors.New("the database is closed")}
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

const maxUnread = 256 // maximum number of notifications that wait for one listener

func (d *DB) send(said []note) {
	d.bus.send(said)
	if d.wire != nil {
		d.wire.send(said)
	}
}
