package feed

import (
	"context"
	"io"
	"sync"

	"github.com/drayage/dray/oci"
)

// Feed provides the bytes of a blob's source to upload requests. It can return to an earlier
// offset: it goes back to the last mark before that offset and reads the source again from there.
// It releases the last bytes only after the whole blob has been verified, so that no registry can
// complete an upload of other bytes.
//
// Only one Piece is read at a time. The next one begins after the previous one was closed.
type Feed struct {
	sums  // belongs to src while a source is open, and may then be ahead of at
	open  oci.Opener
	ahead *Readers // the limit for reading ahead; nil never reads ahead
	// marks is sorted by offset. Marks beyond at come from an earlier process.
	marks []oci.Mark
	src   source             // nil while no source is open
	at    int64              // the next offset of src
	life  context.Context    // bounds the source, and lasts longer than one request
	Stop  context.CancelFunc // ends life; nil if there is none
	tail  []byte             // the last bytes of the blob once the blob is verified, else nil
	Max   int64              // the offset after the last byte that was handed out
	Sent  int64              // bytes handed out in total, including repeats
	Err   error              // the error that ended the source, or a mismatch of its bytes
}

// New returns a Feed of the blob d that open yields. v verifies the bytes.
func New(d oci.Descriptor, v *oci.Verifier, open oci.Opener, ahead *Readers) *Feed {
	return &Feed{sums: sums{d: d, check: v}, open: open, ahead: ahead}
}

// held returns the offset at which the bytes begin that are held back until the blob is verified.
func (f *Feed) held() int64 { return max(0, f.d.Size-heldBack) }

// Proved reports whether the whole blob was read and its digest and size match.
func (f *Feed) Proved() bool { return f.tail != nil }

// read fills p with bytes from offset at on.
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

// Prove reads to the end of the source and verifies the digest and the size.
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

// take reads the next bytes of the source. They are hashed when they are read.
func (f *Feed) take(request context.Context, p []byte) (int, error) {
	n, mark, err := f.src.take(request, p)
	f.at += int64(n)
	if mark != nil {
		f.marks = append(f.before(mark.At), *mark)
	}
	return n, err
}

// before returns the marks at offsets less than at.
func (f *Feed) before(at int64) []oci.Mark {
	n := len(f.marks)
	for n > 0 && f.marks[n-1].At >= at {
		n--
	}
	return f.marks[:n]
}

// Recall adopts the marks that an earlier process recorded. It ignores them if they have another
// spacing or cannot be restored.
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

// Ready positions the source so that the bytes from offset at on are read next.
func (f *Feed) Ready(life context.Context, at int64) error {
	if f.Proved() && at >= f.held() {
		return nil
	}
	return f.seek(life, min(at, f.held()))
}

// seek positions the source at offset at. It goes to the last mark before at if that saves reading,
// and reads the bytes from there to at.
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

// start opens the source at f.at, with a context of its own within f.life.
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

// drop closes the source and discards the result of its verification.
func (f *Feed) drop() {
	f.tail = nil
	if f.src != nil {
		f.src.close()
		f.src = nil
	}
}

// Begin ensures that there is a context for opening the source. It lasts until ctx ends or Stop is
// called.
func (f *Feed) Begin(ctx context.Context) {
	if f.Stop == nil {
		f.life, f.Stop = context.WithCancel(ctx)
	}
}

// Close ends the source and its context. Reading can start again from the last mark.
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

// Piece returns a body of the bytes from offset at to end. life is the context of the whole upload,
// and request that of the one exchange.
func (f *Feed) Piece(life, request context.Context, at, end int64) *Piece {
	return &Piece{at: at, end: end, Closed: make(chan struct{}), fill: func(p []byte, at int64) (int, error) {
		return f.fill(life, request, p, at)
	}}
}

// fill reads bytes for one request. If the request ends while the source is waited for, the source
// ends, too.
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
		f.Err = err // an error of the source; the registry did not cause it
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

// Close tells the upload that this piece is no longer read.
func (p *Piece) Close() error {
	p.once.Do(func() { close(p.Closed) })
	return nil
}
