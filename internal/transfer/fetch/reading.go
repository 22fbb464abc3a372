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
	goBack = 16 << 20 // bytes that are read again at most, to go on with what is open
	// beside is how long that may take to begin: 5 s. What is open holds a place that
	// somebody else may need to do the same.
	beside = 5 * time.Second
	// lastRead is how long a read may last that nobody waits for any more: 1 s.
	lastRead = time.Second
)

// Reading opens one blob of the source for one Put. A target that goes back a little,
// because its upload was cut, has only that little read again: the download stays open
// for the rest, with all that is in memory or on its way.
type Reading struct {
	ctx  context.Context // of the Put
	by   *Fetcher
	want Want

	mu   sync.Mutex
	left *pass // what the target let go of before its end
}

// Once reads w for one Put, of which ctx is.
func (f *Fetcher) Once(ctx context.Context, w Want) *Reading {
	return &Reading{ctx: ctx, by: f, want: w}
}

// Open is an oci.Opener.
func (r *Reading) Open(ctx context.Context, at int64) (io.ReadCloser, error) {
	if p := r.take(); p != nil {
		if p.again(ctx, at) {
			return p, nil
		}
		p.end()
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
		p.end()
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

func (r *Reading) Close() {
	if p := r.take(); p != nil {
		p.end()
	}
}

// pass is a download in the hands of a target, perhaps again.
type pass struct {
	*Reading
	life    context.Context // of d
	cancel  context.CancelFunc
	d       *Download
	broken  bool
	gap     *stream // what was let go of, and comes before d once more; nil for nothing
	closeIt func()  // ends the gap
	closed  chan struct{}
	unwatch func() bool
}

// again takes the download up once more, for bytes from at on. It is false where that
// is no use.
func (p *pass) again(ctx context.Context, at int64) bool {
	if at > p.d.at || p.d.at-at > goBack {
		return false
	}
	if at < p.d.at && !p.openGap(ctx, at) {
		return false
	}
	p.want.say(event.Event{Kind: event.Started, Name: p.want.Name, Digest: string(p.want.Blob.Digest), Done: at, Total: p.want.Blob.Size})
	p.watch(ctx)
	return true
}

func (p *pass) openGap(ctx context.Context, at int64) bool {
	life, cancel := context.WithCancel(p.life)
	follow := context.AfterFunc(ctx, cancel)
	tooLong := time.AfterFunc(beside, cancel)
	s := p.by.stream(life, p.want, at, p.d.at)
	p.gap, p.closeIt = s, func() {
		follow()
		s.Close()
		cancel()
		p.gap = nil
	}
	if err := s.reopen(); err != nil || !tooLong.Stop() {
		p.closeIt()
		return false
	}
	return true
}

// watch ends a read that goes on when ctx is over. One that ends by itself loses nothing.
func (p *pass) watch(ctx context.Context) {
	closed := make(chan struct{})
	p.closed = closed
	p.unwatch = context.AfterFunc(ctx, func() {
		select {
		case <-closed:
		case <-time.After(lastRead):
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
		p.closeIt()
	}
	n, err := p.d.Read(b)
	p.broken = err != nil
	return n, err
}

// Close leaves the download open where the target may come back for more of it.
func (p *pass) Close() error {
	if p.unwatch == nil {
		return nil
	}
	p.unwatch()
	p.unwatch = nil
	close(p.closed)
	if p.gap != nil {
		p.closeIt()
	}
	if p.broken || p.life.Err() != nil || p.d.at == p.want.Blob.Size {
		return p.end()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = p
	return nil
}

func (p *pass) end() error {
	err := p.d.Close()
	p.cancel()
	return err
}
