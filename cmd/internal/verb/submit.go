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

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// Submit submits r as a job that p owns. The job is durable when Submit returns. fresh is false if p has
// already used key for the same request; then Submit returns the job of that request.
//
// Errors are Invalid for a request that cannot be read, Denied if no rule grants it, Refused for a
// request that a server does not carry out, Conflict if key was used for another request, and those of
// the queue.
func (s *Service) Submit(
	ctx context.Context, p access.Principal, r wire.Request, key string,
) (j job.Job, fresh bool, err error) {
	sub, err := s.Prepare(ctx, p, r)
	if err != nil {
		return job.Job{}, false, err
	}
	sub.Key = key
	return s.queue.Submit(ctx, sub)
}

// Prepare does the checks of Submit and returns what Submit would give to the queue. It submits nothing.
func (s *Service) Prepare(ctx context.Context, p access.Principal, r wire.Request) (job.Submission, error) {
	if p.Via == access.ViaNothing || p.Name == "" {
		return job.Submission{}, &fault.Fault{Kind: fault.Denied, Op: "submit", Name: r.Kind,
			Err: errors.New("an anonymous client cannot submit jobs"), Hint: "log in"}
	}
	if err := checkVerb(r); err != nil {
		return job.Submission{}, err
	}
	now := time.Now()
	if err := s.check(r, now); err != nil {
		return job.Submission{}, err
	}
	if r.Kind == wire.KindApply {
		if err := s.checkPlan(ctx, p, r.Apply.Plan); err != nil {
			return job.Submission{}, err
		}
	}
	asks, err := s.allow(ctx, p, r, now)
	if err != nil {
		return job.Submission{}, err
	}
	in, err := s.poolOf(asks)
	if r.Kind == wire.KindApply {
		in, err = s.poolOfPlan(ctx, r.Apply.Plan, asks)
	}
	if err != nil {
		return job.Submission{}, err
	}
	if r, err = s.withoutSubscription(r); err != nil {
		return job.Submission{}, err
	}
	return s.submission(p, r, row{}, in)
}

// withoutSubscription replaces each ARM resource ID by the host that it stands for. The ID contains a
// subscription, which must not appear in a list of jobs.
func (s *Service) withoutSubscription(r wire.Request) (wire.Request, error) {
	imported, batched := &r.Import, &r.Batch
	if r.Plan != nil {
		p := *r.Plan
		r.Plan, imported, batched = &p, &p.Import, &p.Batch
	}
	if *imported != nil {
		in := **imported
		*imported = &in
		if err := s.toHost(&in.SourceRegistry, fault.Source); err != nil {
			return r, err
		}
		if err := s.toHost(&in.Target, fault.Target); err != nil {
			return r, err
		}
	}
	if *batched != nil {
		in := **batched
		*batched = &in
		return r, s.toHost(&in.Target, fault.Target)
	}
	return r, nil
}

// toHost replaces registry by its host if it is an ARM resource ID.
func (s *Service) toHost(registry *string, side fault.Side) error {
	if !strings.HasPrefix(*registry, "/") {
		return nil
	}
	host, err := s.dray.RegistryHost(*registry, side, nil)
	*registry = host
	return err
}

// submission returns the submission of r to the pool in. It stores r without its logins in a row with the other
// fields of as.
func (s *Service) submission(p access.Principal, r wire.Request, as row, in string) (job.Submission, error) {
	bare, hidden, err := splitLogins(r)
	if err != nil {
		return job.Submission{}, err
	}
	as.Request, as.Words, as.Role, as.Via, as.Inline = bare, "", p.Role, p.Via, hidden.inline()
	hosts, fallback := as.Hosts, as.Default
	as.Hosts, as.Default = nil, ""
	// Without the words, as dray may repeat what another client began, and without hosts, as it may do so at
	// another server.
	same, err := json.Marshal(as)
	as.Words, as.Hosts, as.Default = s.words, hosts, fallback
	bad := s.pin(&as, in)
	raw, e := json.Marshal(as)
	if err = cmp.Or(err, bad, e); err != nil {
		return job.Submission{}, &fault.Fault{Kind: fault.Internal, Op: "store request", Err: err}
	}
	sub := job.Submission{Kind: r.Kind, Principal: p.Name, Request: raw, Same: same, Pool: in}
	sub.Source, sub.Target = names(bare)
	if sub.Secret, err = hidden.seal(); err != nil {
		return job.Submission{}, err
	}
	sub.Also = func(ctx context.Context, tx *sql.Tx, j job.Job) error { return s.submitted(ctx, tx, j) }
	return sub, nil
}

func (s *Service) submitted(ctx context.Context, tx *sql.Tx, j job.Job) error {
	return s.access.Audit(ctx, tx, access.Entry{
		Principal: j.Principal, Verb: "submit " + j.Kind, Source: j.Source, Target: j.Target, New: j.ID,
	})
}

// names returns the source and the target of r for a list of jobs, in which people search for them.
func names(r wire.Request) (source, target string) {
	switch {
	case r.Import != nil:
		source = r.Import.Source
		if host := r.Import.SourceRegistry; host != "" {
			source = host + "/" + source
		}
		images := shown(slices.Concat(r.Import.Images, r.Import.Repositories))
		return source, strings.TrimPrefix(r.Import.Target+" "+images, " ")
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

// shown joins the first four names. "…" stands for the rest.
func shown(names []string) string {
	const most = 4
	if len(names) > most {
		names = append(slices.Clone(names[:most]), "…")
	}
	return strings.Join(names, " ")
}
