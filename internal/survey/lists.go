package survey

import (
	"context"
	"errors"
	"maps"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

const (
	// Handful is how many tags of a repository are looked up one by one. If more are wanted and the
	// registry lists digests, its listing is read instead.
	Handful = 4

	// listedPerWanted is how many tags of a listing are read for each wanted tag. Beyond that, one
	// request for each name is cheaper.
	listedPerWanted = 100
)

// listSources looks names up in the listings of their repositories. left holds the names for which
// the listings have no digest.
func listSources(
	ctx context.Context, s *place.Session, names []ref.Name,
) (inv plan.Inventory, left []ref.Name, err error) {
	source := func(repo ref.Repo) (place.Repository, error) { return s.Source(ctx, repo) }
	inv, absent, left, err := findInListings(ctx, s, names, source)
	for n, desc := range inv {
		observeResolved(s, n, desc)
	}
	return inv, append(left, absent...), err // only the registry's own answer to a request says what is missing
}

// listTargets is listSources for names that may not exist yet: a name that is missing from a
// complete listing does not exist.
func listTargets(
	ctx context.Context, s *place.Session, names []ref.Name,
) (inv plan.Inventory, left []ref.Name, err error) {
	open := func(repo ref.Repo) (place.Repository, error) { return s.Target(ctx, repo, layout.Read) }
	inv, _, left, err = findInListings(ctx, s, names, open)
	return inv, left, err
}

// findInListings reads the listing of each repository of which more than a handful of tags are
// wanted. absent holds the names that are missing from a complete listing. left holds the names for
// which no listing has a digest. A listing that fails counts as empty: the requests for its names
// will report the error.
func findInListings(
	ctx context.Context, s *place.Session, names []ref.Name, open func(ref.Repo) (place.Repository, error),
) (inv plan.Inventory, absent, left []ref.Name, err error) {
	wanted := map[ref.Repo]map[string]bool{}
	for _, n := range names {
		if n.Tag == "" || n.Digest != "" || n.IsLayout() {
			continue
		}
		if wanted[n.Repo] == nil {
			wanted[n.Repo] = map[string]bool{}
		}
		wanted[n.Repo][n.Tag] = true
	}
	var repos []ref.Repo
	for repo, tags := range wanted {
		if tells, _ := s.Base.ListsDigests(repo.Host); tells && len(tags) > Handful {
			repos = append(repos, repo)
		}
	}
	var mu sync.Mutex
	inv, whole := plan.Inventory{}, map[ref.Repo]bool{}
	err = place.Each(ctx, place.Lookups, repos, func(ctx context.Context, repo ref.Repo) error {
		at, err := open(repo)
		if err != nil {
			return err
		}
		told, all := findInListing(ctx, at, wanted[repo])
		_, complete := s.Base.ListsDigests(repo.Host)
		mu.Lock()
		defer mu.Unlock()
		whole[repo] = all && complete
		maps.Copy(inv, told)
		return context.Cause(ctx)
	})
	for _, n := range names {
		_, told := inv[n]
		switch {
		case told:
		case whole[n.Repo] && n.Tag != "" && n.Digest == "":
			absent = append(absent, n)
		default:
			left = append(left, n)
		}
	}
	return inv, absent, left, err
}

// findInListing finds the wanted tags in a listing. all is true if a tag that it did not find does
// not exist.
func findInListing(ctx context.Context, at place.Repository, wanted map[string]bool) (found plan.Inventory, all bool) {
	enough := errors.New("enough")
	found = plan.Inventory{}
	seen, blind := 0, false
	err := at.List(ctx, func(l oci.Listed) error {
		seen++
		if wanted[l.Tag] {
			if l.Descriptor.Digest == "" {
				blind = true
			} else {
				found[at.Repo().Tagged(l.Tag)] = l.Descriptor
			}
		}
		if len(found) == len(wanted) || seen == listedPerWanted*len(wanted) {
			return enough
		}
		return nil
	})
	return found, !blind && (err == nil || fault.Is(err, fault.NotFound))
}
