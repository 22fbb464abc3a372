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

	// FanWindow is the memory in bytes that the readers of one blob share: 1 MiB. It limits how
	// far the fastest reader can be ahead of the slowest.
	FanWindow = 1 << 20

	// FanSmall is the largest size in bytes of a blob that is held in memory as a whole: 256 KiB.
	// This memory does not count against Room.
	FanSmall = 4 * fanChunk

	// fanPatience is how long the other readers wait for a reader that does not begin. While they
	// read, the waits for the slowest reader may add up to fanPatience plus a quarter of the time
	// since the beginning. After that, the slowest reader continues with a download of its own.
	fanPatience = time.Second
)

// Fan is one download that several Ends share. It begins when each reader either has asked for
// the blob or has left because it does not need the blob. The fan holds at most FanWindow bytes.
type Fan struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced by a new channel at every change
	window  int64         // how many bytes the fastest reader may be ahead of the slowest
	open    int           // readers that have neither asked for the blob nor left
	readers map[*FanReader]bool
	begun   bool

	chunks  [][]byte
	from    int64 // offset of the first byte in chunks
	to      int64 // offset of the first byte after chunks
	err     error // why the download ended; io.EOF at the end of the blob
	spare   [][]byte
	stop    context.CancelFunc // ends the download
	Pumping sync.WaitGroup
	start   time.Time
	late    time.Duration // total time that the download has waited for the slowest reader
}

// NewFan returns a Fan for so many readers. It holds the bytes that not all readers have read in
// buf. If buf is nil, it allocates the memory itself; that is meant for small blobs.
func NewFan(readers int, buf []byte) *Fan {
	f := &Fan{open: readers, readers: map[*FanReader]bool{}, changed: make(chan struct{}), window: FanSmall}
	if len(buf) > FanSmall {
		f.window = int64(len(buf)) - fanChunk // one chunk is always being read into
		for ; len(buf) >= fanChunk; buf = buf[fanChunk:] {
			f.spare = append(f.spare, buf[:fanChunk:fanChunk])
		}
	}
	return f
}

// FanReader is the reader of one End in a fan.
type FanReader struct {
	fan     *Fan
	ctx     context.Context
	settled bool
	at      int64
	base    oci.Opener
	own     io.ReadCloser // the reader's own download, after it fell behind

	behind func()                                            // called when the reader falls behind
	place  func(ctx context.Context) (leave func(), ok bool) // waits for a place for the reader's own download
	left   func()
}

// Join returns a new reader. The fan calls behind when the reader does not keep pace. From then
// on, the reader has a download of its own, for which it takes a place.
func (f *Fan) Join(behind func(), place func(context.Context) (func(), bool)) *FanReader {
	return &FanReader{fan: f, behind: behind, place: place}
}

// change wakes every goroutine that waits for a change. The caller holds f.mu.
func (f *Fan) change() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// wait releases f.mu until something changes. It returns false if ctx or the time ended first.
// The caller holds f.mu.
func (f *Fan) wait(ctx context.Context, most <-chan time.Time) bool {
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

// Leave reports that the reader needs no more bytes. It may be called more than once.
func (r *FanReader) Leave() {
	r.fan.mu.Lock()
	defer r.fan.mu.Unlock()
	r.settle()
	r.fan.remove(r)
}

// remove takes a reader out of the fan, and stops the download after the last one has gone. The
// caller holds f.mu.
func (f *Fan) remove(r *FanReader) {
	delete(f.readers, r)
	if len(f.readers) == 0 && f.open == 0 && f.stop != nil {
		f.stop()
	}
	f.change()
}

// settle records that the reader has asked for the blob or has left. The caller holds f.mu.
func (r *FanReader) settle() {
	if !r.settled {
		r.settled = true
		r.fan.open--
	}
}

// Opener returns an opener whose first use reads from the fan, if it begins at byte 0. Any other
// use opens a separate download with base. The end of ctx stops the shared download for all
// readers.
func (r *FanReader) Opener(ctx context.Context, base oci.Opener) oci.Opener {
	return func(own context.Context, at int64) (io.ReadCloser, error) {
		f := r.fan
		f.mu.Lock()
		if r.settled || at > 0 {
			r.settle()
			f.change()
			f.mu.Unlock()
			return base(own, at)
		}
		r.settle()
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

// pump reads the blob until the last reader has left.
func (f *Fan) pump(ctx context.Context, base oci.Opener) {
	defer f.stop()
	body, err := base(ctx, 0)
	if err == nil {
		defer body.Close()
	}
	for err == nil {
		chunk := f.freeChunk()
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

// add waits until there is room for a chunk, and then hands it to the readers. It returns false
// if there are no readers any more.
func (f *Fan) add(ctx context.Context, chunk []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		slowest := f.slowest()
		if slowest == nil {
			return false
		}
		f.release(slowest.at)
		if f.to-slowest.at+int64(len(chunk)) <= f.window {
			break
		}
		// The slowest reader delays the others only if one of them has read all
		// the bytes downloaded so far.
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
			f.remove(slowest)
		}
	}
	if len(chunk) > 0 {
		f.chunks = append(f.chunks, chunk)
		f.to += int64(len(chunk))
	}
	f.change()
	return true
}

func (f *Fan) slowest() *FanReader {
	var slowest *FanReader
	for r := range f.readers {
		if slowest == nil || r.at < slowest.at {
			slowest = r
		}
	}
	return slowest
}

// waiting reports whether some reader has read all the bytes downloaded so far.
func (f *Fan) waiting() bool {
	for r := range f.readers {
		if r.at == f.to {
			return true
		}
	}
	return false
}

// release frees the chunks before the offset at, which all readers have read.
func (f *Fan) release(at int64) {
	for len(f.chunks) > 0 && f.from+int64(len(f.chunks[0])) <= at {
		f.from += int64(len(f.chunks[0]))
		f.spare = append(f.spare, f.chunks[0][:fanChunk])
		f.chunks = slices.Delete(f.chunks, 0, 1)
	}
}

// freeChunk returns a chunk to read into. It reuses a chunk that all readers have read, if there is
// one.
func (f *Fan) freeChunk() []byte {
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

// Read reads from the fan, or from the reader's own download after the reader fell behind.
func (r *FanReader) Read(p []byte) (int, error) {
	f := r.fan
	f.mu.Lock()
	for r.own == nil {
		if !f.readers[r] {
			f.mu.Unlock()
			if err := r.readAlone(); err != nil {
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

// readAlone starts a download of its own for r, from r.at on.
func (r *FanReader) readAlone() (err error) {
	var ok bool
	if r.left, ok = r.place(r.ctx); !ok {
		return context.Cause(r.ctx)
	}
	r.own, err = r.base(r.ctx, r.at)
	return err
}

// copy copies bytes from r.at on into p. The caller holds f.mu.
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

// Close leaves the fan and closes the reader's own download, if there is one.
func (r *FanReader) Close() error {
	r.fan.mu.Lock()
	r.fan.remove(r)
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
