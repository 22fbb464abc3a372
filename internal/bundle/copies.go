package bundle

import (
	"cmp"
	"context"
	"slices"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/apply"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// copies are images that are named one by one.
type copies struct {
	draft  func(context.Context, *place.Session, *name.Reader) (*survey.Draft, error)
	source *credential.Login
	target *credential.Login
	proof  oci.Proof
	gate   gate.Gate
}

// copyListed copies them, and reports on them as a transfer does.
func copyListed(
	ctx context.Context, b *place.Base, names *name.Reader, c copies, obs event.Observer,
	visit func(report.Repository) error,
) (report.Transfer, error) {
	s := b.Begin(c.source, c.target, obs)
	s.GatedBy(c.gate)
	var notes []string
	noting := names.Noting(func(e event.Event) { notes = append(notes, e.Text) })
	draft, err := c.draft(ctx, s, noting)
	if err != nil {
		s.Release()
		return report.Transfer{}, err
	}
	draft.Notes = append(notes, draft.Notes...)
	rep, err := apply.Plan(ctx, b, apply.Work{Plan: &draft.Plan, Proof: c.proof, Session: s}, obs)
	sum := totals(rep)
	for _, part := range byRepository(rep.Steps) {
		if err := visit(part); err != nil {
			return sum, err
		}
	}
	sum.Err = err
	return sum, err
}

// totals adds up the steps of a report.
func totals(rep report.Report) report.Transfer {
	sum := report.Transfer{
		Verb: rep.Verb, Actions: map[plan.Action]int{}, States: map[report.State]int{},
		Traffic: rep.Traffic, Pulls: rep.Pulls, Notes: rep.Notes, Took: rep.Took,
		Repositories: len(byRepository(rep.Steps)),
	}
	for _, s := range rep.Steps {
		sum.Actions[s.Action]++
		sum.States[s.State]++
		sum.Blobs.Sent += s.Blobs.Sent
		sum.Blobs.Mounted += s.Blobs.Mounted
		sum.Blobs.Present += s.Blobs.Present
		sum.Blobs.Bytes += s.Blobs.Bytes
		sum.Blobs.Proven += s.Blobs.Proven
		sum.Referrers.Add(s.Referrers)
	}
	return sum
}

// byRepository groups steps by target repository, in the order of the names.
func byRepository(steps []report.Step) []report.Repository {
	at := map[ref.Repo]int{}
	var all []report.Repository
	for _, s := range steps {
		i, seen := at[s.To.Repo]
		if !seen {
			i = len(all)
			at[s.To.Repo] = i
			all = append(all, report.Repository{To: s.To.Repo})
		}
		r := &all[i]
		r.Steps = append(r.Steps, s)
		r.Took = max(r.Took, s.Took)
		if !slices.Contains(r.From, s.From.Repo) {
			r.From = append(r.From, s.From.Repo)
		}
	}
	slices.SortFunc(all, func(a, b report.Repository) int {
		return cmp.Or(cmp.Compare(a.To.Host, b.To.Host), cmp.Compare(a.To.Path, b.To.Path))
	})
	return all
}
