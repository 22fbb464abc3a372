package feed

import (
	"context"
	"io"
	"sync"

	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/oci"
)

const (
	// worthAhead is the size in bytes from which a blob is read ahead: 1 MiB. For smaller blobs,
	// two goroutines cost more than they gain.
	worthAhead = 1 << 20

	slabSize = 256 << 10 // bytes of one slab
	slabs    = 4         // slabs of one blob: one is read into, one hashed, one waits, one is sent
)

// source yields the bytes of a blob from some offset on, and hashes them. Only one goroutine uses
// it at a time.
type source interface {
	// take fills p with the next bytes. If they end at a mark, which is an offset that can be
	// returned to, take returns the mark, too. It stops waiting when request ends.
	take(request context.Context, p []byte) (n int, mark *oci.Mark, err error)

	// over returns nil if the source ends exactly at the blob's size. After that, the verifier
	// belongs to the caller.
	over(request context.Context) error

	// close ends the source. After that, the verifier belongs to the caller.
	close()
}

// direct is a source that reads and hashes when take is called.
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

// ahead is a source that reads and hashes on its own goroutines while earlier bytes are sent. It
// reuses a fixed set of slabs, so its memory use is bounded.
type ahead struct {
	sums  *sums
	at    int64 // the next offset that take returns
	src   io.ReadCloser
	stop  context.CancelFunc // cancels the context of the source, and so the reading
	done  <-chan struct{}    // closed by stop
	free  chan *slab
	read  chan *slab
	ready chan *slab
	now   *slab // the slab that take copies from
	used  int   // bytes of now that were copied
	err   error // the error or EOF after the last byte
	wg    sync.WaitGroup
	back  func() // returns the slabs and the place to Readers
}

// slab is a buffer of consecutive bytes, with the mark or the error that follows them.
type slab struct {
	buf  [slabSize]byte
	n    int
	mark *oci.Mark
	err  error
}

// Readers limits how many blobs are read ahead, and pools their slabs. The limit is the number of
// cores: with more blobs in progress, the cores are busy without reading ahead.
type Readers struct {
	places limit.Gate
	pool   sync.Pool
}

// NewReaders allows n blobs to be read ahead at once.
func NewReaders(n int) *Readers { return &Readers{places: make(limit.Gate, n)} }

// begin returns a source for src. It reads ahead if the rest of the blob is large enough and a
// place is free. A nil Readers never reads ahead.
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
	a := &ahead{
		sums:  s,
		at:    at,
		src:   src,
		stop:  stop,
		done:  life.Done(),
		free:  make(chan *slab, slabs),
		read:  make(chan *slab),
		ready: make(chan *slab, slabs),
	}
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

// reading fills slabs from the source. It passes a slab on as soon as hashing is ready for it, and
// keeps filling the slab until then. So a slow source causes no delay, and a fast one is moved in
// large pieces.
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

// hashing hashes the slabs and passes them on. Sending to ready never blocks, because the channel
// has room for every slab.
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

// next makes a slab with bytes available in now, or returns the error that came in place of one.
func (a *ahead) next(request context.Context) error {
	for a.now == nil {
		if a.err != nil {
			return a.sums.short(a.err, a.at)
		}
		select {
		case s, open := <-a.ready:
			switch {
			case !open:
				a.err = context.Canceled // canceled: ready is closed before the end only if the source was stopped
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
	return a.sums.corrupt("the source is longer than the blob's %d bytes", a.sums.d.Size)
}

func (a *ahead) close() {
	a.stop()
	a.wg.Wait()
	a.src.Close()
	a.back()
}
