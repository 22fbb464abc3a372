package feed

import (
	"context"
	"io"
	"sync"

	"github.com/drayage/dray/oci"
)

// Feed reads a blob's source into upload requests. It can go back: to the last
// mark before a byte, from where the source is read again. The last bytes leave
// only when the whole blob matched, so no registry can close an upload of others.
//
// One piece is read at a time; the next begins after the last one's Close.
type Feed struct {
	sums  // src's while there is one, and then ahead of at, perhaps
	open  oci.Opener
	ahead *Readers   // who may read ahead; nil for nobody
	marks []oci.Mark // by rising byte; those ahead of at are of an earlier process
	src   source     // nil while none is open
	at    int64      // the next byte of src
	life  context.Context
	Stop  context.CancelFunc // ends life; nil when there is none
	tail  []byte             // the last bytes of the blob, once they are proved; else nil
	Max   int64              // the furthest byte that was handed out
	Sent  int64              // bytes handed out, all in all
	Err   error              // what ended the source, or proved it wrong
}

// New feeds what open yields of d, held against d by v.
func New(d oci.Descriptor, v *oci.Verifier, open oci.Opener, ahead *Readers) *Feed {
	return &Feed{sums: sums{d: d, check: v}, open: open, ahead: ahead}
}

// held is where the bytes begin that are held back.
func (f *Feed) held() int64 { return max(0, f.d.Size-heldBack) }

// Proved reports whether what was read matches.
func (f *Feed) Proved() bool { return f.tail != nil }

// read fills p with bytes from at on.
func (f *Feed) read(request context.Context, p []byte, at int64) (int, error) {
	if at >= f.held() {
		if !f.Proved() {
			if err := f.Prove(request); err != nil {
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

// Prove reads to the end and compares.
func (f *Feed) Prove(request context.Context) error {
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
func (f *Feed) take(request context.Context, p []byte) (int, error) {
	n, mark, err := f.src.take(request, p)
	f.at += int64(n)
	if mark != nil {
		f.marks = append(f.before(mark.At), *mark)
	}
	return n, err
}

// before are the marks at bytes before at.
func (f *Feed) before(at int64) []oci.Mark {
	n := len(f.marks)
	for n > 0 && f.marks[n-1].At >= at {
		n--
	}
	return f.marks[:n]
}

// Recall takes marks of an earlier process for this one's, unless they are of another make.
func (f *Feed) Recall(marks []oci.Mark) {
	for i, m := range marks {
		if m.At != int64(i+1)*markEvery || f.check.Return(m) != nil {
			marks = nil
			break
		}
	}
	f.check.Reset()
	f.marks, f.at = marks, 0
}

// Ready has the source stand where bytes from at on are read next.
func (f *Feed) Ready(life context.Context, at int64) error {
	if f.Proved() && at >= f.held() {
		return nil
	}
	return f.seek(life, min(at, f.held()))
}

// seek brings the source to byte at: to the last mark before it where that saves
// reading, and on by reading.
func (f *Feed) seek(request context.Context, at int64) error {
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
func (f *Feed) start() error {
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
func (f *Feed) drop() {
	f.tail = nil
	if f.src != nil {
		f.src.close()
		f.src = nil
	}
}

// Begin makes sure that there is a life for the source to be opened in: as
// long as ctx, or until stop.
func (f *Feed) Begin(ctx context.Context) {
	if f.Stop == nil {
		f.life, f.Stop = context.WithCancel(ctx)
	}
}

// Close ends the source and its context. The next begin and seek start at the last mark.
func (f *Feed) Close() {
	f.drop()
	if f.Stop != nil {
		f.Stop()
		f.Stop = nil
	}
}

// Piece is a part of the blob as the body of one request.
type Piece struct {
	fill    func(p []byte, at int64) (int, error)
	at, end int64
	Closed  chan struct{}
	once    sync.Once
}

// Piece begins a body of bytes at to end. life is that of the whole upload,
// request that of the one exchange.
func (f *Feed) Piece(life, request context.Context, at, end int64) *Piece {
	return &Piece{at: at, end: end, Closed: make(chan struct{}), fill: func(p []byte, at int64) (int, error) {
		return f.fill(life, request, p, at)
	}}
}

// fill is read for one request: a source that is waited for ends with it.
func (f *Feed) fill(life, request context.Context, p []byte, at int64) (int, error) {
	if f.Err != nil {
		return 0, f.Err
	}
	f.Begin(life)
	n, err := f.read(request, p, at)
	f.Sent += int64(n)
	f.Max = max(f.Max, at+int64(n))
	switch {
	case err == nil:
	case request.Err() == nil:
		f.Err = err // the source's own error; it is not the registry's to answer for
	default:
		f.Close()
	}
	return n, err
}

// Read implements io.Reader.
func (p *Piece) Read(buf []byte) (int, error) {
	if p.at >= p.end {
		return 0, io.EOF
	}
	n, err := p.fill(buf[:min(int64(len(buf)), p.end-p.at)], p.at)
	p.at += int64(n)
	return n, err
}

// Close tells the upload that nobody reads this piece any more.
func (p *Piece) Close() error {
	p.once.Do(func() { close(p.Closed) })
	return nil
}
