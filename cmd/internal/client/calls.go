package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// How says how a job is submitted. The zero value submits it and does not wait.
type How struct {
	// Key is the idempotency key. If it is "", the client makes one, so that a retry after a lost answer
	// creates no second job.
	Key string

	// Wait is how long the server holds the answer for the job to end: whole seconds (rounded up), at
	// most wire.MaxWait. Zero means no wait.
	Wait time.Duration
}

func (h How) header() http.Header {
	out := http.Header{}
	if h.Key == "" {
		h.Key = rand.Text()
	}
	out.Set("Idempotency-Key", h.Key)
	if h.Wait > 0 {
		out.Set("Prefer", "wait="+strconv.Itoa(int((h.Wait+time.Second-1)/time.Second)))
	}
	return out
}

// paths has the path to which the request of each kind is sent.
var paths = map[string]string{
	wire.KindImport: "/imports", wire.KindCopy: "/copies", wire.KindTag: "/tags", wire.KindBatch: "/batches",
	wire.KindTransfer: "/transfers", wire.KindPlan: "/plans", wire.KindVerify: "/verifications",
}

// Submit submits r as a job and returns the job. The job is durable when Submit returns.
func (c *Client) Submit(ctx context.Context, r wire.Request, how How) (wire.Job, error) {
	q := call{method: http.MethodPost, path: paths[r.Kind], header: how.header(), repeatable: true}
	switch {
	case r.Kind == wire.KindImport && r.Import != nil:
		q.body = r.Import
	case r.Kind == wire.KindCopy && r.Copy != nil:
		q.body = r.Copy
	case r.Kind == wire.KindTag && r.Tag != nil:
		q.body = r.Tag
	case r.Kind == wire.KindBatch && r.Batch != nil:
		q.body = r.Batch
	case r.Kind == wire.KindTransfer && r.Transfer != nil:
		q.body = r.Transfer
	case r.Kind == wire.KindVerify && r.Verify != nil:
		q.body = r.Verify
	case r.Kind == wire.KindApply && r.Apply != nil:
		q.path = "/plans/" + url.PathEscape(r.Apply.Plan) + "/apply"
		q.body = wire.ApplyBody{Follow: r.Apply.Follow, Gates: r.Apply.Gates, IncludeForeign: r.Apply.IncludeForeign,
			Bringing: r.Apply.Bringing, Logins: r.Apply.Logins}
	case r.Kind == wire.KindPlan && r.Plan != nil && r.Plan.File != nil:
		q.path, q.body, q.kind = "/plans/upload", r.Plan.File, "application/jsonl"
	case r.Kind == wire.KindPlan && r.Plan != nil:
		q.body = wire.Planned{
			Import: r.Plan.Import, Copy: r.Plan.Copy, Tag: r.Plan.Tag, Batch: r.Plan.Batch, Transfer: r.Plan.Transfer,
		}
	default:
		return wire.Job{}, &fault.Fault{Kind: fault.Invalid, Op: "submit", Name: r.Kind,
			Err: errors.New("the request has no content for its kind")}
	}
	var j wire.Job
	err := c.do(ctx, q, &j)
	return j, err
}

// Plan returns the file of the plan that job id made. The caller must close it.
func (c *Client) Plan(ctx context.Context, id string) (io.ReadCloser, error) {
	resp, err := c.send(ctx, call{method: http.MethodGet, path: "/plans/" + url.PathEscape(id), repeatable: true})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func jobPath(id, what string) string { return "/jobs/" + url.PathEscape(id) + what }

// Job returns the job with the given ID.
func (c *Client) Job(ctx context.Context, id string) (j wire.Job, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: jobPath(id, ""), repeatable: true}, &j)
	return j, err
}

// Jobs returns one page of jobs, the newest first. Set Filter.After to next to get the following page;
// next is "" on the last page.
func (c *Client) Jobs(ctx context.Context, f wire.Filter) (jobs []wire.Job, next string, err error) {
	var page wire.Jobs
	err = c.do(ctx, call{method: http.MethodGet, path: "/jobs", query: f.Query(), repeatable: true}, &page)
	return page.Jobs, page.Next, err
}

// Cancel requests that a job stops. A running job ends soon after Cancel has returned.
func (c *Client) Cancel(ctx context.Context, id string) (j wire.Job, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: jobPath(id, "/cancel"), repeatable: true}, &j)
	return j, err
}

// Retry submits a new job for the steps that failed in job id. If that job had logins of its own, the
// server deleted them when it ended, and the caller must give them again in with.
func (c *Client) Retry(ctx context.Context, id string, with wire.Logins, how How) (j wire.Job, err error) {
	q := call{method: http.MethodPost, path: jobPath(id, "/retry"), header: how.header(), body: with, repeatable: true}
	err = c.do(ctx, q, &j)
	return j, err
}

// Report returns the report of a job that has ended. It is the JSON that the command of the same verb
// prints.
func (c *Client) Report(ctx context.Context, id string) (raw json.RawMessage, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: jobPath(id, "/report"), repeatable: true}, &raw)
	return raw, err
}

// Items calls visit with each line of a job's report, until visit returns an error.
func (c *Client) Items(ctx context.Context, id string, visit func(wire.Item) error) error {
	return c.ItemsAfter(ctx, id, 0, visit)
}

// ItemsAfter calls visit like Items, but only with the lines that follow sequence number after.
func (c *Client) ItemsAfter(ctx context.Context, id string, after int64, visit func(wire.Item) error) error {
	for {
		var page wire.Items
		query := url.Values{"after": {strconv.FormatInt(after, 10)}, "limit": {strconv.Itoa(pageItems)}}
		q := call{method: http.MethodGet, path: jobPath(id, "/items"), query: query, repeatable: true}
		if err := c.do(ctx, q, &page); err != nil {
			return err
		}
		for _, it := range page.Items {
			if err := visit(it); err != nil {
				return err
			}
		}
		if after = page.Next; after == 0 {
			return nil
		}
	}
}

// Log calls visit with each line of a job's log, until visit returns an error.
func (c *Client) Log(ctx context.Context, id string, visit func(wire.Line) error) error {
	for after := int64(0); ; {
		var page wire.Lines
		query := url.Values{"after": {strconv.FormatInt(after, 10)}, "limit": {strconv.Itoa(pageItems)}}
		q := call{method: http.MethodGet, path: jobPath(id, "/log"), query: query, repeatable: true}
		if err := c.do(ctx, q, &page); err != nil {
			return err
		}
		for _, l := range page.Lines {
			if err := visit(l); err != nil {
				return err
			}
		}
		if after = page.Next; after == 0 {
			return nil
		}
	}
}

// Whoami returns the principal that the server recognizes in the client's requests.
func (c *Client) Whoami(ctx context.Context) (w wire.Whoami, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: "/whoami", repeatable: true}, &w)
	return w, err
}

// Registries returns the registries that the server's configuration names.
func (c *Client) Registries(ctx context.Context) (all wire.Registries, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: "/registries", repeatable: true}, &all)
	return all, err
}

// Workers returns the processes that run jobs.
func (c *Client) Workers(ctx context.Context) ([]wire.Worker, error) {
	var all wire.Workers
	err := c.do(ctx, call{method: http.MethodGet, path: "/workers", repeatable: true}, &all)
	return all.Workers, err
}

func schedulePath(id, what string) string { return "/schedules/" + url.PathEscape(id) + what }

// Schedules returns every schedule that the client may see.
func (c *Client) Schedules(ctx context.Context) ([]wire.Schedule, error) {
	var all wire.Schedules
	err := c.do(ctx, call{method: http.MethodGet, path: "/schedules", repeatable: true}, &all)
	return all.Schedules, err
}

// Schedule returns the schedule with the given ID.
func (c *Client) Schedule(ctx context.Context, id string) (s wire.Schedule, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: schedulePath(id, ""), repeatable: true}, &s)
	return s, err
}

// PutSchedule creates a schedule if id is "", and else changes the schedule with that ID. Creating one
// is not retried, because a second request would create another schedule.
func (c *Client) PutSchedule(ctx context.Context, id string, in wire.ScheduleRequest) (s wire.Schedule, err error) {
	q := call{method: http.MethodPost, path: "/schedules", body: in}
	if id != "" {
		q.method, q.path, q.repeatable = http.MethodPut, schedulePath(id, ""), true
	}
	err = c.do(ctx, q, &s)
	return s, err
}

// DeleteSchedule deletes a schedule. Its jobs stay.
func (c *Client) DeleteSchedule(ctx context.Context, id string) error {
	err := c.do(ctx, call{method: http.MethodDelete, path: schedulePath(id, "")}, nil)
	return err
}

// PauseSchedule stops a schedule from creating jobs until it is resumed.
func (c *Client) PauseSchedule(ctx context.Context, id string) (s wire.Schedule, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: schedulePath(id, "/pause"), repeatable: true}, &s)
	return s, err
}

// ResumeSchedule resumes a paused schedule. What was due in the meantime is skipped.
func (c *Client) ResumeSchedule(ctx context.Context, id string) (s wire.Schedule, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: schedulePath(id, "/resume"), repeatable: true}, &s)
	return s, err
}

// RunSchedule creates the schedule's job now.
func (c *Client) RunSchedule(ctx context.Context, id string) (j wire.Job, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: schedulePath(id, "/run")}, &j)
	return j, err
}

// Tokens returns every API token, without its secret.
func (c *Client) Tokens(ctx context.Context) ([]wire.Token, error) {
	var all wire.Tokens
	err := c.do(ctx, call{method: http.MethodGet, path: "/tokens", repeatable: true}, &all)
	return all.Tokens, err
}

// MakeToken creates an API token. The answer is the only one that contains its secret.
func (c *Client) MakeToken(ctx context.Context, in wire.NewToken) (t wire.MadeToken, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: "/tokens", body: in}, &t)
	return t, err
}

// RevokeToken revokes an API token. The server rejects it from then on.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	err := c.do(ctx, call{method: http.MethodDelete, path: "/tokens/" + url.PathEscape(id), repeatable: true}, nil)
	return err
}

// Secrets returns every stored login, without the login itself.
func (c *Client) Secrets(ctx context.Context) ([]wire.Secret, error) {
	var all wire.Secrets
	err := c.do(ctx, call{method: http.MethodGet, path: "/secrets", repeatable: true}, &all)
	return all.Secrets, err
}

// PutSecret stores a login under the name id. It replaces a stored login of that name.
func (c *Client) PutSecret(ctx context.Context, id string, in wire.PutSecret) error {
	err := c.do(ctx, call{method: http.MethodPut, path: "/secrets/" + url.PathEscape(id), body: in, repeatable: true}, nil)
	return err
}

// DeleteSecret deletes a stored login.
func (c *Client) DeleteSecret(ctx context.Context, id string) error {
	err := c.do(ctx, call{method: http.MethodDelete, path: "/secrets/" + url.PathEscape(id)}, nil)
	return err
}

// Audit returns one page of the audit log: the entries that follow sequence number after. Pass next as
// after to get the following page; next is 0 on the last page.
func (c *Client) Audit(ctx context.Context, after int64) (entries []wire.Entry, next int64, err error) {
	var page wire.Entries
	query := url.Values{"after": {strconv.FormatInt(after, 10)}}
	err = c.do(ctx, call{method: http.MethodGet, path: "/audit", query: query, repeatable: true}, &page)
	return page.Entries, page.Next, err
}

// Head returns the signed head of the audit log.
func (c *Client) Head(ctx context.Context) (h wire.Head, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: "/audit/head", repeatable: true}, &h)
	return h, err
}

// VerifyAudit makes the server check whether the audit log is complete and unchanged.
func (c *Client) VerifyAudit(ctx context.Context) (v wire.Verdict, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: "/audit/verification", repeatable: true}, &v)
	return v, err
}
