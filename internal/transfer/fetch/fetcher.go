package fetch

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Fetcher reads blobs. One serves a whole process, so that its limits hold for all that
// is read. It is safe for concurrent use.
type Fetcher struct {
	retries int // tries of one download without a byte of progress in between
	Places  Places
	Room    Room
	paths   paths
}

// New reads among blobs in flight, with memory in bytes for what comes before its turn.
func New(retries, blobs int, memory int64) *Fetcher {
	return &Fetcher{retries: retries, Places: newPlaces(blobs), Room: Room{size: memory}}
}

// Source is what is read from: see transfer.Source.
type Source interface {
	Repo() ref.Repo
	Blob(ctx context.Context, d oci.Descriptor, at, n int64) (body io.ReadCloser, from int64, err error)
}

// Want is a blob that is to be read.
type Want struct {
	From Source
	Blob oci.Descriptor
	Name string            // for events
	To   string            // the host that it is read for, as that may be what is slow
	Tell func(event.Event) // nil tells nobody
}

func (w Want) say(e event.Event) {
	if w.Tell != nil {
		w.Tell(e)
	}
}

// path is where the bytes go.
func (w Want) path() path { return path{w.From.Repo().Host, w.To} }

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
