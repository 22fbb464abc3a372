package feed

import (
	"context"
	"io"
	"sync"

	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/oci"
)

const (
	// worthAhead is the size in bytes from which a blob is read ahead: 1 MiB. Below,
	// two goroutines cost more than they bring.
	worthAhead = 1 << 20

	slabSize = 256 << 10 // bytes of one slab
	slabs    = 4         // of one blob: one is read into, one hashed, one waits, one is sent
)

// source yields a blob's bytes from one byte on, hashed. Only one goroutine uses it at a time.
type source interface {
	// take fills p with the next bytes. Where these end at a place to go back to, it
	// yields that, too. It waits no longer than request.
	take(request context.Context, p []byte) (n int, mark *oci.Mark, err error)

	// over returns nil when all came and nothing more does. Then the verifier is the caller's.
	over(request context.Context) error

	// close ends it. Then the verifier is the caller's.
	close()
}

// direct reads and hashes when it is asked to.
type direct struct {
	sums *sums
	src  io.ReadCloser
	stop context.CancelFunc
}

func (s *direct) take(request context.Context, p []byte) (int, *oci.Mark, error) {
	defer context.AfterFunc(request, s.stop)()
	p = p[:min(int64(len(p)), toMark(s.sums.check.At()))]
	n, err := s.src.Read(p)
	if n == 0 {
		return 0, nil, s.sums.short(err, s.sums.check.At())
	}
	mark, err := s.sums.hash(p[:n])
	return n, mark, err
}

func (s *direct) over(request context.Context) error {
	defer context.AfterFunc(request, s.stop)()
	return s.sums.noMore(s.src)
}

func (s *direct) close() {
	s.stop()
	s.src.Close()
}

// ahead reads and hashes on goroutines of its own, while what they got before is
// sent. The memory is that of its slabs, which go round.
type ahead struct {
	sums  *sums
	at    int64 // the next byte that take gives
	src   io.ReadCloser
	stop  context.CancelFunc // of the source's life, and so of what is read
	done  <-chan struct{}    // closed by stop
	free  chan *slab
	read  chan *slab
	ready chan *slab
	now   *slab // what take is in
	used  int   // bytes of it
	err   error // what came after the last byte
	wg    sync.WaitGroup
	back  func() // gives the place back
}

// slab is some bytes on their way, and what follows them.
type slab struct {
	buf  [slabSize]byte
	n    int
	mark *oci.Mark
	err  error
}

// Readers are those who read ahead, and their slabs: as many as there are cores,
// because with more blobs than that under way the cores have enough to do without.
type Readers struct {
	places limit.Gate
	pool   sync.Pool
}

// NewReaders lets n blobs be read ahead.
func NewReaders(n int) *Readers { return &Readers{places: make(limit.Gate, n)} }

// begin has src read and summed up: ahead, where that is worth it and a place is free.
func (b *Readers) begin(life context.Context, stop context.CancelFunc, s *sums, src io.ReadCloser) source {
	at := s.check.At()
	if b == nil || s.d.Size-at < worthAhead {
		return &direct{sums: s, src: src, stop: stop}
	}
	select {
	case b.places <- struct{}{}:
	default:
		return &direct{sums: s, src: src, stop: stop}
	}
	a := &ahead{sums: s, at: at, src: src, stop: stop, done: life.Done(), free: make(chan *slab, slabs), read: make(chan *slab), ready: make(chan *slab, slabs)}
	for range slabs {
		s, ok := b.pool.Get().(*slab)
		if !ok {
			s = new(slab)
		}
		a.free <- s
	}
	a.back = func() {
		for _, s := range []chan *slab{a.free, a.ready} {
			for len(s) > 0 {
				b.pool.Put(<-s)
			}
		}
		if a.now != nil {
			b.pool.Put(a.now)
			a.now = nil
		}
		b.places.Leave()
	}
	a.wg.Go(a.reading)
	a.wg.Go(a.hashing)
	return a
}

// reading fills slabs. One goes on as soon as the hash waits for it, and is filled
// further while it does not: a slow source is not waited for, a fast one moves in large pieces.
func (a *ahead) reading() {
	defer close(a.read)
	for at := a.sums.check.At(); ; {
		var s *slab
		select {
		case s = <-a.free:
		case <-a.done:
			return
		}
		s.n, s.mark, s.err = 0, nil, nil
		left := min(slabSize, a.sums.d.Size-at, toMark(at))
		for sent := false; !sent; {
			if left > 0 {
				n, err := a.src.Read(s.buf[s.n : int64(s.n)+left])
				s.n, left, at = s.n+n, left-int64(n), at+int64(n)
				if n == 0 && err != nil {
					s.err = a.sums.short(err, at)
				}
			}
			if at == a.sums.d.Size && s.err == nil {
				if s.err = a.sums.noMore(a.src); s.err == nil {
					s.err = io.EOF
				}
			}
			if left > 0 && s.err == nil {
				if s.n == 0 {
					continue
				}
				select {
				case a.read <- s:
					sent = true
				default:
				}
				continue
			}
			last := s.err != nil
			select {
			case a.read <- s:
				sent = true
			case <-a.done:
				a.free <- s
				return
			}
			if last {
				return
			}
		}
	}
}

// hashing passes on what was hashed; nothing waits here, because there is room for every slab.
func (a *ahead) hashing() {
	defer close(a.ready)
	for s := range a.read {
		if s.n > 0 {
			mark, err := a.sums.hash(s.buf[:s.n])
			if s.mark = mark; err != nil {
				s.err = err
			}
		}
		a.ready <- s
	}
}

func (a *ahead) take(request context.Context, p []byte) (n int, mark *oci.Mark, err error) {
	if err := a.next(request); err != nil {
		return 0, nil, err
	}
	n = copy(p, a.now.buf[a.used:a.now.n])
	a.at += int64(n)
	if a.used += n; a.used == a.now.n {
		mark = a.now.mark
		a.err = a.now.err
		a.free <- a.now
		a.now = nil
	}
	return n, mark, nil
}

// next has a slab with bytes in it at hand, or returns what came in place of one.
func (a *ahead) next(request context.Context) error {
	for a.now == nil {
		if a.err != nil {
			return a.sums.short(a.err, a.at)
		}
		select {
		case s, open := <-a.ready:
			switch {
			case !open:
				a.err = context.Canceled // stopped: nobody else closes it before the end is told
			case s.n == 0:
				a.err = s.err
				a.free <- s
			default:
				a.now, a.used = s, 0
			}
		case <-request.Done():
			return context.Cause(request)
		}
	}
	return nil
}

func (a *ahead) over(request context.Context) error {
	switch err := a.next(request); {
	case a.err == io.EOF:
		return nil
	case err != nil:
		return err
	}
	return a.sums.corrupt("longer than its %d bytes", a.sums.d.Size)
}

func (a *ahead) close() {
	a.stop()
	a.wg.Wait()
	a.src.Close()
	a.back()
}
