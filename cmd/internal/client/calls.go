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

// How says how a job is submitted.
type How struct {
	Key  string        // idempotency key; "" makes one, so that a request whose answer was lost makes no second job
	Wait time.Duration // hold the answer until the job ends, up to a minute
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

// paths are where each verb is asked for.
var paths = map[string]string{
	wire.KindImport: "/imports", wire.KindCopy: "/copies", wire.KindTag: "/tags", wire.KindBatch: "/batches",
	wire.KindTransfer: "/transfers", wire.KindPlan: "/plans", wire.KindVerify: "/verifications",
}

// Submit makes a job of r. It is durable when Submit returns.
func (c *Client) Submit(ctx context.Context, r wire.Request, how How) (wire.Job, error) {
	q := call{method: http.MethodPost, path: paths[r.Kind], header: how.header(), twice: true}
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
		q.path, q.body = "/plans/"+url.PathEscape(r.Apply.Plan)+"/apply", wire.ApplyBody{Follow: r.Apply.Follow, Logins: r.Apply.Logins}
	case r.Kind == wire.KindPlan && r.Plan != nil && r.Plan.File != nil:
		q.path, q.body, q.kind = "/plans/upload", r.Plan.File, "application/jsonl"
	case r.Kind == wire.KindPlan && r.Plan != nil:
		q.body = wire.Planned{Import: r.Plan.Import, Copy: r.Plan.Copy, Tag: r.Plan.Tag, Batch: r.Plan.Batch, Transfer: r.Plan.Transfer}
	default:
		return wire.Job{}, &fault.Fault{Kind: fault.Invalid, Op: "submit", Name: r.Kind, Err: errors.New("the request says nothing of its kind")}
	}
	var j wire.Job
	_, err := c.do(ctx, q, &j)
	return j, err
}

// Plan returns the file of a plan; it is to be closed.
func (c *Client) Plan(ctx context.Context, id string) (io.ReadCloser, error) {
	resp, err := c.send(ctx, call{method: http.MethodGet, path: "/plans/" + url.PathEscape(id), twice: true})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func jobPath(id, what string) string { return "/jobs/" + url.PathEscape(id) + what }

// Job returns one.
func (c *Client) Job(ctx context.Context, id string) (j wire.Job, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: jobPath(id, ""), twice: true}, &j)
	return j, err
}

// Jobs returns a page of them, the newest first, and next, which is Filter.After of the page
// behind it; "" when this is the last.
func (c *Client) Jobs(ctx context.Context, f wire.Filter) (jobs []wire.Job, next string, err error) {
	var page wire.Jobs
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/jobs", query: f.Query(), twice: true}, &page)
	return page.Jobs, page.Next, err
}

// Cancel asks a job to stop.
func (c *Client) Cancel(ctx context.Context, id string) (j wire.Job, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: jobPath(id, "/cancel"), twice: true}, &j)
	return j, err
}

// Retry makes a job of what failed in another; with brings logins again that it had brought.
func (c *Client) Retry(ctx context.Context, id string, with wire.Logins, how How) (j wire.Job, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: jobPath(id, "/retry"), header: how.header(), body: with, twice: true}, &j)
	return j, err
}

// Report is what a job that has ended did, in the form that its verb prints as JSON.
func (c *Client) Report(ctx context.Context, id string) (raw json.RawMessage, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: jobPath(id, "/report"), twice: true}, &raw)
	return raw, err
}

// Items calls visit with each line of a job's report, until visit returns an error.
func (c *Client) Items(ctx context.Context, id string, visit func(wire.Item) error) error {
	return c.ItemsAfter(ctx, id, 0, visit)
}

// ItemsAfter is Items for those that come after the one of sequence number after.
func (c *Client) ItemsAfter(ctx context.Context, id string, after int64, visit func(wire.Item) error) error {
	for {
		var page wire.Items
		query := url.Values{"after": {strconv.FormatInt(after, 10)}, "limit": {strconv.Itoa(pageItems)}}
		if _, err := c.do(ctx, call{method: http.MethodGet, path: jobPath(id, "/items"), query: query, twice: true}, &page); err != nil {
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
		if _, err := c.do(ctx, call{method: http.MethodGet, path: jobPath(id, "/log"), query: query, twice: true}, &page); err != nil {
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

// Whoami is who the server takes the client for.
func (c *Client) Whoami(ctx context.Context) (w wire.Whoami, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/whoami", twice: true}, &w)
	return w, err
}

// Registries are those that the server knows by name.
func (c *Client) Registries(ctx context.Context) ([]wire.Registry, error) {
	var all wire.Registries
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/registries", twice: true}, &all)
	return all.Registries, err
}

// Schedules lists them.
func (c *Client) Schedules(ctx context.Context) ([]wire.Schedule, error) {
	var all wire.Schedules
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/schedules", twice: true}, &all)
	return all.Schedules, err
}

// Schedule returns one.
func (c *Client) Schedule(ctx context.Context, id string) (s wire.Schedule, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/schedules/" + url.PathEscape(id), twice: true}, &s)
	return s, err
}

// PutSchedule makes a schedule, or with an id changes that one.
func (c *Client) PutSchedule(ctx context.Context, id string, in wire.ScheduleRequest) (s wire.Schedule, err error) {
	q := call{method: http.MethodPost, path: "/schedules", body: in}
	if id != "" {
		q.method, q.path, q.twice = http.MethodPut, "/schedules/"+url.PathEscape(id), true
	}
	_, err = c.do(ctx, q, &s)
	return s, err
}

// DeleteSchedule forgets one; its jobs stay.
func (c *Client) DeleteSchedule(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/schedules/" + url.PathEscape(id)}, nil)
	return err
}

// PauseSchedule lets it not fire.
func (c *Client) PauseSchedule(ctx context.Context, id string) (s wire.Schedule, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: "/schedules/" + url.PathEscape(id) + "/pause", twice: true}, &s)
	return s, err
}

// ResumeSchedule lets it fire again, from now on.
func (c *Client) ResumeSchedule(ctx context.Context, id string) (s wire.Schedule, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: "/schedules/" + url.PathEscape(id) + "/resume", twice: true}, &s)
	return s, err
}

// RunSchedule makes its job now.
func (c *Client) RunSchedule(ctx context.Context, id string) (j wire.Job, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: "/schedules/" + url.PathEscape(id) + "/run"}, &j)
	return j, err
}

// Tokens lists them, without their secrets.
func (c *Client) Tokens(ctx context.Context) ([]wire.Token, error) {
	var all wire.Tokens
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/tokens", twice: true}, &all)
	return all.Tokens, err
}

// MakeToken makes one; its secret is shown once.
func (c *Client) MakeToken(ctx context.Context, in wire.NewToken) (t wire.MadeToken, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: "/tokens", body: in}, &t)
	return t, err
}

// RevokeToken ends one at once.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/tokens/" + url.PathEscape(id), twice: true}, nil)
	return err
}

// Secrets lists the stored logins, without the logins.
func (c *Client) Secrets(ctx context.Context) ([]wire.Secret, error) {
	var all wire.Secrets
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/secrets", twice: true}, &all)
	return all.Secrets, err
}

// PutSecret stores a login.
func (c *Client) PutSecret(ctx context.Context, id string, in wire.PutSecret) error {
	_, err := c.do(ctx, call{method: http.MethodPut, path: "/secrets/" + url.PathEscape(id), body: in, twice: true}, nil)
	return err
}

// DeleteSecret forgets a login.
func (c *Client) DeleteSecret(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/secrets/" + url.PathEscape(id)}, nil)
	return err
}

// Audit returns a page of the audit log, and next, which is after of the page behind it; 0 when this is the last.
func (c *Client) Audit(ctx context.Context, after int64) (entries []wire.Entry, next int64, err error) {
	var page wire.Entries
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/audit", query: url.Values{"after": {strconv.FormatInt(after, 10)}}, twice: true}, &page)
	return page.Entries, page.Next, err
}

// VerifyAudit says whether the audit log is whole.
func (c *Client) VerifyAudit(ctx context.Context) (v wire.Verdict, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/audit/verification", twice: true}, &v)
	return v, err
}
