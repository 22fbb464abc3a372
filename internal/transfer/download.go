package transfer

import (
	"context"
	"io"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

const tellEvery = 100 * time.Millisecond

// download reads one blob of the source, in order: over one connection, or over
// several where that is faster (see ranges). Every error has the Side Source.
type download struct {
	ctx    context.Context // of the Put that reads; a Reader has no other way to get it
	engine *Engine
	task   Task
	blob   oci.Descriptor
	name   string
	to     string // the host that it is read for, as that may be what is slow

	at   int64   // the next byte to deliver
	one  *stream // what is read over one connection; nil where that was given up for ranges
	wide *ranges // nil where one connection is enough
	told time.Time
}

// download begins to read a blob at a byte.
func (e *Engine) download(ctx context.Context, t Task, blob oci.Descriptor, at int64, name, to string) (*download, error) {
	d := &download{ctx: ctx, engine: e, task: t, blob: blob, name: name, to: to, at: at}
	end := blob.Size
	if width := e.widthFor(d); width != 1 {
		d.wide = newRanges(d, width)
		end = min(end, at+d.wide.first)
	}
	d.one = d.stream(at, end)
	if err := d.one.reopen(); err != nil {
		d.Close()
		return nil, fault.On(fault.Source, err)
	}
	return d, nil
}

func (d *download) stream(at, end int64) *stream {
	return &stream{ctx: d.ctx, task: d.task, blob: d.blob, retries: d.engine.retries, at: at, end: end}
}

func (d *download) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := d.read(p)
	if n > 0 {
		d.at += int64(n)
		d.advance()
		return n, nil
	}
	if err == io.EOF {
		return 0, io.EOF
	}
	return 0, fault.On(fault.Source, err)
}

// read takes the next bytes from whatever holds them.
func (d *download) read(p []byte) (int, error) {
	if d.wide == nil {
		return d.one.Read(p)
	}
	for {
		var n int
		var err error
		switch {
		case d.one != nil && (d.at < d.one.end || d.at == d.blob.Size):
			return d.wide.timed(d.one, p)
		case d.one != nil:
			err = d.wide.pass()
		case d.at == d.blob.Size:
			return 0, io.EOF
		default:
			if n, err = d.wide.read(p); n == 0 && err == nil && d.at < d.blob.Size {
				d.one, err = d.wide.alone()
			}
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Close lets go of all connections. Nothing of d runs after it.
func (d *download) Close() error {
	if d.wide != nil {
		d.wide.close()
	}
	if d.one == nil {
		return nil
	}
	return d.one.Close()
}

func (d *download) advance() {
	if now := time.Now(); now.Sub(d.told) >= tellEvery {
		d.told = now
		d.tell(event.Advanced)
	}
}

func (d *download) tell(k event.Kind) {
	d.task.tell(event.Event{Kind: k, Name: d.name, Digest: string(d.blob.Digest), Done: d.at, Total: d.blob.Size})
}
