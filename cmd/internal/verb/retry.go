package verb

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/verb/share"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Retry submits a new job for what failed in job id, which must have ended. For an import, copy, tag,
// batch or transfer, the new job repeats only the steps that failed or did not start. If the old job has
// no such steps or was canceled, or if it has another kind, the new job repeats all of it.
//
// Logins that came with the old job were deleted when it ended, so the caller must give them again in
// with. fresh is false if with.Key already stands for a job. Errors are Conflict if the job has not
// ended or nothing failed, Invalid if a login or the uploaded file is missing, and those of Submit.
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
		return refuse(fault.Conflict, "the job is "+string(j.State), "wait until it has ended, or cancel it")
	case j.State == job.Done:
		return refuse(fault.Conflict, "no step of the job failed", "submit the request again")
	case r.Plan != nil && r.Plan.Uploaded:
		return refuse(fault.Invalid, "the uploaded plan was deleted when the job read it", "upload it again")
	}
	for _, side := range r.Inline {
		if !slices.Contains(given.inline(), side) {
			return refuse(fault.Invalid,
				"the job's login for the "+side+" was deleted when the job ended", "give "+s.words.Login(fault.Side(side))+" again")
		}
	}
	as := r
	as.Words = s.words
	if _, err := s.reading(as).allow(ctx, p, r.Request, time.Now()); err != nil {
		return job.Job{}, false, err
	}
	parent := j.ID
	if some, err := s.anyFailed(ctx, j); err != nil {
		return job.Job{}, false, err
	} else if some {
		r.Failed = true
	} else if r.Failed { // The old job was itself a retry, and it failed before its first step.
		parent = j.Parent
	}
	join(&r.Request, given)
	sub, err := s.submission(p, r.Request, r, j.Pool)
	if err != nil {
		return job.Job{}, false, err
	}
	sub.Parent, sub.Key = parent, with.Key
	return s.queue.Submit(ctx, sub)
}

// Again has what a request to retry a job may contain. Key is the idempotency key.
type Again struct {
	wire.Logins
	Key string `json:"-"`
}

// anyFailed reports whether only the failed steps of j can be repeated: its verb works step by step,
// and at least one step failed or did not start.
func (s *Service) anyFailed(ctx context.Context, j job.Job) (bool, error) {
	stepwise := []string{wire.KindImport, wire.KindCopy, wire.KindTag, wire.KindBatch, wire.KindTransfer}
	if !slices.Contains(stepwise, j.Kind) || j.State == job.Canceled {
		return false, nil
	}
	found := false
	err := s.failedSteps(ctx, j.ID, func(dray.StepReport) bool { found = true; return false })
	return found, err
}

// failedSteps calls visit with each step of a job that is not done, until visit returns false.
func (s *Service) failedSteps(ctx context.Context, id string, visit func(dray.StepReport) bool) error {
	for after := int64(0); ; {
		items, err := s.queue.Items(ctx, id, after, 0)
		if err != nil || len(items) == 0 {
			return err
		}
		for _, it := range items {
			after = it.Seq
			var step dray.StepReport
			if err := json.Unmarshal(it.Data, &step); err != nil {
				return &fault.Fault{Kind: fault.Internal, Op: "read report of job", Name: id, Err: err}
			}
			left := step.State == dray.Failed || step.State == dray.NotFinished || step.State == dray.NotStarted
			if left && !visit(step) {
				return nil
			}
		}
	}
}

// again repeats the failed steps of the job's parent.
func (w *work) again(ctx context.Context) (any, error) {
	failed, err := w.toRepeat(ctx)
	if err != nil {
		return nil, err
	}
	if w.row.Kind == wire.KindTransfer {
		return w.againTransfer(ctx, failed)
	}
	p, err := w.planAgain(ctx, failed)
	if err != nil {
		return nil, err
	}
	return w.applyAll(ctx, p)
}

// maxRepeat is the maximum number of failed steps that a job repeats. They are in memory together.
const maxRepeat = 200_000

// toRepeat returns the failed steps of the job's parent.
func (w *work) toRepeat(ctx context.Context) (failed []share.Step, err error) {
	err = w.failedSteps(ctx, w.run.Job.Parent, func(s dray.StepReport) bool {
		failed = append(failed, share.Step{Asked: s.Asked, From: s.From, To: s.To})
		return len(failed) <= maxRepeat
	})
	if err == nil && len(failed) > maxRepeat {
		return nil, &fault.Fault{Kind: fault.TooLarge, Op: "retry job", Name: w.run.Job.Parent,
			Err:  fmt.Errorf("more than %d steps of it failed", maxRepeat),
			Hint: "submit the request again: it skips what was copied"}
	}
	return failed, err
}

// planAgain plans the failed steps of a job that is no transfer.
func (w *work) planAgain(ctx context.Context, failed []share.Step) (*dray.Prepared, error) {
	req, err := w.againBatch(failed)
	if err == nil {
		req.Gate, err = w.gate(gatesOf(w.row.Request))
	}
	if err != nil {
		return nil, err
	}
	p, err := w.dray.PlanBatch(ctx, req, w.observe)
	if p != nil {
		p.Verb = w.row.Kind
	}
	return p, err
}

// againBatch returns a batch of the failed steps. It names sources by tag, so that a tag that has moved
// in the meantime is copied in its present state.
func (w *work) againBatch(failed []share.Step) (req dray.BatchRequest, err error) {
	req.Overwrite = plan.Update
	asked := map[string]wire.BatchEntry{}
	var said map[[2]ref.Name]dray.BatchEntry
	switch r := w.row.Request; {
	case r.Import != nil:
		req.Overwrite, req.Hold = cmp.Or(plan.Overwrite(r.Import.Overwrite), plan.Refuse), plan.Hold(r.Import.Hold)
		req.Backup, req.Referrers = backup(r.Import.Backup, w.at), referrers(r.Import.Referrers)
		req.SourceLogin, req.TargetLogin = loginOf(r.Import.SourceLogin), loginOf(r.Import.TargetLogin)
		req.Platforms, err = platforms(r.Import.Platforms)
	case r.Copy != nil:
		req.Overwrite, req.Hold = cmp.Or(plan.Overwrite(r.Copy.Overwrite), plan.Update), plan.Hold(r.Copy.Hold)
		req.Backup, req.Referrers = backup(r.Copy.Backup, w.at), referrers(r.Copy.Referrers)
		req.SourceLogin, req.TargetLogin = loginOf(r.Copy.SourceLogin), loginOf(r.Copy.TargetLogin)
		req.Platforms, err = platforms(r.Copy.Platforms)
	case r.Tag != nil:
		req.Hold = plan.Hold(r.Tag.Hold)
		req.SourceLogin, req.TargetLogin = loginOf(r.Tag.Login), loginOf(r.Tag.Login)
	case r.Batch != nil:
		req, err = buildBatch(*r.Batch, w.at)
		said = w.options(req)
		req.Entries, req.Overwrite = nil, cmp.Or(req.Overwrite, plan.Refuse)
		for _, e := range r.Batch.Entries {
			asked[fault.WithoutLogins(strings.TrimSpace(e.Source+" "+strings.Join(e.Targets, " ")))] = e
		}
	}
	for _, s := range failed {
		if e, ok := asked[s.Asked]; ok && s.Asked != "" {
			entry, bad := buildEntry(e)
			err = cmp.Or(err, bad)
			req.Entries = append(req.Entries, entry)
			continue
		}
		from, to := s.From.Repo.Tagged(s.From.Tag), s.To.Repo.Tagged(s.To.Tag)
		e := said[[2]ref.Name{from, s.To}]
		e.Source, e.Targets = from.String(), []string{to.String()}
		if s.From.Tag == "" || s.To.Tag == "" {
			e.Source = s.From.Repo.At(s.From.Digest).String()
		}
		req.Entries = append(req.Entries, e)
	}
	return req, err
}

// options returns what the entries set for their images alone, by source and target.
func (w *work) options(req dray.BatchRequest) map[[2]ref.Name]dray.BatchEntry {
	said := map[[2]ref.Name]dray.BatchEntry{}
	for _, e := range req.Entries {
		source, targets, err := w.Service.dray.EntryNames(e, req.Target, nil)
		for _, to := range targets {
			if err == nil {
				said[[2]ref.Name{source.Repo.Tagged(source.Tag), to}] = dray.BatchEntry{Overwrite: e.Overwrite, Own: e.Own}
			}
		}
	}
	return said
}

// retried has the failed steps of one target repository.
type retried struct {
	from map[ref.Repo]bool
	tags map[string]bool // tags of the sources
	all  bool            // whether a failed step has no tag: the repository could not be listed
}

// againTransfer transfers the tags that failed. A repository that could not be listed is transferred as
// a whole.
func (w *work) againTransfer(ctx context.Context, failed []share.Step) (sum dray.TransferReport, err error) {
	req, err := w.transferRequest()
	if err != nil {
		return sum, err
	}
	places := map[ref.Repo]*retried{}
	for _, s := range failed {
		at := places[s.To.Repo]
		if at == nil {
			at = &retried{from: map[ref.Repo]bool{}, tags: map[string]bool{}}
			places[s.To.Repo] = at
		}
		at.from[s.From.Repo] = true
		at.tags[s.From.Tag] = true
		at.all = at.all || s.From.Tag == ""
	}
	req.Also, req.Mapping = nil, plan.Mapping{}
	whole := req.Selection
	whole.Repository, whole.Letters, whole.Ignore = "", plan.Letters{}, nil
	whole.IncludeRepositories, whole.ExcludeRepositories, whole.MaxRepositories = nil, nil, 0
	byName := func(a, b ref.Repo) int { return strings.Compare(a.String(), b.String()) }
	for _, to := range slices.SortedFunc(maps.Keys(places), byName) {
		at := places[to]
		req.Sources, req.Target, req.Selection = nil, to.String(), whole
		for from := range at.from {
			req.Sources = append(req.Sources, from.String())
		}
		slices.Sort(req.Sources)
		if !at.all {
			// The characters of a tag have no special meaning in a pattern.
			if req.Selection.IncludeTags, err = plan.ParsePatterns(slices.Sorted(maps.Keys(at.tags))...); err != nil {
				return sum, err
			}
			req.Selection = plan.Selection{IncludeTags: req.Selection.IncludeTags}
		}
		rep, err := w.dray.Transfer(ctx, req, w.observe, w.repository(ctx))
		rep.InUse = nil // It would report every image of the other repositories as lost.
		sum.Add(rep)
		if ctx.Err() != nil || err != nil && rep.Err == nil {
			return sum, err
		}
	}
	return sum, sum.Err
}
