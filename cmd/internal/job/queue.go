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

// Config is what a Queue needs. DB must be there; all else has a working zero value.
type Config struct {
	DB    *store.DB
	Owner string // who works here, for people: a host's name. Each Queue adds some characters that are its own
	Seal  Sealer // nil: a submission with a secret is Refused

	Lease    time.Duration // 0 is 15 s: how long after its last sign of life a worker's jobs go to others
	Losses   int           // 0 is 10: a job whose worker was lost so often is Failed
	Grace    time.Duration // 0 is 8 s: for running jobs when Work is stopped
	Keep     time.Duration // 0 is 30 days: how long ended jobs are kept
	KeepMost int           // 0 is a million: how many ended jobs are kept
	Late     time.Duration // 0 is 5 minutes: a firing later than that is skipped

	QueuedMost int // 0 is 100,000: how many jobs of a principal may be queued; another is Throttled

	Clock func() time.Time // nil is the database's clock
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

// Queue is the jobs of one database. All of it may be used at the same time.
type Queue struct {
	cfg   Config
	db    *store.DB
	owner string
	ahead atomic.Int64 // how far the database's clock is before ours, ns

	mu       sync.Mutex
	running  map[string]*Run
	late     []*Run // that ended here last, for who watches and was cut off
	working  bool
	entropy  *ulid.MonotonicEntropy
	backlogs map[string]backlog // by principal
}

// backlog is what one principal had queued a little while ago, and what it added since.
type backlog struct {
	queued  int
	counted time.Time
}

const seqOfNext = 32 // bits: sequence numbers begin at attempt << 32, so that they grow over attempts

// Run is one attempt at a job. Its methods may be used at the same time.
type Run struct {
	Job  Job
	live *live.Ring // what was said of late, for those who watch

	q      *Queue
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when the runner returned

	flushing sync.Mutex // one flush at a time, so that lines stay in order

	mu       sync.Mutex
	items    []Item
	lines    []Line
	lineSeq  int64
	itemSeq  int64
	progress json.RawMessage
	written  string // the progress that the row has
	asked    bool   // to be canceled
}

// Owner is the name under which this Queue holds leases.
func (q *Queue) Owner() string { return q.owner }

func (q *Queue) now() time.Time {
	if q.cfg.Clock != nil {
		return q.cfg.Clock()
	}
	return time.Now().Add(time.Duration(q.ahead.Load()))
}

// setClock measures the database's clock: leases are only as good as all agree about the time.
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
	if err != nil { // the random part ran over, once in 2^80
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
	for _, r := range slices.Backward(q.late) {
		if r.Job.ID == id {
			return r
		}
	}
	return nil
}

// ring is what the run here of a job says; nil for none.
func (q *Queue) ring(id string) *live.Ring {
	if r := q.local(id); r != nil {
		return r.live
	}
	return nil
}
