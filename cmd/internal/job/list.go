package job

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/drayage/dray/cmd/internal/job/live"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
)

// Get returns the job with the given ID. The error is NotFound if there is none.
func (q *Queue) Get(ctx context.Context, id string) (Job, error) {
	j, err := scan(q.db.QueryRowContext(ctx, `SELECT `+columns+` FROM jobs WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Job{}, missing("job", id)
	}
	return j, q.db.Explain("get job", err)
}

func missing(what, id string) error {
	return &fault.Fault{Kind: fault.NotFound, Op: "get " + what, Name: id, Hint: "see " + shell.Dray(what+"s", "list")}
}

// List returns one page of jobs, the newest first. Set Filter.After to next to get the following page;
// next is "" on the last page.
func (q *Queue) List(ctx context.Context, f Filter) (jobs []Job, next string, err error) {
	limit := min(cmp.Or(max(f.Limit, 0), 50), 500)
	like := "LIKE"
	if q.db.Postgres() {
		like = "ILIKE"
	}
	where, args := conditions(f, like)
	args = append(args, limit+1)
	query := fmt.Sprintf(`SELECT %s FROM jobs%s ORDER BY id DESC LIMIT $%d`, columns, where, len(args))
	rows, err := q.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, "", q.db.Explain("list jobs", err)
	}
	defer rows.Close()
	for rows.Next() {
		j, err := scan(rows)
		if err != nil {
			return nil, "", q.db.Explain("list jobs", err)
		}
		if len(jobs) == limit {
			next = jobs[limit-1].ID
			break
		}
		jobs = append(jobs, j)
	}
	return jobs, next, q.db.Explain("list jobs", rows.Err())
}

// conditions returns the WHERE clause of f and its arguments. like is the operator that ignores case:
// LIKE on SQLite, ILIKE on PostgreSQL.
func conditions(f Filter, like string) (where string, args []any) {
	var all []string
	add := func(condition string, arg any) {
		args = append(args, arg)
		all = append(all, strings.ReplaceAll(condition, "?", fmt.Sprintf("$%d", len(args))))
	}
	if f.Principal != "" {
		add("principal = ?", f.Principal)
	}
	if len(f.Kinds) > 0 {
		all = append(all, oneOf("kind", f.Kinds, &args))
	}
	if len(f.States) > 0 {
		all = append(all, oneOf("state", f.States, &args))
		// The condition on ended lets the database use a partial index.
		switch past := slices.ContainsFunc(f.States, State.Ended); {
		case !past:
			all = append(all, "ended = 0")
		case !slices.ContainsFunc(f.States, func(s State) bool { return !s.Ended() }):
			all = append(all, "ended > 0")
		}
	}
	if f.Schedule != "" {
		add("schedule = ?", f.Schedule)
	}
	if f.Parent != "" {
		add("parent = ?", f.Parent)
	}
	// An ID begins with the time of creation, so a range of times is a range of the primary key.
	if !f.Since.IsZero() {
		add("id >= ?", bound(f.Since))
	}
	if !f.Until.IsZero() {
		add("id < ?", bound(f.Until))
	}
	if f.After != "" {
		add("id < ?", f.After)
	}
	if f.Text != "" {
		part := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(f.Text) + "%"
		text := `source LIKE ? ESCAPE '\' OR target LIKE ? ESCAPE '\'`
		// An ID is only compared by its beginning. A range costs less than a third LIKE.
		args = append(args, strings.ToUpper(f.Text))
		text += fmt.Sprintf(` OR (id >= $%d AND id < $%d || '~')`, len(args), len(args))
		add("("+strings.ReplaceAll(text, "LIKE", like)+")", part)
	}
	if len(all) == 0 {
		return "", args
	}
	return " WHERE " + strings.Join(all, " AND "), args
}

func oneOf[T ~string](column string, values []T, args *[]any) string {
	var marks []string
	for _, v := range values {
		*args = append(*args, string(v))
		marks = append(marks, fmt.Sprintf("$%d", len(*args)))
	}
	return column + " IN (" + strings.Join(marks, ", ") + ")"
}

// bound returns the lowest ID that a job created at t or later can have.
func bound(t time.Time) string {
	var id ulid.ULID
	if t.UnixMilli() > 0 {
		_ = id.SetTime(min(ulid.Timestamp(t), ulid.MaxTime())) // it cannot fail up to MaxTime
	}
	return id.String()
}

// Report returns the report that the job's runner returned, or nil if there is none.
func (q *Queue) Report(ctx context.Context, id string) (json.RawMessage, error) {
	if _, err := q.Get(ctx, id); err != nil {
		return nil, err
	}
	var report string
	err := q.db.QueryRowContext(ctx, `SELECT report FROM job_reports WHERE job = $1`, id).Scan(&report)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return raw(report), q.db.Explain("get report of job", err)
}

// PageBytes is the size of a page of items that ends before its limit: no item follows the one with which the page
// reaches this many bytes.
const PageBytes = 4 << 20

// Items returns up to limit items of the latest attempt, beginning after sequence number after; see PageBytes, too. An
// item that is written later has a higher number. A limit of 0 means 1000; the maximum is 10,000.
func (q *Queue) Items(ctx context.Context, id string, after int64, limit int) ([]Item, error) {
	if _, err := q.Get(ctx, id); err != nil {
		return nil, err
	}
	rows, err := q.db.QueryContext(ctx,
		`SELECT seq, data FROM job_items WHERE job = $1 AND seq > $2 ORDER BY seq LIMIT $3`, id, after, page(limit))
	if err != nil {
		return nil, q.db.Explain("list items of job", err)
	}
	defer rows.Close()
	var items []Item
	for size := 0; size < PageBytes && rows.Next(); {
		var it Item
		var data string
		if err := rows.Scan(&it.Seq, &data); err != nil {
			return nil, q.db.Explain("list items of job", err)
		}
		it.Data = raw(data)
		size += len(data)
		items = append(items, it)
	}
	return items, q.db.Explain("list items of job", rows.Err())
}

// Log returns up to limit lines of the log of all attempts, beginning after sequence number after. A
// limit of 0 means 1000; the maximum is 10,000.
func (q *Queue) Log(ctx context.Context, id string, after int64, limit int) ([]Line, error) {
	if _, err := q.Get(ctx, id); err != nil {
		return nil, err
	}
	rows, err := q.db.QueryContext(ctx,
		`SELECT seq, at, text FROM job_log WHERE job = $1 AND seq > $2 ORDER BY seq LIMIT $3`, id, after, page(limit))
	if err != nil {
		return nil, q.db.Explain("read log of job", err)
	}
	defer rows.Close()
	var lines []Line
	for rows.Next() {
		var l Line
		var at int64
		if err := rows.Scan(&l.Seq, &at, &l.Text); err != nil {
			return nil, q.db.Explain("read log of job", err)
		}
		l.At = store.Time(at)
		lines = append(lines, l)
	}
	return lines, q.db.Explain("read log of job", rows.Err())
}

// Watch yields the events of a job that follow sequence number after. With 0 it begins with the oldest
// event that is still kept. The first event is "state", and "state" is repeated when the state changes.
// In between are the events of the run, and the last event is "ended".
//
// If the job runs in another process, or in parts, the events of the run are "log" and "progress", as they
// are written to the database. Events of the run may be missing, if there were more than can be kept; some
// may be repeated, if the watch continues in another process. States are never missing. The sequence ends
// after "ended", or with an error, also when ctx ends.
func (q *Queue) Watch(ctx context.Context, id string, after int64) iter.Seq2[Event, error] {
	j := live.Jobs{Get: q.Get, Log: q.Log, Here: q.ring, Bell: &q.bell, Now: q.now, Bits: eventBits}
	return j.Watch(ctx, id, after)
}

// page returns the number of rows that one query returns: limit, but 1000 for 0 and at most 10,000.
func page(limit int) int { return min(cmp.Or(max(limit, 0), 1000), 10_000) }

// Backlog counts the queued jobs by their pool, and at most statsMost of all. Its cost does not depend on the history.
func (q *Queue) Backlog(ctx context.Context) (map[string]int, error) {
	rows, err := q.db.QueryContext(ctx, `SELECT pool, count(*) FROM (SELECT pool FROM jobs
		WHERE state = 'queued' AND ended = 0 LIMIT $1) AS counted GROUP BY pool`, statsMost)
	if err != nil {
		return nil, q.db.Explain("count queued jobs", err)
	}
	defer rows.Close()
	all := map[string]int{}
	for rows.Next() {
		var in string
		var n int
		if err := rows.Scan(&in, &n); err != nil {
			return nil, q.db.Explain("count queued jobs", err)
		}
		all[in] = n
	}
	return all, q.db.Explain("count queued jobs", rows.Err())
}

// Stats counts the jobs that have not ended, by state, and at most statsMost of each. Its cost does not depend
// on the history.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	s := Stats{Jobs: map[State]int{}}
	for _, state := range []State{Queued, Running, Waiting} {
		var n int
		if err := q.db.QueryRowContext(ctx, countOf(state), statsMost).Scan(&n); err != nil {
			return s, q.db.Explain("count jobs", err)
		}
		s.Jobs[state] = n
	}
	var err error
	s.Oldest, err = q.Oldest(ctx)
	return s, err
}

// countOf returns the query that counts the jobs in a state that is not an end. The state is part of the text,
// so that the planner can use the index of these jobs.
func countOf(state State) string {
	return `SELECT count(*) FROM (SELECT 1 FROM jobs
		WHERE state = '` + string(state) + `' AND ended = 0 LIMIT $1) AS counted`
}

const statsMost = 100_000 // a count of more says the same: far too many

// Oldest returns how long the oldest queued job has waited; 0 if no job is queued. It reads one row.
func (q *Queue) Oldest(ctx context.Context) (time.Duration, error) {
	var created int64
	err := q.db.QueryRowContext(ctx,
		`SELECT created FROM jobs WHERE state = 'queued' AND ended = 0 ORDER BY id LIMIT 1`).Scan(&created)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, q.db.Explain("find the oldest job", err)
	}
	return max(0, q.now().Sub(store.Time(created))), nil
}
