package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// jobs registers the operations on jobs.
func (a *api) jobs() {
	op := func(id, method, path string, status int, text string) operation {
		return operation{
			id: id, method: method, path: path, role: access.Reader, status: status, text: text, tag: "jobs",
		}
	}
	handle(a, op("list-jobs", http.MethodGet, "/jobs", http.StatusOK,
		"List the caller's jobs, the newest first, without their requests; an admin sees all jobs"), a.listJobs)
	handle(a, op("get-job", http.MethodGet, "/jobs/{id}", http.StatusOK,
		"Get a job"), a.getJob)
	handle(a, op("get-report", http.MethodGet, "/jobs/{id}/report", http.StatusOK,
		"Get the report of a job that has ended"), a.getReport)
	handle(a, op("list-items", http.MethodGet, "/jobs/{id}/items", http.StatusOK,
		"List the steps of a job that have ended, in the order in which they ended"), a.listItems)
	handle(a, op("get-log", http.MethodGet, "/jobs/{id}/log", http.StatusOK,
		"Get the log of a job"), a.getLog)
	handle(a, op("cancel-job", http.MethodPost, "/jobs/{id}/cancel", http.StatusAccepted,
		"Cancel a job; requires the role that the job was submitted with"), a.cancel)
	handle(a, op("delete-job", http.MethodDelete, "/jobs/{id}", http.StatusAccepted,
		"Cancel a job, as cancel-job does; the job is kept, in the state canceled"), a.cancel)
	handle(a, op("retry-job", http.MethodPost, "/jobs/{id}/retry", http.StatusAccepted,
		"Retry what failed in a job, as a new job; requires the role that the job was submitted with"), a.retry)
}

// listing holds the parameters of list-jobs, which select jobs.
type listing struct {
	Kinds     []string  `query:"kind" doc:"one or more kinds, separated by commas" enum:"import,copy,tag,batch,transfer,plan,apply,verify"`
	States    []string  `query:"state" doc:"one or more states, separated by commas" enum:"queued,running,waiting,done,partly,failed,canceled"`
	Since     time.Time `query:"since" doc:"submitted at this time or later"`
	Until     time.Time `query:"until" doc:"submitted before this time"`
	Text      string    `query:"text" maxLength:"255" doc:"a part of the source, the target or the id"`
	Principal string    `query:"principal" maxLength:"255" doc:"the owner of the jobs; only an admin sees the jobs of other principals"`
	Schedule  string    `query:"schedule" maxLength:"128"`
	Parent    string    `query:"parent" maxLength:"128" doc:"the job that the listed jobs retry"`
	After     string    `query:"after" maxLength:"128" doc:"the cursor: the value of next from the previous page"`
	Limit     int       `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

// paging holds the parameters of an operation that returns one page of a job's items or log.
type paging struct {
	ByID
	After int64 `query:"after" minimum:"0" maximum:"9007199254740992" doc:"the cursor: the value of next from the previous page"`
	Limit int   `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
}

// listed is the answer of list-jobs: one page of jobs.
type listed struct {
	Link string `header:"Link" doc:"the URL of the next page, with rel=next"`
	Body wire.Jobs
}

// listJobs lists the caller's own jobs, or the jobs of all principals for an admin.
func (a *api) listJobs(ctx context.Context, in *listing) (*listed, error) {
	p := caller(ctx)
	f := in.filter()
	if !p.Admin() {
		if in.Principal != "" && in.Principal != p.Name || p.Name == "" {
			return &listed{Body: wire.Jobs{Jobs: []wire.Job{}}}, nil
		}
		f.Principal = p.Name
	}
	jobs, next, err := a.Queue.List(ctx, f)
	if err != nil {
		return nil, err
	}
	for i := range jobs {
		jobs[i].Request = nil // a request may be a megabyte, too much for a list; get-job returns it
	}
	out := &listed{Body: wire.Jobs{Jobs: append([]wire.Job{}, jobs...), Next: next}}
	if next != "" {
		after := in.filter()
		after.After = next
		out.Link = "<" + wire.Prefix + "/jobs?" + after.Query().Encode() + `>; rel="next"`
	}
	return out, nil
}

// filter returns l as a wire.Filter.
func (l listing) filter() wire.Filter {
	f := wire.Filter{
		Principal: l.Principal,
		Kinds:     l.Kinds,
		Since:     l.Since,
		Until:     l.Until,
		Text:      l.Text,
		Schedule:  l.Schedule,
		Parent:    l.Parent,
		After:     l.After,
		Limit:     l.Limit,
	}
	for _, s := range l.States {
		f.States = append(f.States, wire.State(s))
	}
	return f
}

func (a *api) getJob(ctx context.Context, in *ByID) (*body[wire.Job], error) {
	j, err := a.Verb.Visible(ctx, caller(ctx), in.ID)
	if err == nil {
		j.Blocked, err = a.Verb.Blocked(ctx, j)
	}
	return &body[wire.Job]{j}, err
}

// getReport returns the report of a job that has ended.
func (a *api) getReport(ctx context.Context, in *ByID) (*body[json.RawMessage], error) {
	j, err := a.Verb.Visible(ctx, caller(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	raw, err := a.Queue.Report(ctx, in.ID)
	switch {
	case err != nil:
		return nil, err
	case !j.State.Ended():
		return nil, &fault.Fault{
			Kind:       fault.Conflict,
			Op:         "get report",
			Name:       in.ID,
			Err:        errors.New("the job is " + string(j.State)),
			Hint:       "wait until the job has ended",
			RetryAfter: time.Second,
		}
	case len(raw) == 0:
		return nil, &fault.Fault{
			Kind: fault.NotFound,
			Op:   "get report",
			Name: in.ID,
			Err:  errors.New("the job ended without a report"),
			Hint: "get the job to see why it failed",
		}
	}
	return &body[json.RawMessage]{raw}, nil
}

func (a *api) listItems(ctx context.Context, in *paging) (*body[wire.Items], error) {
	if _, err := a.Verb.Visible(ctx, caller(ctx), in.ID); err != nil {
		return nil, err
	}
	items, err := a.Queue.Items(ctx, in.ID, in.After, in.Limit)
	out := wire.Items{Items: append([]wire.Item{}, items...)}
	size := 0
	for _, it := range items {
		size += len(it.Data)
	}
	if n := len(items); n > 0 && (n == in.Limit || size >= job.PageBytes) {
		out.Next = items[n-1].Seq
	}
	return &body[wire.Items]{out}, err
}

func (a *api) getLog(ctx context.Context, in *paging) (*body[wire.Lines], error) {
	if _, err := a.Verb.Visible(ctx, caller(ctx), in.ID); err != nil {
		return nil, err
	}
	lines, err := a.Queue.Log(ctx, in.ID, in.After, in.Limit)
	out := wire.Lines{Lines: append([]wire.Line{}, lines...)}
	if n := len(lines); n > 0 && n == in.Limit {
		out.Next = lines[n-1].Seq
	}
	return &body[wire.Lines]{out}, err
}

func (a *api) cancel(ctx context.Context, in *ByID) (*body[wire.Job], error) {
	j, err := a.Verb.Cancel(ctx, caller(ctx), in.ID)
	return &body[wire.Job]{j}, err
}

// retrying is a request to retry a job. Its body may hold the logins again, because the server
// does not keep the logins of a job that has ended.
type retrying struct {
	ByID
	Submitting
	Body *wire.Logins
}

func (a *api) retry(ctx context.Context, in *retrying) (*accepted, error) {
	wait, err := waitOf(in.Prefer)
	if err != nil {
		return nil, err
	}
	with := verb.Again{Key: in.Key}
	if in.Body != nil {
		with.Logins = *in.Body
	}
	j, fresh, err := a.verb(ctx).Retry(ctx, caller(ctx), in.ID, with)
	return a.accept(ctx, j, fresh, wait, err)
}
