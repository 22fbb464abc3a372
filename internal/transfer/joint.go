package transfer

import (
	"context"
	"slices"
	"sync"

	"github.com/drayage/dray/internal/transfer/fetch"
	"github.com/drayage/dray/oci"
)

// joint moves the blobs of several Ends at different registries, and reads each blob only once.
// It starts to read a blob when all Ends that lack the blob have asked for it, and each End gets
// the same bytes. If an End fails, the others go on. An End that does not keep pace continues
// with a download of its own.
type joint struct {
	engine *Engine
	mu     sync.Mutex
	open   int // Ends that have not yet reported which blobs they lack
	ready  chan struct{}
	shares map[*mover]*share
	start  sync.Once
	wg     sync.WaitGroup
}

// share holds the blobs that one End lacks, and the state of their copies.
type share struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	blobs   []oci.Descriptor
	left    int // blobs that are not done
	done    chan struct{}
	err     error
	apart   bool // the End did not keep pace with the others
	running sync.WaitGroup
}

func (e *Engine) newJoint(ends int) *joint {
	return &joint{engine: e, open: ends, ready: make(chan struct{}), shares: map[*mover]*share{}}
}

// wait waits for every goroutine that j started. A nil joint started none.
func (j *joint) wait() {
	if j != nil {
		j.wg.Wait()
	}
}

// leave reports that m lacks no blobs, so that the other Ends do not wait for it. It may be
// called more than once, and on a nil joint.
func (j *joint) leave(m *mover) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.shares[m] != nil {
		return
	}
	j.shares[m] = &share{}
	j.reported()
}

// reported counts one more End that has reported which blobs it lacks. The caller holds j.mu.
func (j *joint) reported() {
	if j.open--; j.open == 0 {
		close(j.ready)
	}
}

// move copies the blobs that m lacks, together with those of the other Ends. It returns when m
// has all of them or has failed.
func (j *joint) move(ctx context.Context, m *mover, blobs []oci.Descriptor) error {
	if j == nil || len(blobs) == 0 {
		j.leave(m)
		return m.move(ctx, blobs)
	}
	s := &share{blobs: blobs, left: len(blobs), done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	defer s.cancel(nil)
	j.mu.Lock()
	j.shares[m] = s
	j.reported()
	j.mu.Unlock()
	select {
	case <-j.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	j.start.Do(func() { j.run(ctx) })
	<-s.done
	s.running.Wait()
	return s.err
}

// run puts all blobs, the largest first and the small ones at the same time. Each blob takes one
// place among the blobs in flight.
func (j *joint) run(ctx context.Context) {
	wantedBy := map[oci.Digest][]*mover{}
	var large, small []oci.Descriptor
	for m, s := range j.shares {
		for _, b := range s.blobs {
			if wantedBy[b.Digest] == nil && b.Size < fetch.SmallBlob {
				small = append(small, b)
			} else if wantedBy[b.Digest] == nil {
				large = append(large, b)
			}
			wantedBy[b.Digest] = append(wantedBy[b.Digest], m)
		}
	}
	slices.SortFunc(large, largestFirst)
	j.wg.Go(func() {
		all([][]oci.Descriptor{large, small}, func(blobs []oci.Descriptor) {
			_ = each(ctx, j.engine.blobs, blobs, func(ctx context.Context, _ int, b oci.Descriptor) error {
				j.putShared(ctx, b, wantedBy[b.Digest])
				return nil
			})
		})
		if ctx.Err() == nil {
			return
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		for _, s := range j.shares {
			if s.left > 0 { // some of its blobs were never begun
				j.fail(s, context.Cause(ctx))
			}
		}
	})
}

// putShared puts one blob at each End in wanted that has not failed. It returns when the Ends that
// keep pace have the blob.
func (j *joint) putShared(ctx context.Context, b oci.Descriptor, wanted []*mover) {
	lands := map[*mover]func(bool){}
	for _, m := range wanted {
		s := j.shares[m]
		j.mu.Lock()
		failed, apart := s.left == 0, s.apart
		if !failed {
			s.running.Add(1)
		}
		j.mu.Unlock()
		if failed {
			continue
		}
		var others *flight
		place := j.engine.fetch.Places.Apart
		if !apart {
			place = j.engine.fetch.Places.Enter
			if lands[m], others = m.claim(b); others == nil {
				continue
			}
			delete(lands, m)
		}
		j.wg.Go(func() { j.finish(s, m.putAfter(s.ctx, b, others, place)) })
	}
	var pace sync.WaitGroup // counts the Ends that keep pace
	pace.Add(len(lands))
	var buf []byte
	if b.Size > fetch.FanSmall && len(lands) > 1 {
		buf = j.engine.fetch.Room.Take(fetch.FanWindow)
	}
	f := fetch.NewFan(len(lands), buf)
	// If no memory is left for a shared download, each End reads the blob itself.
	apart := b.Size > fetch.FanSmall && buf == nil
	for m, land := range lands {
		s, ends := j.shares[m], sync.OnceFunc(pace.Done)
		behind := func() {
			j.mu.Lock()
			s.apart = true
			j.mu.Unlock()
			ends()
		}
		reader := f.Join(behind, func(ctx context.Context) (func(), bool) { return j.engine.fetch.Places.Apart(ctx, b.Size) })
		j.wg.Go(func() {
			open := m.open(b)
			if !apart {
				open = reader.Opener(ctx, open)
			}
			err := m.putFrom(s.ctx, b, m.likely, open)
			reader.Leave()
			land(err == nil)
			j.finish(s, err)
			ends()
		})
	}
	pace.Wait()
	f.Pumping.Wait()
	if buf != nil {
		j.engine.fetch.Room.Give(buf)
	}
}

// finish records that the copy of one blob of s ended with err.
func (j *joint) finish(s *share, err error) {
	defer s.running.Done()
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case s.left == 0: // the share has already failed because of another blob
	case err != nil:
		j.fail(s, err)
	default:
		if s.left--; s.left == 0 {
			close(s.done)
		}
	}
}

// fail marks a share as failed with err. The caller holds j.mu.
func (j *joint) fail(s *share, err error) {
	s.err, s.left = err, 0
	s.cancel(err)
	close(s.done)
}
