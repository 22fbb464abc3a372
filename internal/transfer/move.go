package transfer

import (
	"cmp"
	"context"
	"io"
	"slices"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// mover brings blobs to one End and counts what happened.
type mover struct {
	engine *Engine
	task   Task
	target Target
	turn   func(oci.Digest) (func(), <-chan struct{}) // as in End
	back   *Back
	likely []ref.Repo

	mu   sync.Mutex
	done oci.Blobs
}

// move brings blobs over, the largest first, and stops at the first error. Blobs
// that arrived stay: content without a name harms nobody, and the next run finds it.
func (m *mover) move(ctx context.Context, blobs []oci.Descriptor) error {
	blobs = slices.Clone(blobs)
	slices.SortStableFunc(blobs, largestFirst)
	small := slices.IndexFunc(blobs, func(b oci.Descriptor) bool { return b.Size < smallBlob })
	if small < 0 {
		small = len(blobs)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all([][]oci.Descriptor{blobs[:small], blobs[small:]}, func(list []oci.Descriptor) {
		if err := m.inOrder(ctx, list); err != nil {
			cancel(err)
		}
	})
	return context.Cause(ctx)
}

// inOrder brings blobs as there are places for them. One that somebody else brings
// to the same repository just now is waited for beside the others, without a place.
func (m *mover) inOrder(ctx context.Context, blobs []oci.Descriptor) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, b := range blobs {
		land, others := m.claim(b)
		if others == nil {
			leave, ok := m.engine.blobs(ctx, b)
			if !ok {
				land(false)
				break
			}
			wg.Go(func() {
				defer leave()
				err := m.put(ctx, b, m.likely)
				land(err == nil)
				if err != nil {
					cancel(err)
				}
			})
			continue
		}
		wg.Go(func() {
			if err := m.alone(ctx, b, others, m.engine.places.enter); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func largestFirst(a, b oci.Descriptor) int { return cmp.Compare(b.Size, a.Size) }

// put brings one blob.
func (m *mover) put(ctx context.Context, b oci.Descriptor, likely []ref.Repo) error {
	arrival, err := m.once(ctx, b, likely)
	return m.settle(ctx, b, likely, arrival, err)
}

// putFrom is put with a reading of others for the first try.
func (m *mover) putFrom(ctx context.Context, b oci.Descriptor, likely []ref.Repo, open oci.Opener) error {
	arrival, err := m.target.Put(ctx, b, likely, m.engine.paced(open))
	return m.settle(ctx, b, likely, arrival, err)
}

// once is one Put with a reading of its own.
func (m *mover) once(ctx context.Context, b oci.Descriptor, likely []ref.Repo) (oci.Arrival, error) {
	life, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &reading{ctx: life, m: m, blob: b}
	defer r.close()
	return m.target.Put(ctx, b, likely, m.engine.paced(r.open))
}

// settle takes a Put's outcome. Bytes that do not match their digest are read once more
// from the beginning, since a bit flips more often in transit than at rest.
func (m *mover) settle(ctx context.Context, b oci.Descriptor, likely []ref.Repo, arrival oci.Arrival, err error) error {
	if fault.Is(err, fault.Corrupt) && ctx.Err() == nil {
		m.task.tell(event.Event{Kind: event.Restarted, Digest: string(b.Digest), Total: b.Size, Err: err})
		arrival, err = m.once(ctx, b, likely)
	}
	switch {
	case fault.Is(err, fault.Corrupt):
		return &fault.Fault{Kind: fault.Corrupt, Side: fault.Source, Op: "read blob", Name: m.task.From.Repo().At(string(b.Digest)).String(), Err: err,
			Hint: "the source serves other bytes than its manifest names; nothing was committed"}
	case err != nil:
		return fault.On(fault.Target, err)
	}
	m.arrived(b, arrival)
	return nil
}

// open reads b from the source, through breaks of the connection.
func (m *mover) open(b oci.Descriptor) oci.Opener {
	return func(ctx context.Context, at int64) (io.ReadCloser, error) {
		d, err := m.download(ctx, b, at)
		if err != nil {
			return nil, err
		}
		d.tell(event.Started)
		return d, nil
	}
}

func (m *mover) download(ctx context.Context, b oci.Descriptor, at int64) (*download, error) {
	return m.engine.download(ctx, m.task, b, at, m.target.Repo().String(), m.target.Repo().Host)
}

func (m *mover) arrived(b oci.Descriptor, a oci.Arrival) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := event.Event{Name: m.target.Repo().String(), Digest: string(b.Digest), Done: b.Size, Total: b.Size}
	switch a.Way {
	case oci.Sent:
		e.Kind = event.Moved
		m.done.Sent++
		m.done.Bytes += b.Size
	case oci.Mounted:
		e.Kind = event.Mounted
		m.done.Mounted++
	default:
		e.Kind = event.Present
		m.done.Present++
	}
	m.task.tell(e)
}

func (m *mover) proved(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done.Proven = n
}

func (m *mover) count() oci.Blobs {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.done
}
