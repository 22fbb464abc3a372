package fetch

import (
	"context"
	"io"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

const tellEvery = 100 * time.Millisecond

// Download reads one blob of the source, in order. It uses one connection, or several if that is
// faster (see ranges). Every error has the Side Source.
type Download struct {
	want Want

	at       int64   // offset of the next byte to deliver
	one      *stream // reads over one connection; nil while the parts of wide are read
	wide     *ranges // reads over several connections; nil if one connection is enough
	lastTold time.Time
}

// Begin begins to read a blob at byte at. The Download keeps ctx, because Read has no parameter
// for a context: when ctx ends, Read fails.
func (f *Fetcher) Begin(ctx context.Context, w Want, at int64) (*Download, error) {
	d := &Download{want: w, at: at}
	end := w.Blob.Size
	if width := f.widthFor(w, at); width != 1 {
		d.wide = newRanges(ctx, f, w, at, width)
		end = min(end, at+d.wide.first)
	}
	d.one = f.stream(ctx, w, at, end)
	if err := d.one.reopen(); err != nil {
		_ = d.Close()
		return nil, fault.On(fault.Source, err)
	}
	return d, nil
}

// Read reads the next bytes of the blob.
func (d *Download) Read(p []byte) (int, error) {
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

// read returns the next bytes, either from the single stream or from the parts.
func (d *Download) read(p []byte) (int, error) {
	if d.wide == nil {
		return d.one.Read(p)
	}
	for {
		var n int
		var err error
		switch {
		case d.one != nil && (d.at < d.one.end || d.at == d.want.Blob.Size):
			return d.wide.timed(d.one, p)
		case d.one != nil:
			d.one, err = d.wide.pass(d.one)
		case d.at == d.want.Blob.Size:
			return 0, io.EOF
		default:
			if n, err = d.wide.read(p); n == 0 && err == nil && d.at < d.want.Blob.Size {
				d.one, err = d.wide.alone(d.at)
			}
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Close closes all connections. When it returns, no goroutine of d is running.
func (d *Download) Close() error {
	if d.wide != nil {
		d.wide.close()
	}
	if d.one == nil {
		return nil
	}
	return d.one.Close()
}

func (d *Download) advance() {
	if now := time.Now(); now.Sub(d.lastTold) >= tellEvery {
		d.lastTold = now
		d.Tell(event.Advanced)
	}
}

// Tell reports an event of kind k about the blob, with the number of bytes delivered so far.
func (d *Download) Tell(k event.Kind) {
	d.want.tell(event.Event{
		Kind:   k,
		Name:   d.want.Name,
		Digest: string(d.want.Blob.Digest),
		Done:   d.at,
		Total:  d.want.Blob.Size,
	})
}

// widthFor returns over how many connections to begin to read w from byte at on. 0 means that the
// number is not known and has to be measured.
func (f *Fetcher) widthFor(w Want, at int64) int {
	if w.From.Repo().IsLayout() { // a disk is not faster when a file is read in several places
		return 1
	}
	if w.Blob.Size-at < worthWide || f.Room.size < partSize || f.Places.full() {
		return 1
	}
	f.paths.mu.Lock()
	defer f.paths.mu.Unlock()
	k := w.path()
	switch {
	case f.paths.refused[w.From.Repo()]:
		return 1
	case time.Since(f.paths.at[k]) < knownFor:
		return f.paths.width[k]
	}
	return 0
}
