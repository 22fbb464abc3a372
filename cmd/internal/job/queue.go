package job

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
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

// topics of notifications
const (
	saidQueued = "queued" // there is a job to claim
	saidCancel = "cancel" // the job of this id is to be canceled
	saidWatch  = "watch"  // somebody watches the job of this id: who runs it shall tell of it
)

// saidOf is the topic of one job: what happens to it, as JSON of events, or "" for "look".
func saidOf(id string) string { return "job." + id }

// Open brings the tables up to date and takes over what a dead process of this database left. On
// SQLite, which has one process and one Queue, that is all that was running; on PostgreSQL a lease
// has to end.
func Open(ctx context.Context, cfg Config) (*Queue, error) {
	if cfg.DB == nil {
		return nil, &fault.Fault{Kind: fault.Internal, Op: "open queue", Err: errors.New("no database")}
	}
	q := &Queue{cfg: cfg.withDefaults(), db: cfg.DB, running: map[string]*Run{}, backlogs: map[string]backlog{}, entropy: ulid.Monotonic(rand.Reader, 0)}
	q.owner = cmp.Or(cfg.Owner, "dray") + "/" + rand.Text()[:10]
	if err := q.db.Migrate(ctx, "job", schema()); err != nil {
		return nil, err
	}
	if err := q.setClock(ctx); err != nil {
		return nil, err
	}
	if !q.db.Postgres() {
		if err := q.sweep(ctx, everybody); err != nil {
			return nil, err
		}
	}
	return q, nil
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

// keyDay is how long a key stands for its job.
const keyDay = 24 * time.Hour

// tries is how often Submit runs when the answer to its commit was lost.
const tries = 3

// Submit makes a job; it is durable when Submit returns. fresh is false when s.Key stood for a
// job already, which is returned.
func (q *Queue) Submit(ctx context.Context, s Submission) (j Job, fresh bool, err error) {
	if s.Kind == "" || s.Principal == "" {
		return Job{}, false, &fault.Fault{Kind: fault.Invalid, Op: "submit job", Err: errors.New("no kind or no principal")}
	}
	sub := submission{Submission: s, now: q.now()}
	sub.id = q.id(sub.now)
	if sub.sealed, err = q.seal(s.Secret, sub.id); err != nil {
		return Job{}, false, err
	}
	for n := 1; ; n++ {
		err = q.db.Tx(ctx, func(tx *sql.Tx) (err error) {
			j, fresh, err = q.insert(ctx, tx, sub)
			return err
		})
		// The id is the same each time, so that what was committed after all is found.
		if n == tries || !errors.Is(err, store.ErrUncertain) || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return Job{}, false, q.db.Explain("submit job", err)
	}
	return j, fresh, nil
}

// submission is a Submission with what is decided once, however often its transaction runs.
type submission struct {
	Submission
	id     string
	now    time.Time
	due    time.Time // of a firing
	sealed []byte
}

func (q *Queue) seal(secret []byte, id string) ([]byte, error) {
	if secret == nil {
		return nil, nil
	}
	if q.cfg.Seal == nil {
		return nil, &fault.Fault{Kind: fault.Refused, Op: "submit job", Err: errors.New("there is no key to seal its secret with")}
	}
	sealed, err := q.cfg.Seal.Seal(secret, sealedName(id))
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Internal, Op: "seal secret of job", Name: id, Err: err}
	}
	return sealed, nil
}

func sealedName(id string) string { return "job/" + id }

func (q *Queue) insert(ctx context.Context, tx *sql.Tx, s submission) (Job, bool, error) {
	if j, err := q.sameKey(ctx, tx, s); err != nil || j.ID != "" {
		return j, j.ID == s.id, err
	}
	j := Job{ID: s.id, Kind: s.Kind, Principal: s.Principal, Request: s.Request, Source: s.Source, Target: s.Target, State: Queued,
		Key: s.Key, Parent: s.Parent, Schedule: s.Schedule, Created: instant(store.Micros(s.now))}
	res, err := tx.ExecContext(ctx, `INSERT INTO jobs (id, kind, principal, request, source, target, state, client_key, parent, schedule, due, created)
		VALUES ($1, $2, $3, $4, $5, $6, 'queued', $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING`,
		j.ID, j.Kind, j.Principal, string(j.Request), j.Source, j.Target, j.Key, j.Parent, j.Schedule, store.Micros(s.due), store.Micros(s.now))
	if err != nil {
		return Job{}, false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return j, true, err // committed before, with its answer lost
	}
	if err := q.admit(ctx, tx, s); err != nil {
		return Job{}, false, err
	}
	if s.sealed != nil {
		if _, err := tx.ExecContext(ctx, `INSERT INTO job_secrets (job, sealed) VALUES ($1, $2)`, j.ID, s.sealed); err != nil {
			return Job{}, false, err
		}
	}
	if s.Also != nil {
		if err := s.Also(tx, j); err != nil {
			return Job{}, false, err
		}
	}
	return j, true, q.db.Notify(tx, saidQueued, "")
}

// sameKey returns the job that s.Key stands for, or a zero one when it now stands for s.
func (q *Queue) sameKey(ctx context.Context, tx *sql.Tx, s submission) (Job, error) {
	if s.Key == "" {
		return Job{}, nil
	}
	now, hash := store.Micros(s.now), fingerprint(s.Submission)
	if _, err := tx.ExecContext(ctx, `DELETE FROM job_keys WHERE principal = $1 AND client_key = $2 AND created <= $3`,
		s.Principal, s.Key, store.Micros(s.now.Add(-keyDay))); err != nil {
		return Job{}, err
	}
	// Of two at once the second waits here for the first.
	res, err := tx.ExecContext(ctx, `INSERT INTO job_keys (principal, client_key, hash, job, created) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		s.Principal, s.Key, hash, s.id, now)
	if err != nil {
		return Job{}, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return Job{}, err
	}
	var id, other string
	if err := tx.QueryRowContext(ctx, `SELECT job, hash FROM job_keys WHERE principal = $1 AND client_key = $2`, s.Principal, s.Key).Scan(&id, &other); err != nil {
		return Job{}, err
	}
	if other != hash {
		return Job{}, &fault.Fault{Kind: fault.Conflict, Op: "submit job", Name: s.Key,
			Err: errors.New("the key was used for another request within a day"), Hint: "take a new idempotency key for each request"}
	}
	j, err := scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM jobs WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) { // swept from history; the key goes with it
		_, err = tx.ExecContext(ctx, `UPDATE job_keys SET job = $1, created = $2 WHERE principal = $3 AND client_key = $4`, s.id, now, s.Principal, s.Key)
		return Job{}, err
	}
	return j, err
}

// fingerprint tells requests apart; spaces in JSON make no difference. The secret is left out: its
// hash would lie here in the open.
func fingerprint(s Submission) string {
	var flat bytes.Buffer
	if json.Compact(&flat, s.Request) != nil {
		flat.Reset()
		flat.Write(s.Request)
	}
	h := sha256.New()
	for _, part := range [][]byte{[]byte(s.Kind), flat.Bytes(), []byte(s.Source), []byte(s.Target), []byte(s.Parent)} {
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func instant(us int64) time.Time { return store.Time(us) }
