package transfer

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// fetcher reads blobs. One serves a whole process, so that its limits hold for all that
// is read. It is safe for concurrent use.
type fetcher struct {
	retries int // tries of one download without a byte of progress in between
	places  places
	room    room
	paths   paths
}

// newFetcher reads among blobs in flight, with memory in bytes for what comes before its turn.
func newFetcher(retries, blobs int, memory int64) *fetcher {
	return &fetcher{retries: retries, places: newPlaces(blobs), room: room{size: memory}}
}

// blobSource is what is read from: see transfer.Source.
type blobSource interface {
	Repo() ref.Repo
	Blob(ctx context.Context, d oci.Descriptor, at, n int64) (body io.ReadCloser, from int64, err error)
}

// want is a blob that is to be read.
type want struct {
	from blobSource
	blob oci.Descriptor
	name string            // for events
	to   string            // the host that it is read for, as that may be what is slow
	tell func(event.Event) // nil tells nobody
}

func (w want) say(e event.Event) {
	if w.tell != nil {
		w.tell(e)
	}
}

// path is where the bytes go.
func (w want) path() path { return path{w.from.Repo().Host, w.to} }

// path is what is known of reading from one host for another.
type path struct{ from, to string }

// paths are what downloads learned. The zero value knows nothing.
type paths struct {
	mu      sync.Mutex
	width   map[path]int
	at      map[path]time.Time
	refused map[ref.Repo]bool
}

func (p *paths) learn(k path, width int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width == nil {
		p.width, p.at = map[path]int{}, map[path]time.Time{}
	}
	p.width[k], p.at[k] = width, time.Now()
}

// refuse notes that a repository gives no ranges.
func (p *paths) refuse(repo ref.Repo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused == nil {
		p.refused = map[ref.Repo]bool{}
	}
	p.refused[repo] = true
}
