package remote

import (
	"context"
	"io"
	"sync"

	"github.com/drayage/dray/oci"
)

// feed reads a blob's source into upload requests. It can go back: to the last
// mark before a byte, from where the source is read again. The last bytes leave
// only when the whole blob matched, so no registry can close an upload of others.
//
// One piece is read at a time; the next begins after the last one's Close.
type feed struct {
	sums  // src's while there is one, and then ahead of at, perhaps
	open  oci.Opener
	ahead *readers   // who may read ahead; nil for nobody
	marks []oci.Mark // by rising byte; those ahead of at are of an earlier process
	src   source     // nil while none is open
	at    int64      // the next byte of src
	life  context.Context
	stop  context.CancelFunc // ends life; nil when there is none
	tail  []byte             // the last bytes of the blob, once they are proved; else nil
	max   int64              // the furthest byte that was handed out
	sent  int64              // bytes handed out, all in all
	err   error              // what ended the source, or proved it wrong
}

func newFeed(d oci.Descriptor, v *oci.Verifier, open oci.Opener, ahead *readers) *feed {
	return &feed{sums: sums{d: d, check: v}, open: open, ahead: ahead}
}

// held is where the bytes begin that are held back.
func (f *feed) held() int64 { return max(0, f.d.Size-heldBack) }

// proved reports whether what was read matches.
func (f *feed) proved() bool { return f.tail != nil }

// read fills p with bytes from at on.
func (f *feed) read(request context.Context, p []byte, at int64) (int, error) {
	if at >= f.held() {
		if !f.proved() {
			if err := f.prove(request); err != nil {
				return 0, err
			}
		}
		return copy(p, f.tail[at-f.held():]), nil
	}
	if err := f.seek(request, at); err != nil {
		return 0, err
	}
	return f.take(request, p[:min(int64(len(p)), f.held()-at)])
}

// prove reads to the end and compares.
func (f *feed) prove(request context.Context) error {
	if err := f.seek(request, f.held()); err != nil {
		return err
	}
	tail := make([]byte, f.d.Size-f.held())
	for n := 0; n < len(tail); {
		m, err := f.take(request, tail[n:])
		if err != nil {
			return err
		}
		n += m
	}
	if f.src != nil {
		if err := f.src.over(request); err != nil {
			return err
		}
	}
	if err := f.check.Verify(); err != nil {
		return err
	}
	f.tail = tail
	return nil
}

// take reads the next bytes of the source, which are hashed then.
func (f *feed) take(request context.Context, p []byte) (int, error) {
	n, mark, err := f.src.take(request, p)
	f.at += int64(n)
	if mark != nil {
		f.marks = append(f.before(mark.At), *mark)
	}
	return n, err
}

// before are the marks at bytes before at.
func (f *feed) before(at int64) []oci.Mark {
	n := len(f.marks)
	for n > 0 && f.marks[n-1].At >= at {
		n--
	}
	return f.marks[:n]
}

// recall takes marks of an earlier process for this one's, unless they are of another make.
func (f *feed) recall(marks []oci.Mark) {
	for i, m := range marks {
		if m.At != int64(i+1)*markEvery || f.check.Return(m) != nil {
			marks = nil
			break
		}
	}
	f.check.Reset()
	f.marks, f.at = marks, 0
}

// ready has the source stand where bytes from at on are read next.
func (f *feed) ready(life context.Context, at int64) error {
	if f.proved() && at >= f.held() {
		return nil
	}
	return f.seek(life, min(at, f.held()))
}

// seek brings the source to byte at: to the last mark before it where that saves
// reading, and on by reading.
func (f *feed) seek(request context.Context, at int64) error {
	marks, last := f.before(at+1), int64(0)
	if len(marks) > 0 {
		last = marks[len(marks)-1].At
	}
	if f.at > at || f.at < last || f.src == nil && f.check.At() != f.at {
		f.drop()
		f.check.Reset()
		if len(marks) > 0 {
			if err := f.check.Return(marks[len(marks)-1]); err != nil {
				return err
			}
		}
		f.marks, f.at = marks, last
	}
	if f.src == nil && (f.at < f.d.Size || f.d.Size == 0) {
		if err := f.start(); err != nil {
			return err
		}
	}
	buf := make([]byte, min(64<<10, at-f.at))
	for f.at < at {
		if _, err := f.take(request, buf[:min(int64(len(buf)), at-f.at)]); err != nil {
			return err
		}
	}
	return nil
}

// start opens the source, for a life of its own within that of the feed.
func (f *feed) start() error {
	life, stop := context.WithCancel(f.life)
	src, err := f.open(life, f.at)
	if err != nil {
		stop()
		return err
	}
	f.src = f.ahead.begin(life, stop, &f.sums, src)
	return nil
}

// drop lets the source go. What was proved of it counts no more.
func (f *feed) drop() {
	f.tail = nil
	if f.src != nil {
		f.src.close()
		f.src = nil
	}
}

// begin makes sure that there is a life for the source to be opened in: as
// long as ctx, or until stop.
func (f *feed) begin(ctx context.Context) {
	if f.stop == nil {
		f.life, f.stop = context.WithCancel(ctx)
	}
}

// close ends the source and its context. The next begin and seek start at the last mark.
func (f *feed) close() {
	f.drop()
	if f.stop != nil {
		f.stop()
		f.stop = nil
	}
}

// piece is a part of the blob as the body of one request.
type piece struct {
	fill    func(p []byte, at int64) (int, error)
	at, end int64
	closed  chan struct{}
	once    sync.Once
}

// piece begins a body of bytes at to end. life is that of the whole upload,
// request that of the one exchange.
func (f *feed) piece(life, request context.Context, at, end int64) *piece {
	return &piece{at: at, end: end, closed: make(chan struct{}), fill: func(p []byte, at int64) (int, error) {
		return f.fill(life, request, p, at)
	}}
}

// fill is read for one request: a source that is waited for ends with it.
func (f *feed) fill(life, request context.Context, p []byte, at int64) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	f.begin(life)
	n, err := f.read(request, p, at)
	f.sent += int64(n)
	f.max = max(f.max, at+int64(n))
	switch {
	case err == nil:
	case request.Err() == nil:
		f.err = err // the source's own error; it is not the registry's to answer for
	default:
		f.close()
	}
	return n, err
}

func (p *piece) Read(buf []byte) (int, error) {
	if p.at >= p.end {
		return 0, io.EOF
	}
	n, err := p.fill(buf[:min(int64(len(buf)), p.end-p.at)], p.at)
	p.at += int64(n)
	return n, err
}

// Close tells the upload that nobody reads this piece any more.
func (p *piece) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}
