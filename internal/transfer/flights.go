package transfer

import (
	"context"
	"sync"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// flights are what is being put just now, by any copy of the process: a blob or a
// document goes to a repository once, however many images need it there. The zero
// value is ready.
type flights struct {
	mu  sync.Mutex
	all map[cargo]*flight
}

// cargo is one blob or document for one repository.
type cargo struct {
	kind   kind
	to     ref.Repo
	digest oci.Digest
}

// kind tells a blob from a document: one may have the bytes of the other.
type kind int

const (
	blob kind = iota
	document
)

// flight is a Put under way. arrived may be read once landed is closed.
type flight struct {
	landed  <-chan struct{}
	arrived bool
}

// claim makes c the caller's, who calls land when it has ended, or returns whose it is.
func (f *flights) claim(c cargo) (land func(arrived bool), others *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if other := f.all[c]; other != nil {
		return nil, other
	}
	if f.all == nil {
		f.all = map[cargo]*flight{}
	}
	landed := make(chan struct{})
	mine := &flight{landed: landed}
	f.all[c] = mine
	return func(arrived bool) {
		f.mu.Lock()
		delete(f.all, c)
		f.mu.Unlock()
		mine.arrived = arrived
		close(landed)
	}, nil
}

// claim is flights.claim for a blob of m's, with the turn that its End has to wait for.
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

// alone brings a blob in a place of its own. It waits before that for what others
// bring; nil is nobody. What did not arrive by that is m's to bring.
func (m *mover) alone(ctx context.Context, b oci.Descriptor, others *flight, place gate[int64]) error {
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
