package dray

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// reach is one end of a transfer: a registry, what is below a prefix of it, or one repository.
type reach struct {
	Host   string
	Prefix string   // "" or "team/"
	Repo   ref.Repo // set for one repository
}

// reach reads "HOST", "HOST/PREFIX/" and "HOST/REPO", "oci:DIR/" and "oci:DIR".
func (r *reader) reach(s string) (reach, error) {
	if strings.HasPrefix(s, ref.Layout) {
		return r.layoutReach(s)
	}
	host, prefix, whole, err := r.registryName(s)
	if err != nil {
		return reach{}, err
	}
	if whole {
		return reach{Host: host, Prefix: prefix}, nil
	}
	n, err := r.parse(s)
	switch {
	case err != nil:
		return reach{}, err
	case n.Tag != "" || n.Digest != "":
		return reach{}, invalid("transfer", n.String(), "this names one image", "leave the tag off, or use dray copy")
	}
	return reach{Host: n.Host, Repo: n.Repo}, nil
}

func (r reach) single() bool { return r.Repo != ref.Repo{} }

// covers reports whether repo is within r.
func (r reach) covers(repo ref.Repo) bool {
	if r.single() {
		return repo == r.Repo
	}
	return repo.Host == r.Host && strings.HasPrefix(repo.Path, r.Prefix)
}

// meets reports whether one of both is within the other.
func (r reach) meets(other reach) bool {
	switch {
	case r.single():
		return other.covers(r.Repo)
	case other.single():
		return r.covers(other.Repo)
	}
	return r.Host == other.Host && (strings.HasPrefix(r.Prefix, other.Prefix) || strings.HasPrefix(other.Prefix, r.Prefix))
}

// receives reports whether what a listing of from tells is rather what a transfer brought below the target's prefix.
func (r reach) receives(from reach, path string) bool {
	return r.Host == from.Host && r.Prefix != "" && strings.HasPrefix(path, r.Prefix) && !strings.HasPrefix(from.Prefix, r.Prefix)
}

// landings finds the source repositories and where each goes.
func (r *transferring) landings(ctx context.Context) ([]plan.Landing, error) {
	sources, targets, err := r.ends()
	if err != nil {
		return nil, err
	}
	repos, err := r.repositories(ctx, sources, targets)
	if err != nil {
		return nil, err
	}
	var all []plan.Landing
	known := map[ref.Repo]bool{}
	for _, to := range targets {
		some, err := r.landingsAt(to, repos)
		if err != nil {
			return nil, err
		}
		for _, l := range some {
			if known[l.To] {
				return nil, twice(l.To.String())
			}
			known[l.To] = true
		}
		all = append(all, some...)
	}
	return all, nil
}

func (r *transferring) landingsAt(to reach, repos []ref.Repo) ([]plan.Landing, error) {
	if to.single() {
		return []plan.Landing{{To: to.Repo, From: repos}}, nil
	}
	return r.mapped(to, repos)
}

// ends reads the names of the request. Nothing was asked of a registry before.
func (r *transferring) ends() (sources, targets []reach, err error) {
	if len(r.req.Sources) == 0 {
		return nil, nil, invalid("transfer", "", "no source", "name a registry, a prefix of it or a repository")
	}
	for _, s := range r.req.Sources {
		from, err := r.names.reach(s)
		if err != nil {
			return nil, nil, err
		}
		sources = append(sources, from)
	}
	if targets, err = r.targets(sources); err != nil {
		return nil, nil, err
	}
	var preferred []reach
	for _, s := range r.req.Prefer {
		p, err := r.names.reach(s)
		if err != nil {
			return nil, nil, err
		}
		if !slices.ContainsFunc(sources, p.meets) {
			r.report.note("%s is preferred, and no source", s)
		}
		preferred = append(preferred, p)
	}
	r.Rank = func(repo ref.Repo) int {
		for i, p := range preferred {
			if p.covers(repo) {
				return i
			}
		}
		return len(preferred)
	}
	if err := r.req.Map.Check(); err != nil {
		return nil, nil, err
	}
	return sources, targets, r.req.Mapping.Check()
}

// repositories lists what the sources hold and takes what is selected of it. A list that
// can not be read ends the transfer: it is never taken for an empty one.
func (r *transferring) repositories(ctx context.Context, sources, targets []reach) ([]ref.Repo, error) {
	var repos []ref.Repo
	found := map[string][]ref.Repo{} // by path
	r.paths = map[ref.Repo]string{}
	for _, from := range sources {
		switch {
		case from.single():
			repos = append(repos, from.Repo)
			continue
		case from.Host == ref.Layout:
			if err := r.layouts(ctx, from, targets, found); err != nil {
				return nil, err
			}
			continue
		case r.req.Selection.Repository != "":
			repo, err := ref.NewRepo(from.Host, r.req.Selection.Repository)
			if err != nil {
				return nil, err
			}
			repos = append(repos, repo)
			continue
		}
		use := remote.Use{Actions: remote.Pull, Login: r.req.SourceLogin, Observe: r.observe}
		err := r.base.repositories(ctx, from.Host, use, func(path string) error {
			arrived := slices.ContainsFunc(targets, func(to reach) bool { return to.receives(from, path) })
			if strings.HasPrefix(path, from.Prefix) && !arrived {
				found[path] = append(found[path], ref.Repo{Host: from.Host, Path: path})
			}
			return nil
		})
		if err != nil {
			return nil, fault.On(fault.Source, err)
		}
	}
	kept, why, err := r.req.Selection.Repositories(slices.Collect(maps.Keys(found)))
	if len(found) > 0 {
		r.explain(why)
		for _, w := range why.Warnings {
			r.report.note("%s", w)
		}
	}
	for _, path := range kept {
		repos = append(repos, found[path]...)
	}
	slices.SortFunc(repos, func(a, b ref.Repo) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return strings.Compare(a.Host, b.Host)
	})
	return slices.Compact(repos), err
}
