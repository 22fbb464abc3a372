package job

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/drayage/dray/cmd/internal/job/live"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// Package wire declares the types that a client sees, so that a client does not link a database.
type (
	// State is the state of a job.
	State = wire.State
	// Failure says why a job did not succeed completely.
	Failure = wire.Failure
	// Job is one queued request with its state and progress.
	Job = wire.Job
	// Item is one line of a job's report.
	Item = wire.Item
	// Line is one line of a job's log.
	Line = wire.Line
	// Event is one event of a job that is being watched.
	Event = wire.Event
	// Filter selects jobs.
	Filter = wire.Filter
	// Schedule creates a job each time that it is due.
	Schedule = wire.Schedule
	// Worker is a process that runs jobs.
	Worker = wire.Worker
)

// The states of a job's life, in order.
const (
	Queued   = wire.Queued
	Running  = wire.Running
	Waiting  = wire.Waiting
	Done     = wire.Done
	Partly   = wire.Partly
	Failed   = wire.Failed
	Canceled = wire.Canceled
)

// Config configures a Queue. DB is required. Every other field has a default, which its zero value means.
type Config struct {
	DB *store.DB
	// Engine makes the engine of the Queue; default: the embedded engine, which needs a SQLite file.
	Engine func(*Queue) (Engine, error)

	Owner   string   // name of this process for people, such as its host name; each Queue appends random characters
	Kind    string   // "server" or "worker", for Workers; default "worker"
	Version string   // version of this program, for Workers
	Pools   []string // the pools whose jobs this process runs, for Workers

	Log  *slog.Logger // what fails again and again, such as writes to a full disk; nil drops it
	Seal Sealer       // seals secrets; if nil, a submission with a secret is Refused

	// Ended is told of each run of a job that ended here, how it ended, and how long it took. The state is one in
	// which a job has ended, or Waiting or Queued if the job goes on. A divided job has one run, from its start to
	// the sum of its parts. nil tells nobody.
	Ended func(j Job, state State, took time.Duration)

	Grace    time.Duration // time that running jobs have to end when Work is stopped; default 8 s
	Keep     time.Duration // how long ended jobs are kept; default 30 days
	KeepMost int           // maximum number of ended jobs that are kept; default 1,000,000
	Late     time.Duration // a schedule that is due for longer than this does not fire; default 5 minutes

	QueuedMost    int // maximum number of queued jobs of one principal; one more is Throttled; default 100,000
	SchedulesMost int // maximum number of schedules of one principal; one more is Refused; default SchedulesMost

	Clock func() time.Time // default: the clock of the database
}

// SchedulesMost is how many schedules a principal may have, unless a Config says otherwise.
const SchedulesMost = 1000

func (c Config) withDefaults() Config {
	c.Kind = cmp.Or(c.Kind, "worker")
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	c.Grace = cmp.Or(c.Grace, 8*time.Second)
	c.Keep = cmp.Or(c.Keep, 30*24*time.Hour)
	c.KeepMost = cmp.Or(c.KeepMost, 1_000_000)
	c.Late = cmp.Or(c.Late, 5*time.Minute)
	c.QueuedMost = cmp.Or(c.QueuedMost, 100_000)
	c.SchedulesMost = cmp.Or(c.SchedulesMost, SchedulesMost)
	return c
}

// Engine decides when and where the jobs of a Queue run. It is safe for concurrent use.
type Engine interface {
	// Order notes what must be done after tx has been committed. It may be called again with the same order,
	// if the transaction is repeated.
	Order(ctx context.Context, tx *sql.Tx, o Order) error
	// Kick says that orders were committed. The engine carries them out soon; Kick does not wait for that.
	Kick()
	// Work runs jobs, up to slots at a time, until ctx ends. It then begins no more, and returns when those
	// that run have ended; the Queue sees to it that they do. With slots of 0 or less it runs no jobs, and
	// only carries out orders. Queue.Work calls it.
	Work(ctx context.Context, slots int, run Runner) error
	// Ready says why no job can be started now. It returns nil if the engine answers.
	Ready(ctx context.Context) error
	// Close ends the engine's connections.
	Close() error
}

// OrderKind says what an Order is about.
type OrderKind string

// The kinds of orders.
const (
	OrderStart    OrderKind = "start"    // a job was queued
	OrderCancel   OrderKind = "cancel"   // the cancel of a job was requested, or the job is already canceled
	OrderSchedule OrderKind = "schedule" // a schedule was created, changed, paused, resumed or deleted
)

// Order is something that an engine must do. The engine reads the row of the job or the schedule for the
// rest.
type Order struct {
	Seq       int64 // set by Orders
	Kind      OrderKind
	ID        string // of the job or the schedule
	Principal string // of a job that was queued; "" for other kinds; Orders does not set it
}

// Runner carries out jobs. Only an engine with several workers calls Split, Part and Sum.
//
// The context of each method ends when the job is canceled, when another attempt has the job, or when Work
// was stopped and Config.Grace is over. context.Cause says which. If another attempt has the job, the
// outcome is ignored.
type Runner interface {
	// Run carries out a whole job.
	Run(ctx context.Context, r *Run) Outcome
	// Split divides a job into parts that several workers can carry out at the same time. It calls emit with
	// each part, as JSON without secrets, in the order in which they are best begun. whole is true if the
	// job is not divided; then Run carries it out. out.State is set if the job has ended here, such as by
	// an error.
	Split(ctx context.Context, r *Run, emit func(part json.RawMessage) error) (whole bool, out Outcome)
	// Part carries out one part of a job. r is a run of that part. The report of the outcome is kept for Sum.
	Part(ctx context.Context, r *Run, part json.RawMessage) Outcome
	// Sum returns the outcome of a job from those of its parts, in their order, also after a cancel. The
	// State of a part that was not carried out is Queued, Waiting or Running. A cancel does not end ctx;
	// r.CancelRequested tells of it.
	Sum(ctx context.Context, r *Run, parts iter.Seq2[Outcome, error]) Outcome
}

// Claim says what an attempt is about.
type Claim struct {
	ID     string
	Part   int  // 0: the whole job (Run, Split, Sum); else the number of the part, from 1
	Resume bool // the attempt goes on after the parts of the job: it is not a new one (Sum)
	// Fence asks the engine whether this attempt is the present one; if nil, only the database is asked.
	Fence func(ctx context.Context) error
}

// Queue is the queue of one database. It is safe for concurrent use.
type Queue struct {
	cfg     Config
	db      *store.DB
	owner   string
	cluster string
	engine  Engine
	bell    live.Bell
	ahead   atomic.Int64          // how far the clock of the database is ahead of the local one, in ns
	beaten  atomic.Pointer[error] // how the last beat ended; nil before the first

	mu       sync.Mutex
	running  map[*Run]bool
	recent   []*Run // runs that ended here last; a watcher that was cut off can still read their events
	working  bool
	stopping bool
	entropy  *ulid.MonotonicEntropy
	backlogs map[string]backlog // by principal
	unsummed map[string]bool    // divided jobs whose progress is not the sum of that of their parts
}

// Run is one attempt at a job, or at a part of a job. Its methods are safe for concurrent use.
type Run struct {
	Job  Job
	Part int // 0: the whole job; else the number of the part
	// Solo says that nothing else may run in this process: the job or the part was lost so often that it may be what
	// kills processes.
	Solo bool

	q       *Queue
	fence   int64      // tells this attempt from all others at the job and its parts
	resumed bool       // the attempt went on after the parts of the job
	live    *live.Ring // the latest events, for watchers
	engine  func(ctx context.Context) error
	left    chan struct{} // closed if the outcome of the runner is no longer waited for

	flushing sync.Mutex // held during a flush, so that lines are written in order
	seq      int64      // the job's last number, as of the last flush

	mu       sync.Mutex
	cancel   context.CancelCauseFunc // nil until Carry
	cause    error                   // why the runner's context has to end
	asked    bool                    // whether a cancel was requested
	items    []Item                  // not written yet; Seq is their local number
	bytes    int                     // of items
	lines    []Line                  // the same
	local    int64                   // the last local number
	logged   int                     // lines so far
	progress json.RawMessage
	written  string // the progress that is stored
}

// backlog estimates how many jobs one principal has queued: the last count, and the jobs added since.
type backlog struct {
	queued  int
	counted time.Time
}

// eventBits is a number of bits. The events of an attempt are numbered from fence << 16, so that their numbers
// increase from attempt to attempt. An event that was read from the database has the number of its line in
// the same place.
const eventBits = 16

// progressed notes that the progress of a part of a job was stored. That of the job is the sum of all parts,
// and is made once a second, and when the parts have ended, because each sum reads every part.
func (q *Queue) progressed(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unsummed[id] = true
}

// Owner returns the name under which this Queue runs jobs.
func (q *Queue) Owner() string { return q.owner }

// Ready says why no job can be started now. It returns nil if the engine answers.
func (q *Queue) Ready(ctx context.Context) error { return q.engine.Ready(ctx) }

// Close closes the engine. Call it after Work has returned and before the database is closed.
func (q *Queue) Close() error { return q.engine.Close() }

func (q *Queue) now() time.Time {
	if q.cfg.Clock != nil {
		return q.cfg.Clock()
	}
	return time.Now().Add(time.Duration(q.ahead.Load()))
}

// setClock measures the difference between the clock of the database and the local one, so that all
// processes agree on the time.
func (q *Queue) setClock(ctx context.Context) error {
	asked := time.Now()
	there, err := q.db.Now(ctx)
	if err == nil && q.db.Postgres() {
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
	for r := range q.running {
		all = append(all, r)
	}
	return all
}

// local returns the runs of a job in this process, of the whole job and of its parts.
func (q *Queue) local(id string) (runs []*Run) {
	for _, r := range q.runs() {
		if r.Job.ID == id {
			runs = append(runs, r)
		}
	}
	return runs
}

// ring returns the events of the job's latest run in this process that is not of a part. It returns nil if
// there is none.
func (q *Queue) ring(id string) *live.Ring {
	q.mu.Lock()
	defer q.mu.Unlock()
	var last *Run
	look := func(r *Run) {
		if r.Job.ID == id && r.Part == 0 && (last == nil || r.fence > last.fence) {
			last = r
		}
	}
	for _, r := range q.recent {
		look(r)
	}
	for r := range q.running {
		look(r)
	}
	if last == nil {
		return nil
	}
	return last.live
}

// story logs the first error of something that is tried again and again, and that it works again.
type story struct {
	q       *Queue
	what    string
	failing bool
	level   slog.Level // of the error
}

func (s *story) tell(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && !s.failing:
		s.level = slog.LevelWarn
		if s.q.db.Postgres() && fault.Is(err, fault.Unavailable) {
			s.level = slog.LevelInfo // the process says once that its database does not answer
		}
		s.q.cfg.Log.Log(ctx, s.level, "jobs: cannot "+s.what+"; it is tried again", "err", err)
	case err == nil && s.failing:
		s.q.cfg.Log.Log(ctx, s.level, "jobs: can "+s.what+" again")
	}
	s.failing = err != nil
}

// FailureOf returns err in its stored form. It returns nil if err is nil.
func FailureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	return &Failure{Kind: fault.KindOf(err), Side: fault.SideOf(err), Text: wire.Text(err), Hint: fault.HintOf(err)}
}

// Submission describes a job that Submit creates. Kind and Principal are required.
type Submission struct {
	Kind, Principal string
	Request         json.RawMessage
	Source, Target  string // for lists of jobs, in which people search for them
	Pool            string // only workers of this pool run the job; "" means those of no pool; not for the embedded engine
	// Same is the part of Request that tells requests with the same Key apart; nil means all of it.
	Same json.RawMessage
	// Key is the client's idempotency key; "" means none. For one day, the same key of the same principal
	// stands for the same job. Another request with the same key is a Conflict.
	Key              string
	Parent, Schedule string
	Secret           []byte // stored sealed, and deleted when the job ends; nil means none
	File             *File  // deleted when the job ends; nil means none
	// Also runs in the same transaction if the job is new, perhaps more than once; nil does nothing.
	Also func(ctx context.Context, tx *sql.Tx, j Job) error
}

// File is a text that a job needs, and that is written before the job is submitted. It is stored piece by piece, so
// that it can be larger than memory. It is not safe for concurrent use.
type File struct {
	q     *Queue
	id    string // of the job that it is submitted with
	at    time.Time
	parts int64
	piece []byte // not stored yet
}

// submission is a Submission with the values that must be the same each time that its transaction runs.
type submission struct {
	Submission
	id     string
	now    time.Time
	due    time.Time // when the schedule was due; zero for a job that no schedule fired
	sealed []byte
}

// Outcome is the result of a run.
type Outcome struct {
	// State is Done, Partly, Failed or Canceled; or Waiting, to run the job again later. Carry also returns
	// Queued for a run that was stopped with its process, Running for a job that was divided into parts,
	// and "" if nothing was stored, because another attempt has the job or the database did not answer.
	State   State
	After   time.Duration // with Waiting: the time until the job is queued again
	Report  json.RawMessage
	Failure *Failure // nil for Done
}

// Stats has figures of the queue.
type Stats struct {
	Jobs   map[State]int // number of jobs in each state that is not an end, at most 100,000
	Oldest time.Duration // how long the oldest queued job has waited; 0 if no job is queued
}

// Sealer encrypts secrets for storage. A sealed secret can only be opened with the name that it was
// sealed with.
type Sealer interface {
	Seal(plain []byte, name string) ([]byte, error)
	Open(sealed []byte, name string) ([]byte, error)
}

const columns = `id, kind, principal, request, source, target, pool, state, attempt, lost, owner, client_key, parent,
	schedule, cancel_requested, progress, failure, created, started, ended`

type scanner interface{ Scan(...any) error }

// scan reads the columns of a row. more receives the values of further columns.
func scan(row scanner, more ...any) (Job, error) {
	var j Job
	var request, progress, failure string
	var cancel, created, started, ended int64
	if err := row.Scan(append([]any{&j.ID, &j.Kind, &j.Principal, &request, &j.Source, &j.Target, &j.Pool, &j.State,
		&j.Attempt, &j.Lost, &j.Owner, &j.Key, &j.Parent, &j.Schedule, &cancel, &progress, &failure,
		&created, &started, &ended}, more...)...); err != nil {
		return Job{}, err
	}
	j.Request, j.Progress, j.CancelRequested = raw(request), raw(progress), cancel != 0
	if failure != "" {
		j.Failure = &Failure{}
		if err := json.Unmarshal([]byte(failure), j.Failure); err != nil {
			return Job{}, err
		}
	}
	j.Created, j.Started, j.Ended = instant(created), instant(started), instant(ended)
	return j, nil
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

func instant(us int64) time.Time { return store.Time(us) }

// pause waits for d. It reports false if ctx ends before that.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
