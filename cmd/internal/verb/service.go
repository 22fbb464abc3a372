package verb

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// Config is what a Service stands on; all of it is required but the last two.
type Config struct {
	Dray   *dray.Dray // its Dial should be that of an access.Egress
	Queue  *job.Queue
	Access *access.Access
	DB     *store.DB // the one of Queue and Access, for the audit log
	Tool   string    // "dray 1.2.3", for receipts

	Observe event.Observer // is told what all jobs do; nil is nobody
}

// Service takes requests in and carries them out. It is safe for concurrent use.
type Service struct {
	dray   *dray.Dray
	queue  *job.Queue
	access *access.Access
	db     *store.DB
	tool   string
	watch  event.Observer
}

// New wires c. It does no I/O.
func New(c Config) *Service {
	return &Service{dray: c.Dray.Apart(), queue: c.Queue, access: c.Access, db: c.DB, tool: cmp.Or(c.Tool, "dray"), watch: c.Observe}
}

// Submit makes a job of r in p's name; it is durable when Submit returns. fresh is false where
// key, of this principal, stands for a job already. Errors are Invalid for what can not be read,
// Denied for what no rule grants, Refused for what a server does not do, Conflict for a key that
// was used for another request, and the queue's.
func (s *Service) Submit(ctx context.Context, p access.Principal, r wire.Request, key string) (j job.Job, fresh bool, err error) {
	sub, err := s.Prepare(ctx, p, r)
	if err != nil {
		return job.Job{}, false, err
	}
	sub.Key = key
	return s.queue.Submit(ctx, sub)
}

// Prepare is Submit without the queue: what would be submitted, if p may.
func (s *Service) Prepare(ctx context.Context, p access.Principal, r wire.Request) (job.Submission, error) {
	if p.Via == access.ViaNothing || p.Name == "" {
		return job.Submission{}, &fault.Fault{Kind: fault.Denied, Op: "submit", Name: r.Kind, Err: errors.New("jobs are somebody's"), Hint: "log in"}
	}
	if err := shape(r); err != nil {
		return job.Submission{}, err
	}
	now := time.Now()
	if err := s.check(r, now); err != nil {
		return job.Submission{}, err
	}
	if r.Kind == wire.KindApply {
		if _, err := s.plan(ctx, p, r.Apply.Plan); err != nil {
			return job.Submission{}, err
		}
	}
	if err := s.allow(ctx, p, r, now); err != nil {
		return job.Submission{}, err
	}
	if r.Plan != nil && r.Plan.Uploaded {
		sent := *r.Plan
		sent.Digest = string(oci.Sum(sent.File))
		r.Plan = &sent
	}
	r, err := s.plainly(r)
	if err != nil {
		return job.Submission{}, err
	}
	return s.submission(p, r, row{})
}

// plainly replaces an ARM resource ID by the host that it means: it names a subscription, which
// nobody has to read in a list of jobs.
func (s *Service) plainly(r wire.Request) (wire.Request, error) {
	at := &r.Import
	if r.Plan != nil {
		p := *r.Plan
		r.Plan, at = &p, &p.Import
	}
	if *at == nil || !strings.HasPrefix((*at).SourceRegistry, "/") {
		return r, nil
	}
	host, err := s.dray.RegistryHost((*at).SourceRegistry)
	in := **at
	in.SourceRegistry, *at = host, &in
	return r, err
}

// submission stores r, less its logins, in a row like as.
func (s *Service) submission(p access.Principal, r wire.Request, as row) (job.Submission, error) {
	bare, hidden, err := part(r)
	if err != nil {
		return job.Submission{}, err
	}
	as.Request, as.Role, as.Via, as.Inline = bare, p.Role, p.Via, hidden.inline()
	raw, err := json.Marshal(as)
	if err != nil {
		return job.Submission{}, &fault.Fault{Kind: fault.Internal, Op: "store request", Err: err}
	}
	sub := job.Submission{Kind: r.Kind, Principal: p.Name, Request: raw}
	sub.Source, sub.Target = names(bare)
	if sub.Secret, err = hidden.seal(); err != nil {
		return job.Submission{}, err
	}
	sub.Also = func(tx *sql.Tx, j job.Job) error { return s.submitted(tx, j) }
	return sub, nil
}

func (s *Service) submitted(tx *sql.Tx, j job.Job) error {
	return s.access.Audit(tx, access.Entry{Principal: j.Principal, Verb: "submit " + j.Kind, Source: j.Source, Target: j.Target, New: j.ID})
}

// names are what a person would search for of r.
func names(r wire.Request) (source, target string) {
	switch {
	case r.Import != nil:
		source = r.Import.Source
		if host := r.Import.SourceRegistry; host != "" {
			source = host + "/" + source
		}
		return source, strings.TrimPrefix(r.Import.Target+" "+shown(append(slices.Clone(r.Import.Images), r.Import.Repositories...)), " ")
	case r.Copy != nil:
		return r.Copy.Source, shown(r.Copy.Targets)
	case r.Tag != nil:
		return r.Tag.Image, shown(append(slices.Clone(r.Tag.Tags), r.Tag.Map...))
	case r.Batch != nil:
		var sources []string
		for _, e := range r.Batch.Entries {
			sources = append(sources, e.Source)
		}
		return shown(sources), r.Batch.Target
	case r.Transfer != nil:
		return shown(r.Transfer.Sources), shown(append([]string{r.Transfer.Target}, r.Transfer.Also...))
	case r.Verify != nil:
		return shown(r.Verify.Sources), shown(append([]string{r.Verify.Target}, r.Verify.Also...))
	case r.Apply != nil:
		return "plan " + r.Apply.Plan, ""
	case r.Plan != nil && !r.Plan.Uploaded:
		return names(r.Plan.Of())
	}
	return "", ""
}

// shown is the first of names, as many as a line of a list takes.
func shown(names []string) string {
	const most = 4
	if len(names) > most {
		names = append(slices.Clone(names[:most]), "…")
	}
	return strings.Join(names, " ")
}

// Visible returns a job that p may see: its own, and all of them an admin. Any other is NotFound.
func (s *Service) Visible(ctx context.Context, p access.Principal, id string) (job.Job, error) {
	j, err := s.queue.Get(ctx, id)
	if err != nil {
		return job.Job{}, err
	}
	if !p.Admin() && (p.Name == "" || p.Name != j.Principal) {
		return job.Job{}, &fault.Fault{Kind: fault.NotFound, Op: "get job", Name: id}
	}
	return j, nil
}

// Cancel asks a job to stop. It takes the role with which the job was submitted.
func (s *Service) Cancel(ctx context.Context, p access.Principal, id string) (job.Job, error) {
	j, err := s.Visible(ctx, p, id)
	if err != nil {
		return job.Job{}, err
	}
	if _, err := readRow(p, j.Request); err != nil {
		return job.Job{}, err
	}
	return s.queue.Cancel(ctx, id, func(tx *sql.Tx) error {
		return s.access.Audit(tx, access.Entry{Principal: p.Name, Verb: "cancel " + j.Kind, Source: j.Source, Target: j.Target, Old: j.ID})
	})
}

// readRow reads a stored request for p, who needs the role of the one who made it.
func readRow(p access.Principal, raw json.RawMessage) (row, error) {
	var r row
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, &fault.Fault{Kind: fault.Internal, Op: "read request", Err: err}
	}
	if !p.Role.Covers(r.Role) {
		return r, &fault.Fault{Kind: fault.Denied, Op: "allow " + p.Name, Name: r.Kind, Err: errors.New("it was made by a " + string(r.Role)), Hint: "use a token of that role"}
	}
	return r, nil
}

// Again is what a retry may bring along.
type Again struct {
	wire.Logins
	Key string `json:"-"`
}

// Retry makes a job of what failed in one that has ended: of an import, copy, tag, batch or
// transfer the steps that failed or were not begun, where it had got so far, else all of it again.
// Logins that the job had brought were wiped and have to be given again.
func (s *Service) Retry(ctx context.Context, p access.Principal, id string, with Again) (job.Job, bool, error) {
	j, err := s.Visible(ctx, p, id)
	if err != nil {
		return job.Job{}, false, err
	}
	r, err := readRow(p, j.Request)
	if err != nil {
		return job.Job{}, false, err
	}
	refuse := func(kind fault.Kind, cause, hint string) (job.Job, bool, error) {
		return job.Job{}, false, &fault.Fault{Kind: kind, Op: "retry job", Name: id, Err: errors.New(cause), Hint: hint}
	}
	given := secret{Source: with.SourceLogin, Target: with.TargetLogin}
	switch {
	case !j.State.Ended():
		return refuse(fault.Conflict, "it is "+string(j.State), "wait for its end, or cancel it")
	case j.State == job.Done:
		return refuse(fault.Conflict, "nothing of it failed", "submit it again")
	case r.Plan != nil && r.Plan.Uploaded:
		return refuse(fault.Invalid, "the file was wiped when it was read", "send it again")
	}
	for _, side := range r.Inline {
		if !slices.Contains(given.inline(), side) {
			return refuse(fault.Invalid, "it came with a login for the "+side+", which was wiped when it ended", "give "+side+"Login again")
		}
	}
	if err := s.allow(ctx, p, r.Request, time.Now()); err != nil {
		return job.Job{}, false, err
	}
	parent := j.ID
	if some, err := s.anyFailed(ctx, j); err != nil {
		return job.Job{}, false, err
	} else if some {
		r.Failed = true
	} else if r.Failed { // it was a retry, and did not get so far
		parent = j.Parent
	}
	join(&r.Request, given)
	sub, err := s.submission(p, r.Request, r)
	if err != nil {
		return job.Job{}, false, err
	}
	sub.Parent, sub.Key = parent, with.Key
	return s.queue.Submit(ctx, sub)
}
