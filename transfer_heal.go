package dray

import (
	"context"
	"errors"
	"fmt"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// heal looks below the names that were right before, sends what is lacking there, and looks
// again. A name that is then not whole is Failed.
func (r *transferring) heal(ctx context.Context, from []ref.Repo, work *run) {
	if !r.req.Heal {
		return
	}
	at := map[ref.Repo][]int{}
	var repos []ref.Repo
	for i, s := range work.plan.Steps {
		if work.reports[i].State != Unchanged {
			continue
		}
		if at[s.To.Repo] == nil {
			repos = append(repos, s.To.Repo)
		}
		at[s.To.Repo] = append(at[s.To.Repo], i)
	}
	v := r.prover(Deep, 0)
	v.Heal = true
	for _, repo := range repos {
		got := Looking{To: repo, From: from}
		for _, i := range at[repo] {
			got.Entries = append(got.Entries, entryOf(work.plan.Steps[i]))
		}
		s := r.begin()
		s.looks = true
		v.Into(ctx, s, &got)
		s.release()
		for k, e := range got.Entries {
			work.healed(at[repo][k], e)
		}
	}
}

// prover looks below names with what this transfer shares.
func (r *transferring) prover(depth Depth, sample int) *Prover {
	return &Prover{base: r.base, Depth: depth, Sample: sample, Begin: r.begin, Note: r.report.note, Moved: r.report.moved, shared: r.shared}
}

// healed writes down what came of a look below a name.
func (r *run) healed(i int, e VerifyEntry) {
	r.reports[i].Lacks = e.Match == Incomplete || e.Match == Corrupted
	switch {
	case e.Match == Same && e.Healed:
		r.reports[i].Healed = true
		r.end(i, Done, nil)
	case e.Match == Same:
		r.reports[i].Proven = true
	case e.Err != nil:
		r.end(i, Failed, e.Err)
	default:
		lack := fmt.Errorf("%d things below it are not there", len(e.Lacks))
		if len(e.Lacks) > 0 {
			lack = fmt.Errorf("%w, the first is %s %s", lack, e.Lacks[0].What, e.Lacks[0].Digest)
		}
		r.end(i, Failed, &fault.Fault{Kind: fault.Corrupt, Side: fault.Target, Op: "heal", Name: e.To.String(), Err: lack})
	}
}

var errNoPlan = errors.New("a plan tells of digests only, and not of what is lacking below them")

// checkHeal refuses to plan a repair.
func (r *transferring) checkHeal() error {
	if !r.req.Heal {
		return nil
	}
	return &fault.Fault{Kind: fault.Invalid, Op: "plan transfer", Err: errNoPlan, Hint: "dray verify --deep tells what is lacking"}
}
