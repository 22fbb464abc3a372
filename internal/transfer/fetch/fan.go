package fetch

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/drayage/dray/oci"
)

const (
	fanChunk = 64 << 10

	// fanWindow is the memory in which the readers of one blob may be apart: 1 MiB.
	FanWindow = 1 << 20

	// fanSmall is the size in bytes up to which a blob is held whole, in memory that is
	// not counted: 256 KiB.
	FanSmall = 4 * fanChunk

	// fanPatience is how long the others wait for one that does not ask, and in all for
	// the slowest while they read: that, and a quarter of the time that the reading takes.
	// It then reads alone.
	fanPatience = time.Second
)

// fan is one blob that several Ends read together. The reading begins when each of them
// asked for it or turned out not to need it, and keeps no more than fanWindow of it.
type fan struct {
	mu      sync.Mutex
	changed chan struct{} // closed and made anew whenever something is different
	window  int64         // how far the readers may be apart, in bytes
	open    int           // readers that have neither asked nor left
	readers map[*FanReader]bool
	begun   bool

	chunks  [][]byte
	from    int64 // where chunks begin
	to      int64 // where they end
	err     error // how the reading ended
	spare   [][]byte
	stop    context.CancelFunc // of the reading
	Pumping sync.WaitGroup
	start   time.Time
	late    time.Duration // for how long somebody was waited for
}

// NewFan holds in buf what not all have read; nil is memory of its own, for a small blob.
func NewFan(readers int, buf []byte) *fan {
	f := &fan{open: readers, readers: map[*FanReader]bool{}, changed: make(chan struct{}), window: FanSmall}
	if len(buf) > FanSmall {
		f.window = int64(len(buf)) - fanChunk // one is being read into
		for ; len(buf) >= fanChunk; buf = buf[fanChunk:] {
			f.spare = append(f.spare, buf[:fanChunk:fanChunk])
		}
	}
	return f
}

// FanReader is one End's part in a fan.
type FanReader struct {
	fan  *fan
	ctx  context.Context
	said bool
	at   int64
	base oci.Opener
	own  io.ReadCloser // what it reads alone, since it was too late

	behind func()                                            // is called when it has to read alone
	place  func(ctx context.Context) (leave func(), ok bool) // where it does that
	left   func()
}

// Join makes a reader. behind is called once it does not keep pace; what it reads from
// then on takes a place of its own.
func (f *fan) Join(behind func(), place func(context.Context) (func(), bool)) *FanReader {
	return &FanReader{fan: f, behind: behind, place: place}
}

// change tells everybody who waits. f.mu is held.
func (f *fan) change() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// wait gives f.mu away until something is different; false is that ctx or the time ended first.
func (f *fan) wait(ctx context.Context, most <-chan time.Time) bool {
	changed := f.changed
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case <-changed:
		return true
	case <-most:
	case <-ctx.Done():
	}
	return false
}

// Leave says that a reader asks for nothing any more. It may be called again.
func (r *FanReader) Leave() {
	r.fan.mu.Lock()
	defer r.fan.mu.Unlock()
	r.say()
	r.fan.without(r)
}

// without goes on without a reader, and stops the reading after the last. f.mu is held.
func (f *fan) without(r *FanReader) {
	delete(f.readers, r)
	if len(f.readers) == 0 && f.open == 0 && f.stop != nil {
		f.stop()
	}
	f.change()
}

// say counts the reader among those that are known. f.mu is held.
func (r *FanReader) say() {
	if !r.said {
		r.said = true
		r.fan.open--
	}
}

// Opener takes part in the fan at the first reading from the beginning; all else is read
// alone, by base. ctx ends the reading for all.
func (r *FanReader) Opener(ctx context.Context, base oci.Opener) oci.Opener {
	return func(own context.Context, at int64) (io.ReadCloser, error) {
		f := r.fan
		f.mu.Lock()
		if r.said || at > 0 {
			r.say()
			f.change()
			f.mu.Unlock()
			return base(own, at)
		}
		r.say()
		r.ctx, r.base = own, base
		f.readers[r] = true
		f.change()
		patience := time.NewTimer(fanPatience)
		defer patience.Stop()
		for f.open > 0 && !f.begun && f.wait(own, patience.C) {
		}
		if own.Err() != nil {
			delete(f.readers, r)
			f.mu.Unlock()
			return nil, context.Cause(own)
		}
		if !f.begun && len(f.readers) == 1 || f.from > 0 {
			delete(f.readers, r)
			f.mu.Unlock()
			return base(own, 0)
		}
		if !f.begun {
			f.begun, f.start = true, time.Now()
			ctx, f.stop = context.WithCancel(ctx)
			f.Pumping.Go(func() { f.pump(ctx, base) })
		}
		f.mu.Unlock()
		return r, nil
	}
}

// pump reads the blob until nobody is there any more.
func (f *fan) pump(ctx context.Context, base oci.Opener) {
	defer f.stop()
	body, err := base(ctx, 0)
	if err == nil {
		defer body.Close()
	}
	for err == nil {
		chunk := f.blank()
		var n int
		if n, err = io.ReadFull(body, chunk); errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		if !f.add(ctx, chunk[:n]) {
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	f.change()
}

// add hands out a chunk when there is room for it. It is false when nobody reads any more.
func (f *fan) add(ctx context.Context, chunk []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		slowest := f.slowest()
		if slowest == nil {
			return false
		}
		f.forget(slowest.at)
		if f.to-slowest.at+int64(len(chunk)) <= f.window {
			break
		}
		// Readers are kept waiting by the slowest once one of them is through.
		if !f.waiting() {
			if !f.wait(ctx, nil) {
				return false
			}
			continue
		}
		began := time.Now()
		timer := time.NewTimer(max(fanPatience+began.Sub(f.start)/4-f.late, time.Millisecond))
		f.wait(ctx, timer.C)
		timer.Stop()
		if f.late += time.Since(began); ctx.Err() != nil {
			return false
		}
		if f.late >= fanPatience+time.Since(f.start)/4 {
			f.late = 0
			slowest.behind()
			f.without(slowest)
		}
	}
	if len(chunk) > 0 {
		f.chunks = append(f.chunks, chunk)
		f.to += int64(len(chunk))
	}
	f.change()
	return true
}

func (f *fan) slowest() *FanReader {
	var slowest *FanReader
	for r := range f.readers {
		if slowest == nil || r.at < slowest.at {
			slowest = r
		}
	}
	return slowest
}

// waiting reports whether a reader has read all that there is.
func (f *fan) waiting() bool {
	for r := range f.readers {
		if r.at == f.to {
			return true
		}
	}
	return false
}

// forget drops the chunks that everybody has read.
func (f *fan) forget(at int64) {
	for len(f.chunks) > 0 && f.from+int64(len(f.chunks[0])) <= at {
		f.from += int64(len(f.chunks[0]))
		f.spare = append(f.spare, f.chunks[0][:fanChunk])
		f.chunks = slices.Delete(f.chunks, 0, 1)
	}
}

// blank is a chunk to read into: one that everybody has read, where there is one.
func (f *fan) blank() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.spare)
	if n == 0 {
		return make([]byte, fanChunk)
	}
	chunk := f.spare[n-1]
	f.spare = f.spare[:n-1]
	return chunk
}

func (r *FanReader) Read(p []byte) (int, error) {
	f := r.fan
	f.mu.Lock()
	for r.own == nil {
		if !f.readers[r] {
			f.mu.Unlock()
			if err := r.alone(); err != nil {
				return 0, err
			}
			return r.own.Read(p)
		}
		if r.at < f.to {
			n := r.copy(p)
			f.mu.Unlock()
			return n, nil
		}
		if f.err != nil {
			err := f.err
			f.mu.Unlock()
			return 0, err
		}
		if !f.wait(r.ctx, nil) && r.ctx.Err() != nil {
			f.mu.Unlock()
			return 0, context.Cause(r.ctx)
		}
	}
	f.mu.Unlock()
	return r.own.Read(p)
}

// alone has r read on by itself.
func (r *FanReader) alone() (err error) {
	var ok bool
	if r.left, ok = r.place(r.ctx); !ok {
		return context.Cause(r.ctx)
	}
	r.own, err = r.base(r.ctx, r.at)
	return err
}

// copy takes what there is at r.at. f.mu is held.
func (r *FanReader) copy(p []byte) int {
	f := r.fan
	at := f.from
	for _, chunk := range f.chunks {
		if end := at + int64(len(chunk)); r.at < end {
			n := copy(p, chunk[r.at-at:])
			r.at += int64(n)
			f.change()
			return n
		}
		at += int64(len(chunk))
	}
	return 0
}

func (r *FanReader) Close() error {
	r.fan.mu.Lock()
	r.fan.without(r)
	r.fan.mu.Unlock()
	if r.left != nil {
		defer r.left()
		r.left = nil
	}
	if r.own != nil {
		return r.own.Close()
	}
	return nil
}
