package transfer

import (
	"context"
	"io"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/transfer/fetch"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// mover copies blobs to one End and counts the results.
type mover struct {
	engine *Engine
	task   Task
	target Target
	turn   func(oci.Digest) (func(), <-chan struct{}) // see End.Turn; nil never waits
	back   *Back
	likely []ref.Repo

	mu   sync.Mutex
	done oci.Blobs
}

// putAfter puts one blob, and takes a place for it. If others is not nil, it first waits for that
// flight. If the flight ends without the blob, alone puts the blob itself.
func (m *mover) putAfter(ctx context.Context, b oci.Descriptor, others *flight, place gate[int64]) error {
	for {
		if others != nil {
			select {
			case <-others.landed:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if others.arrived {
				m.arrived(b, oci.Arrival{Way: oci.Present})
				return nil
			}
		}
		var land func(bool)
		if land, others = m.claim(b); others != nil {
			continue
		}
		leave, ok := place(ctx, b.Size)
		if !ok {
			land(false)
			return context.Cause(ctx)
		}
		defer leave()
		err := m.put(ctx, b, m.likely)
		land(err == nil)
		return err
	}
}

// claim claims b in Engine.flights. If the End has a Turn, claim also asks for the turn of the
// blob; a turn that has not come yet looks to the caller like a flight of others.
func (m *mover) claim(b oci.Descriptor) (land func(arrived bool), others *flight) {
	mine, others := m.engine.flights.claim(cargo{blob, m.target.Repo(), b.Digest})
	if others != nil || m.turn == nil {
		return mine, others
	}
	done, busy := m.turn(b.Digest)
	if busy != nil {
		mine(false)
		return nil, &flight{landed: busy}
	}
	return func(arrived bool) {
		done()
		mine(arrived)
	}, nil
}

// put copies one blob.
func (m *mover) put(ctx context.Context, b oci.Descriptor, likely []ref.Repo) error {
	arrival, err := m.once(ctx, b, likely)
	return m.settle(ctx, b, likely, arrival, err)
}

// putFrom is like put, but its first attempt reads through open, which may share a download with
// others.
func (m *mover) putFrom(ctx context.Context, b oci.Descriptor, likely []ref.Repo, open oci.Opener) error {
	arrival, err := m.target.Put(ctx, b, likely, m.engine.paced(open))
	return m.settle(ctx, b, likely, arrival, err)
}

// once makes one attempt to put b, with a download that is not shared.
func (m *mover) once(ctx context.Context, b oci.Descriptor, likely []ref.Repo) (oci.Arrival, error) {
	life, cancel := context.WithCancel(ctx)
	defer cancel()
	r := m.engine.fetch.Once(life, m.want(b))
	defer r.Close()
	return m.target.Put(ctx, b, likely, m.engine.paced(r.Open))
}

// settle handles the result of a Put. If the bytes do not match their digest, it reads them once
// more from the beginning, because a bit flips more often in transit than in storage.
func (m *mover) settle(ctx context.Context, b oci.Descriptor, likely []ref.Repo, arrival oci.Arrival, err error) error {
	if fault.Is(err, fault.Corrupt) && ctx.Err() == nil {
		m.task.tell(event.Event{Kind: event.Restarted, Digest: string(b.Digest), Total: b.Size, Err: err})
		arrival, err = m.once(ctx, b, likely)
	}
	switch {
	case fault.Is(err, fault.Corrupt) && fault.SideOf(err) == fault.Target:
		return err // the target says that it damaged what it got
	case fault.Is(err, fault.Corrupt):
		where := "storage of the source registry"
		if m.task.From.Repo().IsLayout() {
			where = "disk and whether the file changed meanwhile"
		}
		return &fault.Fault{
			Kind: fault.Corrupt,
			Side: fault.Source,
			Op:   "read blob",
			Name: m.task.From.Repo().At(string(b.Digest)).String(),
			Err:  err,
			Hint: "check the " + where + "; the target did not keep the bytes",
		}
	case err != nil:
		return fault.On(fault.Target, err)
	}
	m.arrived(b, arrival)
	return nil
}

// open returns an Opener for b that reads from the source and resumes broken connections.
func (m *mover) open(b oci.Descriptor) oci.Opener {
	return func(ctx context.Context, at int64) (io.ReadCloser, error) {
		d, err := m.engine.fetch.Begin(ctx, m.want(b), at)
		if err != nil {
			return nil, err
		}
		d.Tell(event.Started)
		return d, nil
	}
}

// want describes b to the fetcher, to be read for m's target.
func (m *mover) want(b oci.Descriptor) fetch.Want {
	to := m.target.Repo()
	return fetch.Want{From: m.task.From, Blob: b, Name: to.String(), To: to.Host, Tell: m.task.tell}
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
	case oci.Brought:
		e.Kind = event.Present
		m.done.Brought++
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
