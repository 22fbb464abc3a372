package dray

import (
	"context"
	"fmt"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// checkLocking refuses to copy locks from or to registries that have none.
func (r *transferring) checkLocking(landings []plan.Landing) error {
	if !r.req.CopyLocks {
		return nil
	}
	for _, l := range landings {
		for _, from := range l.From {
			if err := r.locks(fault.Source, from); err != nil {
				return err
			}
		}
		if err := r.locks(fault.Target, l.To); err != nil {
			return err
		}
	}
	return nil
}

func (r *transferring) locks(side fault.Side, repo ref.Repo) error {
	product := "a layout"
	if !repo.IsLayout() {
		product = r.base.remote.Traits(repo.Host).Product
	}
	what := "it is not known to be one"
	switch product {
	case "acr":
		return nil
	case "":
	default:
		what = "it is " + product
	}
	return &fault.Fault{Kind: fault.Invalid, Side: side, Op: "copy locks", Name: repo.Host, Err: fmt.Errorf("only Azure's registries have such locks: %s", what),
		Hint: "leave the locks out, or where it is one under a name of its own, set kind: acr for it in the configuration"}
}

// own opens repo for what its registry has beside the distribution API.
func (s *session) own(side fault.Side, repo ref.Repo, actions remote.Actions) *remote.Repository {
	return s.base.remote.Open(repo, remote.Use{Actions: actions, Login: s.logins[side], Observe: s.observe})
}

// findLocks reads the locks of both sides, a listing each, and gives each step those that its
// target lacks. Nothing is ever unlocked.
func (k *looking) findLocks(ctx context.Context) error {
	if !k.CopyLocks {
		return nil
	}
	var mu sync.Mutex
	src, dst := map[ref.Name]oci.Locks{}, map[ref.Name]oci.Locks{}
	read := func(ctx context.Context, side fault.Side, repo ref.Repo, into map[ref.Name]oci.Locks) error {
		err := k.plan.session.own(side, repo, remote.Pull).Locks(ctx, func(tag string, l oci.Locks) error {
			mu.Lock()
			defer mu.Unlock()
			into[repo.Tagged(tag)] = l
			return nil
		})
		if side == fault.Target && fault.Is(err, fault.NotFound) {
			return nil // what is not there is not locked
		}
		return fault.On(side, err)
	}
	err := bySide(ctx, func(ctx context.Context) error {
		return each(ctx, len(k.landing.From), k.landing.From, func(ctx context.Context, from ref.Repo) error { return read(ctx, fault.Source, from, src) })
	}, func(ctx context.Context) error { return read(ctx, fault.Target, k.landing.To, dst) })
	if err != nil {
		return err
	}
	for i := range k.plan.Steps {
		s := &k.plan.Steps[i]
		if s.Action != plan.Broken && s.Action != plan.Conflict && s.From.Tag != "" && s.To.Tag != "" {
			s.Locks = src[s.From.Repo.Tagged(s.From.Tag)].Beyond(dst[s.To])
		}
	}
	return nil
}

// lock locks the names that are right now. It comes after all tags: a lock may be what keeps
// the next one from being set.
func (r *run) lock(ctx context.Context) {
	var at []int
	for i, s := range r.plan.Steps {
		if state := r.reports[i].State; s.Locks != (oci.Locks{}) && (state == Done || state == Unchanged) {
			at = append(at, i)
		}
	}
	// The error is that of a context that ended; what each step met is in its report.
	_ = each(ctx, lookups, at, func(ctx context.Context, i int) error {
		s := r.plan.Steps[i]
		if err := r.session.own(fault.Target, s.To.Repo, remote.Push).Lock(ctx, s.To.Tag, s.Locks); err != nil {
			r.end(i, Failed, fault.On(fault.Target, err))
		}
		return nil
	})
}
