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

// Fetcher reads blobs. A process uses one Fetcher, so that its limits hold for all downloads
// together. It is safe for concurrent use.
type Fetcher struct {
	retries int // how often a download is tried again without receiving a byte
	Places  Places
	Room    Room
	paths   paths
}

// New returns a Fetcher. blobs is the number of blobs in flight at once. memory is the number of
// bytes in which all downloads together may hold data that cannot be delivered yet.
func New(retries, blobs int, memory int64) *Fetcher {
	return &Fetcher{retries: retries, Places: newPlaces(blobs), Room: Room{size: memory}}
}

// Source is the part of transfer.Source that downloads use.
type Source interface {
	Repo() ref.Repo
	Blob(ctx context.Context, d oci.Descriptor, at, n int64) (body io.ReadCloser, from int64, err error)
}

// Want describes a blob to read.
type Want struct {
	From Source
	Blob oci.Descriptor
	Name string            // the name to set on events
	To   string            // the host that the blob is read for; that host may be the slow end of the path
	Tell func(event.Event) // receives events; nil ignores them
}

func (w Want) tell(e event.Event) {
	if w.Tell != nil {
		w.Tell(e)
	}
}

// path returns the path that the bytes take.
func (w Want) path() path { return path{w.From.Repo().Host, w.To} }

// path identifies downloads from one host for another host.
type path struct{ from, to string }

// paths remembers what earlier downloads measured: the best number of connections for each path,
// and the repositories that do not support range requests. The zero value is empty and ready.
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

// refuse records that a repository does not support range requests.
func (p *paths) refuse(repo ref.Repo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused == nil {
		p.refused = map[ref.Repo]bool{}
	}
	p.refused[repo] = true
}
