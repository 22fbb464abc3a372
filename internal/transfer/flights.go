package transfer

import (
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
