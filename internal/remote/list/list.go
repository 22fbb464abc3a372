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

// List calls visit for each tag, in the registry's order, until visit returns
// an error, which List returns as it is. Names that are no tags and repeats are
// left out.
//
// Where the registry has a list of its own that tells digests, that is what is
// asked: one request for hundreds of tags. Which registries have one is known
// from Settings.Kind, from the host's name, or from what its answers show. When
// that list can not be had, the one of the distribution API is read instead,
// which mostly leaves the Digest "", and the host is not asked again; an event
// says so. Media types are told by ECR and Harbor only, sizes by nobody.
func (r *Lister) List(ctx context.Context, visit func(oci.Listed) error) error {
	s := &sieve{visit: visit, seen: map[string]bool{}, op: "list tags of", name: r.Repo.String()}
	return r.inBulk(ctx, s.ended, func(ctx context.Context, b *bulk) (bool, error) {
		return b.tags(ctx, s.show)
	}, func(ctx context.Context) error { return r.listPlain(ctx, s, nil) })
}

var (
	errKnown    = errors.New("the rest is known")
	errUnsorted = errors.New("the list is not in the order of time")
)

// ListNewest is List for who knows all tags that were set before since: it returns the
// others, the newest first. sorted is false where the registry does not list by time, which
// Azure's does, or that list could not be had: List tells all then.
func (r *Lister) ListNewest(ctx context.Context, since time.Time) (tags []oci.Listed, sorted bool, err error) {
	if r.Host.Kind() != "acr" || !r.taught.hasBulk() {
		return nil, false, nil
	}
	s := &sieve{seen: map[string]bool{}, op: "list tags of", name: r.Repo.String(), visit: func(l oci.Listed) error {
		switch n := len(tags); {
		case l.Updated.IsZero(), n > 0 && l.Updated.After(tags[n-1].Updated):
			return errUnsorted
		case l.Updated.Before(since):
			return errKnown
		}
		tags = append(tags, l)
		return nil
	}}
	_, err = r.acrTags(ctx, "n=1000&orderby=timedesc", s.show)
	switch {
	case ctx.Err() != nil:
		return nil, false, err
	case err != nil && !errors.Is(err, errKnown):
		return nil, false, nil
	}
	return tags, true, nil
}

// inBulk reads a list in its bulk form, and falls back on the plain one. ended
// reports whether the visitor has had enough.
func (r *Lister) inBulk(ctx context.Context, ended func() error, ask func(context.Context, *bulk) (unknown bool, err error), plain func(context.Context) error) error {
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
		r.withoutBulk(b, err) // the repository is there: what is not is the list
	}
	return nil
}

// dispensable reports whether the plain list is worth a try after err.
func (b *bulk) dispensable(err error) bool {
	switch fault.KindOf(err) {
	case fault.Canceled:
		return false
	case fault.Unavailable, fault.Throttled:
		return b.elsewhere // the registry itself may do well
	}
	return true
}

// withoutBulk remembers that the host's own list can not be had, and says it once.
func (r *Lister) withoutBulk(b *bulk, err error) {
	if r.taught.learnNoBulk() {
		r.Observe.Tell(event.Event{Kind: event.Noted, Host: r.Host.Name, Name: r.Repo.String(), Err: err,
			Text: fmt.Sprintf("%s can not be read, so tags of %s are listed without digests and asked for one by one: %v", b.name, r.Host.Name, err)})
	}
}
