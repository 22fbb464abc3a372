package fetch

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

const (
	maxGap = 16 << 20 // most bytes to read again in order to keep using an open download
	// gapTimeout is how long it may take to open the connection for those bytes: 5 s. The open
	// download holds a connection that the source may need to serve them.
	gapTimeout = 5 * time.Second
	// readGrace is how long a read may go on after its context has ended: 1 s.
	readGrace = time.Second
)

// Reading opens one blob of the source for one Put. If the upload breaks and the target goes back
// a little, only those bytes are read again. The rest comes from the open download, with all
// bytes that are in memory or on their way.
type Reading struct {
	ctx  context.Context // context of the Put
	by   *Fetcher
	want Want

	mu   sync.Mutex
	left *pass // the download that the target closed before its end
}

// Once returns a Reading of w for one Put, whose context is ctx.
func (f *Fetcher) Once(ctx context.Context, w Want) *Reading {
	return &Reading{ctx: ctx, by: f, want: w}
}

// Open has the signature of an oci.Opener.
func (r *Reading) Open(ctx context.Context, at int64) (io.ReadCloser, error) {
	if p := r.take(); p != nil {
		if p.again(ctx, at) {
			return p, nil
		}
		_ = p.end()
	}
	life, cancel := context.WithCancel(r.ctx)
	p := &pass{Reading: r, life: life, cancel: cancel}
	begun := context.AfterFunc(ctx, cancel)
	var err error
	if p.d, err = r.by.Begin(life, r.want, at); err != nil {
		cancel()
		return nil, err
	}
	if !begun() {
		_ = p.end()
		return nil, context.Cause(ctx)
	}
	p.d.Tell(event.Started)
	p.watch(ctx)
	return p, nil
}

func (r *Reading) take() *pass {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.left
	r.left = nil
	return p
}

// Close closes the download if it is still open.
func (r *Reading) Close() {
	if p := r.take(); p != nil {
		_ = p.end()
	}
}

// pass is a download that the target reads, possibly after it closed the download and came back.
type pass struct {
	*Reading
	life     context.Context // context of d
	cancel   context.CancelFunc
	d        *Download
	broken   bool
	gap      *stream // reads once more the bytes before d that the target asked for again; nil if there are none
	closeGap func()  // closes gap
	closed   chan struct{}
	unwatch  func() bool
}

// again prepares the download to be read from byte at on. It returns false if a new download is
// better.
func (p *pass) again(ctx context.Context, at int64) bool {
	if at > p.d.at || p.d.at-at > maxGap {
		return false
	}
	if at < p.d.at && !p.openGap(ctx, at) {
		return false
	}
	p.want.tell(event.Event{
		Kind:   event.Started,
		Name:   p.want.Name,
		Digest: string(p.want.Blob.Digest),
		Done:   at,
		Total:  p.want.Blob.Size,
	})
	p.watch(ctx)
	return true
}

func (p *pass) openGap(ctx context.Context, at int64) bool {
	life, cancel := context.WithCancel(p.life)
	follow := context.AfterFunc(ctx, cancel)
	tooLong := time.AfterFunc(gapTimeout, cancel)
	s := p.by.stream(life, p.want, at, p.d.at)
	p.gap, p.closeGap = s, func() {
		follow()
		_ = s.Close()
		cancel()
		p.gap = nil
	}
	if err := s.reopen(); err != nil || !tooLong.Stop() {
		p.closeGap()
		return false
	}
	return true
}

// watch cancels the download if a read still runs lastRead after the end of ctx. A read that ends
// sooner loses no bytes.
func (p *pass) watch(ctx context.Context) {
	closed := make(chan struct{})
	p.closed = closed
	p.unwatch = context.AfterFunc(ctx, func() {
		select {
		case <-closed:
		case <-time.After(readGrace):
			p.cancel()
		}
	})
}

func (p *pass) Read(b []byte) (int, error) {
	if p.gap != nil {
		n, err := p.gap.Read(b)
		if n > 0 {
			return n, nil
		}
		if err != io.EOF {
			return 0, fault.On(fault.Source, err)
		}
		p.closeGap()
	}
	n, err := p.d.Read(b)
	p.broken = err != nil
	return n, err
}

// Close keeps the download open if the target may come back for the rest of it.
func (p *pass) Close() error {
	if p.unwatch == nil {
		return nil
	}
	p.unwatch()
	p.unwatch = nil
	close(p.closed)
	if p.gap != nil {
		p.closeGap()
	}
	if p.broken || p.life.Err() != nil || p.d.at == p.want.Blob.Size {
		return p.end()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = p
	return nil
}

// end closes the download for good.
func (p *pass) end() error {
	err := p.d.Close()
	p.cancel()
	return err
}
