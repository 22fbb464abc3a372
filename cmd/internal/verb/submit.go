package verb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

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
