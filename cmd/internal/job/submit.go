package job

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// Submit creates a job. The job is durable when Submit returns. If s.Key already stands for a job of the
// same request, Submit returns that job, and fresh is false.
//
// Errors are Invalid without a kind or a principal, Refused for a secret without a Sealer, Conflict for a
// key of another request, Throttled if the principal has too many queued jobs, and those of s.Also and
// of the database. Submit drops s.File if it creates no job.
func (q *Queue) Submit(ctx context.Context, s Submission) (j Job, fresh bool, err error) {
	if s.Kind == "" || s.Principal == "" {
		return Job{}, false, &fault.Fault{Kind: fault.Invalid, Op: "submit job",
			Err: errors.New("the kind or the principal is missing")}
	}
	sub := submission{Submission: s, now: q.now()}
	if s.File != nil {
		sub.id, sub.now = s.File.id, s.File.at // so that the ID still begins with the time of creation
		defer func() {
			if (err != nil || !fresh) && !errors.Is(err, store.ErrUncertain) {
				s.File.Drop(ctx)
			}
		}()
		if err := s.File.store(ctx); err != nil {
			return Job{}, false, err
		}
	} else {
		sub.id = q.id(sub.now)
	}
	if sub.sealed, err = q.seal(s.Secret, sub.id); err != nil {
		return Job{}, false, err
	}
	for n := 1; ; n++ {
		err = q.db.Tx(ctx, func(tx *sql.Tx) (err error) {
			j, fresh, err = q.insert(ctx, tx, sub)
			return err
		})
		// Every attempt has the same ID. So a job that was committed although its answer was lost is found.
		if n == tries || !errors.Is(err, store.ErrUncertain) || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return Job{}, false, q.db.Explain("submit job", err)
	}
	q.engine.Kick()
	return j, fresh, nil
}

func (q *Queue) seal(secret []byte, id string) ([]byte, error) {
	if secret == nil {
		return nil, nil
	}
	if q.cfg.Seal == nil {
		return nil, &fault.Fault{Kind: fault.Refused, Op: "submit job",
			Err: errors.New("this server has no key to seal secrets")}
	}
	sealed, err := q.cfg.Seal.Seal(secret, sealedName(id))
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Internal, Op: "seal secret of job", Name: id, Err: err}
	}
	return sealed, nil
}

func (q *Queue) insert(ctx context.Context, tx *sql.Tx, s submission) (Job, bool, error) {
	if j, err := q.sameKey(ctx, tx, s); err != nil || j.ID != "" {
		return j, j.ID == s.id, err
	}
	j := Job{ID: s.id, Kind: s.Kind, Principal: s.Principal, Request: s.Request, Source: s.Source, Target: s.Target,
		Pool: s.Pool, State: Queued, Key: s.Key, Parent: s.Parent, Schedule: s.Schedule,
		Created: instant(store.Micros(s.now))}
	res, err := tx.ExecContext(ctx, `INSERT INTO jobs
		(id, kind, principal, request, source, target, pool, state, client_key, parent, schedule, due, created)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', $8, $9, $10, $11, $12) ON CONFLICT (id) DO NOTHING`,
		j.ID, j.Kind, j.Principal, string(j.Request), j.Source, j.Target, j.Pool, j.Key, j.Parent, j.Schedule,
		store.Micros(s.due), store.Micros(s.now))
	if err != nil {
		return Job{}, false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return j, true, err // An earlier attempt was committed, and its answer was lost.
	}
	if err := q.admit(ctx, tx, s); err != nil {
		return Job{}, false, err
	}
	if s.sealed != nil {
		_, err := tx.ExecContext(ctx, `INSERT INTO job_secrets (job, sealed) VALUES ($1, $2)`, j.ID, s.sealed)
		if err != nil {
			return Job{}, false, err
		}
	}
	if s.Also != nil {
		if err := s.Also(ctx, tx, j); err != nil {
			return Job{}, false, err
		}
	}
	return j, true, q.engine.Order(ctx, tx, Order{Kind: OrderStart, ID: j.ID, Principal: j.Principal})
}

// sameKey returns the job that s.Key stands for. If there is none, it records that the key stands for s
// and returns a zero Job.
func (q *Queue) sameKey(ctx context.Context, tx *sql.Tx, s submission) (Job, error) {
	if s.Key == "" {
		return Job{}, nil
	}
	now, hash := store.Micros(s.now), fingerprint(s.Submission)
	if _, err := tx.ExecContext(ctx, `DELETE FROM job_keys WHERE principal = $1 AND client_key = $2 AND created <= $3`,
		s.Principal, s.Key, store.Micros(s.now.Add(-keyLife))); err != nil {
		return Job{}, err
	}
	// If two requests with the same key arrive at the same time, the second one waits here for the first.
	res, err := tx.ExecContext(ctx, `INSERT INTO job_keys (principal, client_key, hash, job, created)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, s.Principal, s.Key, hash, s.id, now)
	if err != nil {
		return Job{}, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return Job{}, err
	}
	var id, other string
	if err := tx.QueryRowContext(ctx, `SELECT job, hash FROM job_keys WHERE principal = $1 AND client_key = $2`,
		s.Principal, s.Key).Scan(&id, &other); err != nil {
		return Job{}, err
	}
	if other != hash {
		return Job{}, &fault.Fault{Kind: fault.Conflict, Op: "submit job", Name: s.Key,
			Err:  errors.New("the idempotency key was used for another request within a day"),
			Hint: "use a new idempotency key for each request"}
	}
	j, err := scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM jobs WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) { // The job was deleted from history, so the key is free again.
		_, err = tx.ExecContext(ctx,
			`UPDATE job_keys SET job = $1, created = $2 WHERE principal = $3 AND client_key = $4`,
			s.id, now, s.Principal, s.Key)
		return Job{}, err
	}
	return j, err
}

// keyLife is how long an idempotency key stands for its job.
const keyLife = 24 * time.Hour

// fingerprint returns a hash that tells requests apart. White space in JSON makes no difference. The hash
// does not include the secret, because it is stored unencrypted.
func fingerprint(s Submission) string {
	same := s.Same
	if same == nil {
		same = s.Request
	}
	var flat bytes.Buffer
	if json.Compact(&flat, same) != nil {
		flat.Reset()
		flat.Write(same)
	}
	h := sha256.New()
	for _, part := range [][]byte{[]byte(s.Kind), flat.Bytes(), []byte(s.Source), []byte(s.Target), []byte(s.Parent)} {
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

const (
	recount     = time.Second            // how long a count is used
	recountFull = 100 * time.Millisecond // how long a count is used if it refuses jobs
	backlogs    = 1000                   // maximum number of principals with a remembered count
)

// admit returns Throttled if s, which was just inserted, is more than its principal may have queued. The
// caller then rolls the transaction back.
//
// The cost of counting grows with the number of jobs, so admit uses a count for some time. With several
// processes, each may admit some jobs too many. The firing of a schedule is always admitted, because a
// schedule has at most one job at a time.
func (q *Queue) admit(ctx context.Context, tx *sql.Tx, s submission) error {
	if !s.due.IsZero() {
		return nil
	}
	now, most := time.Now(), q.cfg.QueuedMost
	q.mu.Lock()
	b := q.backlogs[s.Principal]
	q.mu.Unlock()
	b.queued++
	if age := now.Sub(b.counted); age > recount || b.queued > most && age > recountFull {
		by := ""
		if !q.db.Postgres() { // which has no statistics of the table, and might read the history of the principal
			by = " INDEXED BY jobs_queued"
		}
		count := `SELECT count(*) FROM (
			SELECT 1 FROM jobs` + by + ` WHERE state = 'queued' AND principal = $1 LIMIT $2) AS counted`
		if err := tx.QueryRowContext(ctx, count, s.Principal, most+1).Scan(&b.queued); err != nil {
			return err
		}
		b.counted = now
	}
	full := b.queued > most
	if full {
		b.queued-- // the refused job is rolled back
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, known := q.backlogs[s.Principal]; !known && len(q.backlogs) >= backlogs {
		clear(q.backlogs)
	}
	q.backlogs[s.Principal] = b
	if full {
		return &fault.Fault{Kind: fault.Throttled, Op: "submit job", Name: s.Principal, RetryAfter: 5 * time.Second,
			Err:  fmt.Errorf("the principal has %d jobs queued", most),
			Hint: "wait until some of them have ended, or raise server.per-principal.queued-jobs"}
	}
	return nil
}
