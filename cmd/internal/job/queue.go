package job

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/drayage/dray/cmd/internal/job/live"
	"github.com/drayage/dray/cmd/internal/store"
)

// Config configures a Queue. DB is required. Every other field has a default, which its zero value means.
type Config struct {
	DB    *store.DB
	Owner string // name of this worker for people, such as its host name; each Queue appends random characters
	Seal  Sealer // seals secrets; if nil, a submission with a secret is Refused

	Lease    time.Duration // time after its last renewal for which a worker keeps a job; default 15 s
	Losses   int           // a job that has lost its worker this often is Failed; default 10
	Grace    time.Duration // time that running jobs have to end when Work is stopped; default 8 s
	Keep     time.Duration // how long ended jobs are kept; default 30 days
	KeepMost int           // maximum number of ended jobs that are kept; default 1,000,000
	Late     time.Duration // a schedule that is due for longer than this does not fire; default 5 minutes

	QueuedMost int // maximum number of queued jobs of one principal; one more is Throttled; default 100,000

	Clock func() time.Time // default: the clock of the database
}

func (c Config) withDefaults() Config {
	c.Lease = cmp.Or(c.Lease, 15*time.Second)
	c.Losses = cmp.Or(c.Losses, 10)
	c.Grace = cmp.Or(c.Grace, 8*time.Second)
	c.Keep = cmp.Or(c.Keep, 30*24*time.Hour)
	c.KeepMost = cmp.Or(c.KeepMost, 1_000_000)
	c.Late = cmp.Or(c.Late, 5*time.Minute)
	c.QueuedMost = cmp.Or(c.QueuedMost, 100_000)
	return c
}

// Queue is the queue of one database. It is safe for concurrent use.
type Queue struct {
	cfg   Config
	db    *store.DB
	owner string
	ahead atomic.Int64 // how far the clock of the database is ahead of the local one, in ns

	mu       sync.Mutex
	running  map[string]*Run
	recent   []*Run // runs that ended here last; a watcher that was cut off can still read their events
	working  bool
	entropy  *ulid.MonotonicEntropy
	backlogs map[string]backlog // by principal
}

// backlog estimates how many jobs one principal has queued: the last count, and the jobs added since.
type backlog struct {
	queued  int
	counted time.Time
}

// attemptBits is a number of bits. The sequence numbers of an attempt begin at attempt << 32, so that they
// increase from attempt to attempt.
const attemptBits = 32

// Run is one attempt at a job. Its methods are safe for concurrent use.
type Run struct {
	Job  Job
	live *live.Ring // the latest events, for watchers

	q      *Queue
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when the runner has returned and the outcome is stored

	flushing sync.Mutex // held during a flush, so that lines are written in order

	mu       sync.Mutex
	items    []Item
	lines    []Line
	lineSeq  int64
	itemSeq  int64
	progress json.RawMessage
	written  string // the progress that is stored in the job's row
	asked    bool   // whether a cancel was requested
}

// Owner returns the name under which this Queue holds leases.
func (q *Queue) Owner() string { return q.owner }

func (q *Queue) now() time.Time {
	if q.cfg.Clock != nil {
		return q.cfg.Clock()
	}
	return time.Now().Add(time.Duration(q.ahead.Load()))
}

// setClock measures the difference between the clock of the database and the local one. Leases need a
// clock on which all processes agree.
func (q *Queue) setClock(ctx context.Context) error {
	asked := time.Now()
	there, err := q.db.Now(ctx)
	if err == nil {
		here := time.Now()
		q.ahead.Store(int64(there.Sub(asked.Add(here.Sub(asked) / 2))))
	}
	return err
}

func (q *Queue) id(at time.Time) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	id, err := ulid.New(ulid.Timestamp(at), q.entropy)
	if err != nil { // The random part overflowed. The probability is 1 in 2^80.
		return ulid.MustNew(ulid.Timestamp(at.Add(time.Millisecond)), rand.Reader).String()
	}
	return id.String()
}

func (q *Queue) runs() []*Run {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]*Run, 0, len(q.running))
	for _, r := range q.running {
		all = append(all, r)
	}
	return all
}

func (q *Queue) local(id string) *Run {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r := q.running[id]; r != nil {
		return r
	}
	for _, r := range slices.Backward(q.recent) {
		if r.Job.ID == id {
			return r
		}
	}
	return nil
}

// ring returns the events of the job's run in this process. It returns nil if there is none.
func (q *Queue) ring(id string) *live.Ring {
	if r := q.local(id); r != nil {
		return r.live
	}
	return nil
}
