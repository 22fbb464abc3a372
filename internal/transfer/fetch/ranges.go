package fetch

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	partSize  = 3 << 20   // bytes that one connection of several brings at a time
	probeSize = 8 << 20   // bytes at the beginning of a large blob, from which the speed of one connection is told
	worthWide = 32 << 20  // bytes from which on several connections are thought of
	maxWidth  = 21        // connections for one blob
	tooFast   = 256 << 20 // bytes/s of one connection, above which it is never what holds things up
	watchFor  = 50 * time.Millisecond
	holdFor   = time.Second // before a width is tried that did not pay
	knownFor  = time.Minute // how long a path is believed to be as it was
)

// ranges reads one blob over several connections at once and puts the parts back
// in order. It begins with one connection. When that is what is waited for, a
// second one is asked for a part, and only what it answers proves that the source
// gives ranges. Then there are more, as long as more come faster.
//
// A part is asked for as a closed range, is held in memory of Options.Ahead until
// the bytes before it are delivered, and goes on by itself where it broke. Each
// but one takes a place of Options.Blobs, and only one that nobody else wants.
type ranges struct {
	by     *Fetcher
	want   Want
	life   context.Context // of the download
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	parts   []*part // in order; the first is delivered next
	first   int64   // bytes that the one stream begins with
	next    int64   // where the part after them begins
	width   int     // connections that may be read from at once
	before  int     // width, before it was made larger
	busy    int     // parts that are being read
	cold    int     // of those, without a byte so far
	own     bool    // the place of the download itself is in use
	head    bool    // by the one stream
	proven  bool
	refused bool // the source gives no ranges

	got    int64         // bytes that came, over all connections
	begun  time.Time     // when the first came
	waited time.Duration // for the one stream, since
	since  time.Time     // when this width began to be measured
	base   int64         // got, then
	last   float64       // bytes/s at the width before
	hold   time.Time     // no wider until then
}

// part is a range on its way. Its fields are guarded by ranges.mu, but for the
// bytes of buf behind n, which are its reader's.
type part struct {
	at    int64
	buf   []byte
	n     int // bytes that came
	given int // bytes that were delivered
	done  bool
	err   error
	own   bool
	news  chan struct{}
}

// newRanges reads a blob from a byte on, over width connections at first.
func newRanges(ctx context.Context, by *Fetcher, w Want, at int64, width int) *ranges {
	r := &ranges{by: by, want: w, life: ctx, width: max(width, 1), before: max(width, 1), own: true, head: true, first: probeSize}
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

// timed reads from the one stream and takes the time.
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
	r.look(now, one.at == one.end)
	return n, err
}

// look decides how many connections there should be, and sees to it. mu is held.
func (r *ranges) look(now time.Time, over bool) {
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

// decide tells from the one stream whether more would help: whether it is slow,
// and what is waited for. over means that the probe has come to its end.
func (r *ranges) decide(now time.Time, over bool) {
	took := now.Sub(r.begun)
	if !r.head || took < watchFor && !over {
		return
	}
	rate := float64(r.got) / max(took, time.Millisecond).Seconds()
	if r.waited < took*4/5 || rate > tooFast {
		r.next = r.want.Blob.Size // the stream reads on, alone
		r.by.paths.learn(r.want.path(), 1)
		return
	}
	r.last, r.before, r.width = rate, 1, 2
}

// grow measures what the width brings. It makes it larger while that pays, and
// takes back what did not.
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

// spawn begins as many parts as there may be. mu is held.
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
		r.came(p, 0)
	}
	for at := 0; err == nil; {
		var n int
		n, err = s.Read(p.buf[at:])
		at += n
		r.came(p, n)
	}
	s.Close()
	if err == io.EOF {
		err = nil
	}
	r.ended(p, err)
}

// ended gives back the place of a part.
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
	r.look(time.Now(), false)
}

// came notes bytes of a part; none that its answer began where it was asked to.
func (r *ranges) came(p *part, n int) {
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

// pass goes on behind the end of the one stream: with the parts, where there are
// some and the source gives them, else with the stream, which it returns then.
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
			one.Close()
			r.own, r.head = false, false
			r.spawn()
			return nil, nil
		}
		if err := r.wait(r.parts[0]); err != nil {
			return one, err
		}
	}
}

// wait waits for news of a part. mu is held, and not while it waits.
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

// read delivers the next bytes of the parts; none at all when there are no parts.
func (r *ranges) read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.parts) > 0 {
		p := r.parts[0]
		switch {
		case p.given < p.n:
			n := copy(b, p.buf[p.given:p.n])
			p.given += n
			r.look(time.Now(), false)
			return n, nil
		case errors.Is(p.err, errNoRange):
			r.drop()
			r.next = r.want.Blob.Size
		case p.err != nil:
			return 0, p.err
		case p.done:
			r.parts = r.parts[1:]
			r.by.Room.Give(p.buf)
			r.look(time.Now(), false)
		default:
			if err := r.wait(p); err != nil {
				return 0, err
			}
		}
	}
	return 0, nil
}

// alone is the stream that reads on at a byte where there are no parts.
func (r *ranges) alone(at int64) (*stream, error) {
	r.mu.Lock()
	r.next = r.beyond()
	r.own, r.head = true, true
	s := r.by.stream(r.life, r.want, at, r.next)
	r.mu.Unlock()
	return s, s.open()
}

// beyond is where the one stream should end that reads on behind all parts: soon,
// where parts are wanted and nothing is free for them. mu is held.
func (r *ranges) beyond() int64 {
	if r.width == 1 || r.refused {
		return r.want.Blob.Size
	}
	return min(r.next+2*probeSize, r.want.Blob.Size)
}

// drop gives up all parts that were not delivered. mu is held, and not while they end.
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

// close ends all that runs.
func (r *ranges) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop()
	r.cancel()
}
