package migrate

import (
	"context"

	"github.com/drayage/dray/internal/apply"
	"github.com/drayage/dray/internal/prove"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// heal checks the content below the names that were up to date before the run, sends what is
// missing there, and checks again. A name whose content is still not complete is Failed.
func (r *transferring) heal(ctx context.Context, from []ref.Repo, work *apply.Run) {
	if !r.req.Heal {
		return
	}
	at := map[ref.Repo][]int{}
	var repos []ref.Repo
	for i, s := range work.Plan.Steps {
		if work.Reports[i].State != report.Unchanged || s.Keeps != "" {
			continue
		}
		if at[s.To.Repo] == nil {
			repos = append(repos, s.To.Repo)
		}
		at[s.To.Repo] = append(at[s.To.Repo], i)
	}
	v := r.prover(report.Deep, 0)
	v.Heal = true
	for _, repo := range repos {
		got := prove.Looking{To: repo, From: from}
		for _, i := range at[repo] {
			got.Entries = append(got.Entries, prove.EntryOf(work.Plan.Steps[i]))
		}
		s := r.begin()
		s.Looks = true
		v.Into(ctx, s, &got)
		s.Release()
		for k, e := range got.Entries {
			work.Healed(at[repo][k], e)
		}
	}
}

// prover returns a Prover that shares the state of this transfer.
func (r *transferring) prover(depth report.Depth, sample int) *prove.Prover {
	return &prove.Prover{
		Base:      r.Base,
		Depth:     depth,
		Sample:    sample,
		Referrers: r.req.Referrers,
		Begin:     r.begin,
		Note:      r.report.Notef,
		Moved:     r.report.Moved,
		Turn:      r.images.Acquire,
	}
}
