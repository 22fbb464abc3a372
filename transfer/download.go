package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

const (
	tellEvery  = 100 * time.Millisecond
	firstPause = 500 * time.Millisecond
	maxPause   = 30 * time.Second
	maxSkips   = 2         // how often one blob may be read again from 0 by a source that can not seek…
	maxSkip    = 256 << 20 // …and how many bytes each time: without bounds this grows with the square of the breaks
)

// download reads one blob of the source. A connection that breaks is opened
// again where it broke; the tries are counted from the last byte that came.
// Every error has the Side Source.
type download struct {
	ctx     context.Context // of the upload that reads; a Reader has no other way to get it
	task    Task
	blob    oci.Descriptor
	name    string
	retries int

	body  io.ReadCloser
	at    int64 // the next byte to deliver
	tries int   // since the last byte
	skips int   // reads from 0 to go on later
	told  time.Time
}

func (d *download) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := d.readOnce(p)
		if n > 0 {
			d.at += int64(n)
			d.tries = 0
			d.advance()
			return n, nil
		}
		if err == nil {
			continue
		}
		if err == io.EOF {
			return 0, io.EOF
		}
		if err := d.recover(err); err != nil {
			return 0, fault.On(fault.Source, err)
		}
	}
}

// readOnce reads from the open body. It returns EOF only at the blob's end, and
// Corrupt when the body goes on after it.
func (d *download) readOnce(p []byte) (int, error) {
	left := d.blob.Size - d.at
	if left == 0 {
		var more [1]byte
		if n, _ := io.ReadFull(d.body, more[:]); n > 0 {
			return 0, d.fail(fault.Corrupt, fmt.Errorf("the body is longer than its %d bytes", d.blob.Size))
		}
		return 0, io.EOF
	}
	n, err := d.body.Read(p[:min(int64(len(p)), left)])
	if n > 0 {
		return n, nil
	}
	if err == io.EOF {
		err = d.fail(fault.Unavailable, fmt.Errorf("the body ended at byte %d of %d", d.at, d.blob.Size))
	}
	return 0, err
}

// recover opens the body again after err, or returns why not.
func (d *download) recover(err error) error {
	for {
		if d.ctx.Err() != nil {
			return context.Cause(d.ctx)
		}
		var f *fault.Fault
		if errors.As(err, &f) && f.Kind != fault.Unavailable {
			return err
		}
		if d.tries++; d.tries > d.retries {
			return d.fail(fault.Unavailable, fmt.Errorf("no progress in %d tries: %w", d.retries, err))
		}
		if err := d.pause(err); err != nil {
			return err
		}
		if err = d.reopen(); err == nil {
			return nil
		}
	}
}

// pause waits before a try, not at all before the first: a broken connection is most often just that.
func (d *download) pause(cause error) error {
	if d.tries == 1 {
		return nil
	}
	wait := min(firstPause<<(d.tries-2), maxPause)
	wait = wait/2 + rand.N(wait/2)
	d.task.tell(event.Event{Kind: event.Retried, Side: string(fault.Source), Digest: string(d.blob.Digest), Wait: wait, Err: cause})
	select {
	case <-time.After(wait):
		return nil
	case <-d.ctx.Done():
		return context.Cause(d.ctx)
	}
}

// reopen opens the body at d.at, reading over what comes before it where the source can not seek.
func (d *download) reopen() error {
	if d.body != nil {
		d.body.Close()
	}
	d.body = io.NopCloser(eof{})
	body, from, err := d.task.From.Blob(d.ctx, d.blob, d.at, -1)
	if err != nil {
		return err
	}
	d.body = body
	if from == d.at {
		return nil
	}
	if d.skips++; from > d.at || d.skips > maxSkips || d.at-from > maxSkip {
		return d.fail(fault.Corrupt, fmt.Errorf("broke at byte %d, and the source can not go on there", d.at))
	}
	if _, err := io.CopyN(io.Discard, body, d.at-from); err != nil {
		return d.fail(fault.Unavailable, fmt.Errorf("reading up to byte %d again: %w", d.at, err))
	}
	return nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// Close lets go of the connection.
func (d *download) Close() error { return d.body.Close() }

func (d *download) advance() {
	if now := time.Now(); now.Sub(d.told) >= tellEvery {
		d.told = now
		d.tell(event.Advanced)
	}
}

func (d *download) tell(k event.Kind) {
	d.task.tell(event.Event{Kind: k, Name: d.name, Digest: string(d.blob.Digest), Done: d.at, Total: d.blob.Size})
}

func (d *download) fail(k fault.Kind, err error) error {
	return &fault.Fault{Kind: k, Side: fault.Source, Op: "read blob", Name: d.task.From.Repo().At(string(d.blob.Digest)).String(), Err: err}
}
