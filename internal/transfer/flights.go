package transfer

import (
	"sync"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// flights tracks the uploads in progress, over all copies of the process. It ensures that a blob
// or document is put to a repository only once, even if several images need it there at the same
// time. The zero value is ready for use.
type flights struct {
	mu  sync.Mutex
	all map[cargo]*flight
}

// cargo identifies one blob or document on its way to one repository.
type cargo struct {
	kind   kind
	to     ref.Repo
	digest oci.Digest
}

// kind distinguishes a blob from a document, because both may have the same bytes.
type kind int

const (
	blob kind = iota
	document
)

// flight is a Put in progress. Read arrived only after landed is closed.
type flight struct {
	landed  <-chan struct{}
	arrived bool
}

// claim registers c as in progress for the caller, which must call land when the upload has
// ended. If another goroutine already uploads c, claim returns its flight instead.
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
