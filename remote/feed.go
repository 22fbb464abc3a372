package remote

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ledger"
	"github.com/drayage/dray/oci"
)

const (
	heldBack  = 64 << 10         // bytes at the end of a blob that stay here until its digest matches
	markEvery = ledger.MarkEvery // bytes between the places that an upload can go back to
)

// feed reads a blob's source into upload requests. It can go back: to the last
// mark before a byte, from where the source is read again. The last bytes leave
// only when the whole blob matched, so no registry can close an upload of others.
//
// One piece is read at a time; the next begins after the last one's Close.
type feed struct {
	d     oci.Descriptor
	open  oci.Opener
	check *oci.Verifier  // stands where src stands
	marks []oci.Mark     // by rising byte; those ahead of check are of an earlier process
	keep  func(oci.Mark) // is told each new mark before the bytes behind it leave; nil for nobody
	src   io.ReadCloser
	start func(at int64) (io.ReadCloser, error) // opens the source within its life
	stop  context.CancelFunc                    // ends that life; nil when there is none
	tail  []byte                                // the last bytes of the blob, once they are proved; else nil
	max   int64                                 // the furthest byte that was handed out
	sent  int64                                 // bytes handed out, all in all
	err   error                                 // what ended the source, or proved it wrong
}

func newFeed(d oci.Descriptor, v *oci.Verifier, open oci.Opener) *feed {
	return &feed{d: d, open: open, check: v}
}

// held is where the bytes begin that are held back.
func (f *feed) held() int64 { return max(0, f.d.Size-heldBack) }

// proved reports whether what was read matches.
func (f *feed) proved() bool { return f.tail != nil }

// read fills p with bytes from at on.
func (f *feed) read(p []byte, at int64) (int, error) {
	if at >= f.held() {
		if !f.proved() {
			if err := f.prove(); err != nil {
				return 0, err
			}
		}
		return copy(p, f.tail[at-f.held():]), nil
	}
	if err := f.seek(at); err != nil {
		return 0, err
	}
	p = p[:min(int64(len(p)), f.held()-at)]
	return f.take(p)
}

// prove reads to the end and compares.
func (f *feed) prove() error {
	if err := f.seek(f.held()); err != nil {
		return err
	}
	tail := make([]byte, f.d.Size-f.held())
	for n := 0; n < len(tail); {
		m, err := f.take(tail[n:])
		if err != nil {
			return err
		}
		n += m
	}
	if f.src != nil {
		var more [1]byte
		if n, _ := io.ReadFull(f.src, more[:]); n > 0 {
			return &fault.Fault{Kind: fault.Corrupt, Op: "verify", Name: string(f.d.Digest), Err: fmt.Errorf("longer than its %d bytes", f.d.Size)}
		}
	}
	if err := f.check.Verify(); err != nil {
		return err
	}
	f.tail = tail
	return nil
}

// take reads the next bytes of the source through the verifier, up to the next mark.
func (f *feed) take(p []byte) (int, error) {
	next := int64(markEvery)
	if len(f.marks) > 0 {
		next += f.marks[len(f.marks)-1].At
	}
	p = p[:min(int64(len(p)), next-f.check.At())]
	n, err := f.src.Read(p)
	if n > 0 {
		if _, err := f.check.Write(p[:n]); err != nil {
			return 0, err
		}
		if f.check.At() == next {
			return n, f.mark()
		}
		return n, nil
	}
	if err == io.EOF {
		err = &fault.Fault{Kind: fault.Corrupt, Op: "verify", Name: string(f.d.Digest), Err: fmt.Errorf("%d of %d bytes", f.check.At(), f.d.Size)}
	}
	return 0, err
}

// mark remembers this byte as one to go back to.
func (f *feed) mark() error {
	m, err := f.check.Mark()
	if err != nil {
		return err
	}
	f.marks = append(f.marks, m)
	if f.keep != nil {
		f.keep(m)
	}
	return nil
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
	f.marks = marks
}

// ready has the source stand where bytes from at on are read next.
func (f *feed) ready(at int64) error {
	if f.proved() && at >= f.held() {
		return nil
	}
	return f.seek(min(at, f.held()))
}

// seek brings source and verifier to byte at: to the last mark before it where
// that saves reading, and on by reading.
func (f *feed) seek(at int64) error {
	before := len(f.marks)
	for before > 0 && f.marks[before-1].At > at {
		before--
	}
	switch {
	case before > 0 && (f.check.At() > at || f.check.At() < f.marks[before-1].At):
		f.drop()
		if err := f.check.Return(f.marks[before-1]); err != nil {
			return err
		}
		f.marks = f.marks[:before]
	case f.check.At() > at:
		f.drop()
		f.check.Reset()
		f.marks = nil
	}
	if f.src == nil && (f.check.At() < f.d.Size || f.d.Size == 0) {
		src, err := f.start(f.check.At())
		if err != nil {
			return err
		}
		f.src = src
	}
	buf := make([]byte, min(64<<10, at-f.check.At()))
	for f.check.At() < at {
		if _, err := f.take(buf[:min(int64(len(buf)), at-f.check.At())]); err != nil {
			return err
		}
	}
	return nil
}

// drop lets the source go. What was proved of it counts no more.
func (f *feed) drop() {
	f.tail = nil
	if f.src != nil {
		f.src.Close()
		f.src = nil
	}
}

// begin makes sure that there is a life for the source to be opened in: as
// long as ctx, or until stop.
func (f *feed) begin(ctx context.Context) {
	if f.stop != nil {
		return
	}
	life, stop := context.WithCancel(ctx)
	f.stop = stop
	f.start = func(at int64) (io.ReadCloser, error) { return f.open(life, at) }
}

// close ends the source and its context.
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
	defer context.AfterFunc(request, f.stop)()
	n, err := f.read(p, at)
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
