package bundle

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/apply"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/internal/volume"
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
	names  []volume.Name // what is copied, if a bundle lists it; its referrers are reported as referrers
}

// groups are names of a bundle, in groups of which the same platforms are copied.
type groups []*group

type group struct {
	part  plan.Platforms
	names []volume.Name
}

// grouped divides names by what part returns for them: atOrigin or inBundle.
func grouped(names []volume.Name, part func(volume.Name) (plan.Platforms, error)) (groups, error) {
	var all groups
	for _, n := range names {
		p, err := part(n)
		if err != nil {
			return nil, err
		}
		words := oci.PlatformsString(p.Only)
		i := slices.IndexFunc(all, func(g *group) bool {
			return oci.PlatformsString(g.part.Only) == words && g.part.Form == p.Form
		})
		if i < 0 {
			i, all = len(all), append(all, &group{part: p})
		}
		all[i].names = append(all[i].names, n)
	}
	return all, nil
}

// atOrigin returns which platforms of a name the bundle has.
func atOrigin(n volume.Name) (plan.Platforms, error) {
	only, err := n.Only()
	p := plan.Platforms{Only: only}
	if n.Sparse() {
		p.Form = plan.Sparse
	}
	return p, err
}

// inBundle returns which platforms are copied from the bundle to the receiver. A trimmed index is copied whole.
func inBundle(n volume.Name) (plan.Platforms, error) {
	if n.Sparse() {
		return atOrigin(n)
	}
	return plan.Platforms{}, nil
}

// draft makes one plan to copy all names. entry says what copies a name.
func (all groups) draft(
	ctx context.Context, s *place.Session, names *name.Reader, entry func(volume.Name) plan.Entry, target string,
	rules survey.Rules,
) (*survey.Draft, error) {
	sum, err := survey.Batch(ctx, s, names, survey.List{}, rules)
	for _, g := range all {
		if err != nil {
			return nil, err
		}
		list := survey.List{Target: target}
		for _, n := range g.names {
			list.Entries = append(list.Entries, entry(n))
		}
		rules.Platforms = g.part
		var d *survey.Draft
		if d, err = survey.Batch(ctx, s, names, list, rules); err == nil {
			sum.Steps, sum.Notes = append(sum.Steps, d.Steps...), append(sum.Notes, d.Notes...)
		}
	}
	return sum, err
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
	referrers := withoutReferrers(&rep, c.names)
	sum := totals(rep)
	if c.names != nil {
		sum.Referrers.Add(referrers)
	}
	for _, part := range byRepository(rep.Steps) {
		if err := visit(part); err != nil {
			return sum, err
		}
	}
	sum.Err = err
	return sum, err
}

// withoutReferrers takes the steps of a report out that are about a referrer, and returns what became of them. Steps
// that failed stay. A digest tag that moved gets a note.
func withoutReferrers(rep *report.Report, names []volume.Name) (all report.Referrers) {
	referrers := map[oci.Digest]bool{}
	for _, n := range names {
		if n.Tag == "" && n.Subject != "" {
			referrers[n.Digest] = true
		}
	}
	rep.Steps = slices.DeleteFunc(rep.Steps, func(s report.Step) bool {
		subject, _ := oci.TaggedFor(s.To.Tag)
		refers := subject != "" || s.To.Tag == "" && referrers[s.Digest()]
		if !refers || s.State != report.Done && s.State != report.Unchanged {
			return false
		}
		all.Add(s.Referrers)
		if s.State == report.Done {
			all.Copied++
		}
		if s.State == report.Done && s.Retags() {
			rep.Notes = append(rep.Notes, fmt.Sprintf("the digest tag %s moves: %s -> %s", s.To, s.Replaces, s.Digest()))
		}
		return true
	})
	return all
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
