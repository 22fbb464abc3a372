package fetch

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	partSize  = 3 << 20   // size in bytes of a part, which one of several connections reads
	probeSize = 8 << 20   // bytes at the beginning of a large blob that are used to measure the speed of one connection
	worthWide = 32 << 20  // size in bytes from which several connections are considered
	maxWidth  = 21        // most connections for one blob
	tooFast   = 256 << 20 // bytes/s of one connection above which the source is never the bottleneck
	watchFor  = 50 * time.Millisecond
	holdFor   = time.Second // wait before another width is tried after one that was not faster
	knownFor  = time.Minute // how long a measured width is used again
)

// ranges reads one blob over several connections at once and puts the parts back in order. It
// begins with one connection. If that connection is the bottleneck, it asks for one part over a
// second connection. The answer shows whether the source supports range requests. After that, it
// adds connections as long as they make the download faster.
//
// A part is requested as a closed range. It is held in the memory of Options.Ahead until the
// bytes before it are delivered, and it resumes by itself if its connection breaks. The first
// connection uses the place of the download itself. Each further one takes a place of
// Options.Blobs, but only one that no other blob needs.
type ranges struct {
	by     *Fetcher
	want   Want
	life   context.Context // context of the download
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	parts   []*part // in order; the first is delivered next
	first   int64   // bytes that the single stream reads at the beginning
	next    int64   // offset of the next part to request
	width   int     // connections that may be open at once
	before  int     // width before the last increase
	busy    int     // parts that are being read
	cold    int     // parts that are being read and have received no byte yet
	own     bool    // the place of the download itself is in use
	head    bool    // the single stream uses that place
	proven  bool    // the source has answered a range request correctly
	refused bool    // the source does not support range requests

	got    int64         // bytes received, over all connections
	begun  time.Time     // when the first bytes came
	waited time.Duration // time spent waiting for the single stream since begun
	since  time.Time     // when the measurement of the current width began
	base   int64         // value of got at since
	last   float64       // bytes/s at the previous width
	hold   time.Time     // the width is not increased before this time
}

// part is a range that is being read. ranges.mu guards its fields. The bytes of buf from n on are
// the exception: they belong to the goroutine that reads the part.
type part struct {
	at    int64
	buf   []byte
	n     int // bytes received
	given int // bytes delivered
	done  bool
	err   error
	own   bool          // it uses the place of the download itself
	news  chan struct{} // receives a value when the part changes
}

// newRanges returns a ranges that reads w from byte at on, over width connections at first. A
// width of 0 means that the width has to be measured.
func newRanges(ctx context.Context, by *Fetcher, w Want, at int64, width int) *ranges {
	r := &ranges{
		by:     by,
		want:   w,
		life:   ctx,
		width:  max(width, 1),
		before: max(width, 1),
		own:    true,
		head:   true,
		first:  probeSize,
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	if width > 1 {
		r.first, r.proven = partSize, true
	}
	r.next = at + r.first
	if width > 1 {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.hold = time.Now().Add(holdFor)
		r.spawn()
	}
	return r
}

// timed reads from the single stream and measures how long that takes.
func (r *ranges) timed(one *stream, p []byte) (int, error) {
	begin := time.Now()
	n, err := one.Read(p)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun.IsZero() {
		r.begun = now
	} else {
		r.waited += now.Sub(begin)
		r.got += int64(n)
	}
	r.adjust(now, one.at == one.end)
	return n, err
}

// adjust decides how many connections there should be, and opens them. The caller holds mu.
func (r *ranges) adjust(now time.Time, over bool) {
	switch {
	case r.refused || r.next >= r.want.Blob.Size:
		return
	case r.width == 1:
		r.decide(now, over)
	default:
		r.grow(now)
	}
	r.spawn()
}

// decide uses the single stream to find out whether more connections would help. They help if the
// stream is slow and most of the time goes into waiting for it. over means that the stream has
// reached the end of the probe.
func (r *ranges) decide(now time.Time, over bool) {
	took := now.Sub(r.begun)
	if !r.head || took < watchFor && !over {
		return
	}
	rate := float64(r.got) / max(took, time.Millisecond).Seconds()
	if r.waited < took*4/5 || rate > tooFast {
		r.next = r.want.Blob.Size // the single stream reads the rest
		r.by.paths.learn(r.want.path(), 1)
		return
	}
	r.last, r.before, r.width = rate, 1, 2
}

// grow measures the speed at the current width. It increases the width while that pays, and
// reverts an increase that did not pay.
func (r *ranges) grow(now time.Time) {
	switch {
	case !r.proven || now.Before(r.hold):
		return
	case r.since.IsZero():
		if r.cold == 0 {
			r.since, r.base = now, r.got
		}
		return
	case now.Sub(r.since) < watchFor:
		return
	}
	rate := float64(r.got-r.base) / now.Sub(r.since).Seconds()
	r.since = time.Time{}
	switch {
	case rate < r.last*1.2:
		r.width, r.last, r.hold = r.before, 0, now.Add(holdFor)
	case r.width == maxWidth:
		r.last, r.before, r.hold = 0, r.width, now.Add(holdFor)
	default:
		r.last, r.before, r.width = rate, r.width, min(8*r.width, maxWidth)
	}
	r.by.paths.learn(r.want.path(), r.before)
}

// spawn starts as many parts as the width, the places and the memory allow. The caller holds mu.
func (r *ranges) spawn() {
	e := r.by
	for r.width > 1 && !r.refused && r.next < r.want.Blob.Size && (r.proven || len(r.parts) == 0) {
		streams := r.busy
		if r.head {
			streams++
		}
		own := !r.own
		if streams >= r.width || !own && !e.Places.spare() {
			return
		}
		buf := e.Room.Take(partSize)
		if buf == nil {
			if !own {
				e.Places.leave()
			}
			return
		}
		p := &part{at: r.next, buf: buf[:min(partSize, r.want.Blob.Size-r.next)], own: own, news: make(chan struct{}, 1)}
		r.next += int64(len(p.buf))
		r.parts = append(r.parts, p)
		r.own = true
		r.busy++
		r.cold++
		r.wg.Go(func() { r.fetch(p) })
	}
}

// fetch reads one part.
func (r *ranges) fetch(p *part) {
	s := r.by.stream(r.ctx, r.want, p.at, p.at+int64(len(p.buf)))
	s.strict = true
	err := s.open()
	if err == nil {
		r.received(p, 0)
	}
	for at := 0; err == nil; {
		var n int
		n, err = s.Read(p.buf[at:])
		at += n
		r.received(p, n)
	}
	_ = s.Close() // all bytes were read
	if err == io.EOF {
		err = nil
	}
	r.ended(p, err)
}

// ended records the end of a part and frees its place.
func (r *ranges) ended(p *part, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy--
	if p.n == 0 {
		r.cold--
	}
	if p.own {
		r.own = false
	} else {
		r.by.Places.leave()
	}
	if errors.Is(err, errNoRange) {
		r.refused = true
		r.by.paths.refuse(r.want.From.Repo())
	}
	p.done, p.err = true, err
	p.tell()
	r.adjust(time.Now(), false)
}

// received records n received bytes of a part. The first call has n = 0 and records that the source
// honored the range request.
func (r *ranges) received(p *part, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.n == 0 && n > 0 {
		r.cold--
	}
	r.proven = true
	p.n += n
	r.got += int64(n)
	p.tell()
}

func (p *part) tell() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// pass continues after the end of the single stream. If there are parts and the source supports
// range requests, it goes on with the parts and returns nil. Otherwise it returns the stream,
// which reads on.
func (r *ranges) pass(one *stream) (*stream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		switch {
		case r.refused || len(r.parts) == 0:
			r.drop()
			r.next = r.beyond()
			one.end = r.next
			return one, nil
		case r.proven || r.parts[0].done:
			_ = one.Close() // its bytes were read
			r.own, r.head = false, false
			r.spawn()
			return nil, nil
		}
		if err := r.wait(r.parts[0]); err != nil {
			return one, err
		}
	}
}

// wait waits for news of a part. The caller holds mu, and wait releases mu while it waits.
func (r *ranges) wait(p *part) error {
	r.mu.Unlock()
	defer r.mu.Lock()
	select {
	case <-p.news:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// read delivers the next bytes of the parts. If there are no parts, it returns 0 and no error.
func (r *ranges) read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.parts) > 0 {
		p := r.parts[0]
		switch {
		case p.given < p.n:
			n := copy(b, p.buf[p.given:p.n])
			p.given += n
			r.adjust(time.Now(), false)
			return n, nil
		case errors.Is(p.err, errNoRange):
			r.drop()
			r.next = r.want.Blob.Size
		case p.err != nil:
			return 0, p.err
		case p.done:
			r.parts = r.parts[1:]
			r.by.Room.Give(p.buf)
			r.adjust(time.Now(), false)
		default:
			if err := r.wait(p); err != nil {
				return 0, err
			}
		}
	}
	return 0, nil
}

// alone opens a single stream that reads on at byte at. It is used when there are no parts.
func (r *ranges) alone(at int64) (*stream, error) {
	r.mu.Lock()
	r.next = r.beyond()
	r.own, r.head = true, true
	s := r.by.stream(r.life, r.want, at, r.next)
	r.mu.Unlock()
	return s, s.open()
}

// beyond returns the offset at which a single stream after all parts should end. If parts are
// wanted but nothing is free for them, the stream is short, so that parts can follow soon. The
// caller holds mu.
func (r *ranges) beyond() int64 {
	if r.width == 1 || r.refused {
		return r.want.Blob.Size
	}
	return min(r.next+2*probeSize, r.want.Blob.Size)
}

// drop gives up all parts that are not delivered. The caller holds mu, and drop releases mu while
// it waits for the parts to end.
func (r *ranges) drop() {
	if len(r.parts) == 0 {
		return
	}
	r.refused = true
	r.cancel()
	r.mu.Unlock()
	r.wg.Wait()
	r.mu.Lock()
	for _, p := range r.parts {
		r.by.Room.Give(p.buf)
	}
	r.parts = nil
}

// close stops all connections and waits for them.
func (r *ranges) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop()
	r.cancel()
}
