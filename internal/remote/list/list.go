package list

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// List calls visit for each tag, in the registry's order. If visit returns an error, List stops and
// returns that error unchanged. It leaves out repeats and names that are not valid tags; an event
// counts and names the latter. If it cannot read all of the list, it returns an error.
//
// If the registry has a list of its own with digests, List uses that list: one request returns
// hundreds of tags. Which registries have one is known from Settings.Kind, from the host's name, or
// from their answers. If that list is not available, List uses the list of the distribution API
// instead, sends an event that says so, and does not ask for the other list at this host again. In
// the list of the distribution API, Digest is mostly "". Media types are listed only by ECR and
// Harbor, and sizes by no registry.
func (r *Lister) List(ctx context.Context, visit func(oci.Listed) error) error {
	s := &sieve{visit: visit, seen: newNames(), op: "list tags of", name: r.Repo.String(), share: r.taught.share()}
	defer s.share.leave()
	defer func() { s.odd.tell(r.Observe, r.Host.Name, s.name, "tags") }()
	return r.inBulk(ctx, s.ended, func(ctx context.Context, b *bulk) (bool, error) {
		return b.tags(ctx, s.show)
	}, func(ctx context.Context) error { return r.listPlain(ctx, s, nil) })
}

var (
	errKnown    = errors.New("the rest is known")
	errUnsorted = errors.New("the list is not in the order of time")
)

// ListNewest is List for a caller that knows all tags that were set before since. It returns the
// tags set since then, the newest first. sorted is false if the registry does not list tags by
// time, which only Azure's registries do, or if that list is not available. Then tags is empty, and
// the caller has to use List.
func (r *Lister) ListNewest(ctx context.Context, since time.Time) (tags []oci.Listed, sorted bool, err error) {
	if r.Host.Kind() != "acr" || !r.taught.hasBulk() {
		return nil, false, nil
	}
	s := &sieve{seen: newNames(), op: "list tags of", name: r.Repo.String(), share: r.taught.share()}
	defer s.share.leave()
	s.visit = func(l oci.Listed) error {
		switch n := len(tags); {
		case l.Updated.IsZero(), n > 0 && l.Updated.After(tags[n-1].Updated):
			return errUnsorted
		case l.Updated.Before(since):
			return errKnown
		}
		tags = append(tags, l)
		return nil
	}
	_, err = r.acrTags(ctx, "n=1000&orderby=timedesc", s.show)
	switch {
	case ctx.Err() != nil:
		return nil, false, err
	case err != nil && !errors.Is(err, errKnown):
		return nil, false, nil
	}
	return tags, true, nil
}

// inBulk reads the registry's own list with ask, and falls back to the list of the distribution API
// with plain. ended returns the error with which the visitor stopped, or nil.
func (r *Lister) inBulk(
	ctx context.Context,
	ended func() error,
	ask func(context.Context, *bulk) (unknown bool, err error),
	plain func(context.Context) error,
) error {
	b := r.bulk()
	if b == nil {
		before := r.Host.Kind()
		err := plain(ctx)
		if !isLearned(err) {
			return err
		}
		if b = r.bulk(); b == nil || before == r.Host.Kind() {
			return r.Call("list", http.MethodGet, "", r.Repo.String()).Fault(fault.Internal, "", err)
		}
	}
	unknown, err := ask(ctx, b)
	if stop := ended(); stop != nil {
		return stop
	}
	if err == nil || unknown || !b.dispensable(err) {
		return err
	}
	absent := fault.Is(err, fault.NotFound)
	if !absent {
		r.withoutBulk(b, err)
	}
	if plainErr := plain(ctx); plainErr != nil {
		return plainErr
	}
	if absent && !b.elsewhere {
		r.withoutBulk(b, err) // the repository exists, so it is the list that does not
	}
	return nil
}

// dispensable reports whether the plain list may work after err.
func (b *bulk) dispensable(err error) bool {
	switch fault.KindOf(err) {
	case fault.Canceled:
		return false
	case fault.Unavailable, fault.Throttled:
		return b.elsewhere // the registry itself may work
	}
	return true
}

// withoutBulk records that the host's own list is not available, and reports it once.
func (r *Lister) withoutBulk(b *bulk, err error) {
	if r.taught.learnNoBulk() {
		r.Observe.Tell(event.Event{
			Kind: event.Noted,
			Host: r.Host.Name,
			Name: r.Repo.String(),
			Err:  err,
			Text: fmt.Sprintf("%s is not available, so the tags of %s are listed without digests "+
				"and resolved one by one: %v", b.name, r.Host.Name, err),
		})
	}
}
