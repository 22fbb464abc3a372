package dray

import (
	"context"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/remote"
)

// reach is one end of a transfer: a registry, what is below a prefix of it, or one repository.
type reach struct {
	host   string
	prefix string   // "" or "team/"
	repo   ref.Repo // set for one repository
}

// reach reads "HOST", "HOST/PREFIX/" and "HOST/REPO".
func (d *Dray) reach(s string) (reach, error) {
	host, prefix, whole, err := d.registryName(s)
	if err != nil {
		return reach{}, err
	}
	if whole {
		return reach{host: host, prefix: prefix}, nil
	}
	n, err := d.parse(s)
	switch {
	case err != nil:
		return reach{}, err
	case n.IsLayout():
		return reach{}, invalid("transfer", s, "a layout is no registry", "dray copy --all-tags copies what it holds")
	case n.Tag != "" || n.Digest != "":
		return reach{}, invalid("transfer", n.String(), "this names one image", "leave the tag off, or use dray copy")
	}
	return reach{host: n.Host, repo: n.Repo}, nil
}

func (r reach) single() bool { return r.repo != ref.Repo{} }

// covers reports whether repo is within r.
func (r reach) covers(repo ref.Repo) bool {
	if r.single() {
		return repo == r.repo
	}
	return repo.Host == r.host && strings.HasPrefix(repo.Path, r.prefix)
}

// receives reports whether what a listing of from tells is rather what a transfer brought below the target's prefix.
func (r reach) receives(from reach, path string) bool {
	return r.host == from.host && r.prefix != "" && strings.HasPrefix(path, r.prefix) && !strings.HasPrefix(from.prefix, r.prefix)
}

// landings finds the source repositories and where each goes.
func (r *transferring) landings(ctx context.Context) ([]plan.Landing, error) {
	sources, to, err := r.ends()
	if err != nil {
		return nil, err
	}
	repos, err := r.repositories(ctx, sources, to)
	if err != nil {
		return nil, err
	}
	if to.single() {
		return []plan.Landing{{To: to.repo, From: repos}}, nil
	}
	m := r.req.Mapping
	if prefix := to.prefix + m.AddPrefix; prefix != "" {
		m.AddPrefix = prefix
	}
	return m.Landings(to.host, repos)
}

// ends reads the names of the request. Nothing was asked of a registry before.
func (r *transferring) ends() (sources []reach, to reach, err error) {
	if len(r.req.Sources) == 0 {
		return nil, to, invalid("transfer", "", "no source", "name a registry, a prefix of it or a repository")
	}
	for _, s := range r.req.Sources {
		from, err := r.dray.reach(s)
		if err != nil {
			return nil, to, err
		}
		sources = append(sources, from)
	}
	if to, err = r.dray.reach(r.req.Target); err != nil {
		return nil, to, err
	}
	if to.single() && slices.ContainsFunc(sources, func(s reach) bool { return !s.single() }) {
		return nil, to, invalid("transfer", r.req.Target, "many repositories do not go into one", "a prefix ends in a slash: "+r.req.Target+"/")
	}
	var preferred []reach
	for _, s := range r.req.Prefer {
		p, err := r.dray.reach(s)
		if err != nil {
			return nil, to, err
		}
		preferred = append(preferred, p)
	}
	r.rank = func(repo ref.Repo) int {
		for i, p := range preferred {
			if p.covers(repo) {
				return i
			}
		}
		return len(preferred)
	}
	if err := r.req.Map.Check(); err != nil {
		return nil, to, err
	}
	return sources, to, r.req.Mapping.Check()
}

// repositories lists what the sources hold and takes what is selected of it. A list that
// can not be read ends the transfer: it is never taken for an empty one.
func (r *transferring) repositories(ctx context.Context, sources []reach, to reach) ([]ref.Repo, error) {
	var repos []ref.Repo
	listed := map[string][]string{} // by host
	for _, from := range sources {
		switch {
		case from.single():
			repos = append(repos, from.repo)
			continue
		case r.req.Selection.Repository != "":
			repo, err := ref.NewRepo(from.host, r.req.Selection.Repository)
			if err != nil {
				return nil, err
			}
			repos = append(repos, repo)
			continue
		}
		use := remote.Use{Actions: remote.Pull, Login: r.req.SourceLogin, Observe: r.observe}
		err := r.dray.remote.Repositories(ctx, from.host, use, func(path string) error {
			if strings.HasPrefix(path, from.prefix) && !to.receives(from, path) {
				listed[from.host] = append(listed[from.host], path)
			}
			return nil
		})
		if err != nil {
			return nil, fault.On(fault.Source, err)
		}
	}
	var paths []string
	for _, some := range listed {
		paths = append(paths, some...)
	}
	kept, why, err := r.req.Selection.Repositories(paths)
	if len(listed) > 0 {
		r.explain(why)
		for _, w := range why.Warnings {
			r.report.note("%s", w)
		}
	}
	takes := map[string]bool{}
	for _, path := range kept {
		takes[path] = true
	}
	for host, some := range listed {
		for _, path := range some {
			if takes[path] {
				repos = append(repos, ref.Repo{Host: host, Path: path})
			}
		}
	}
	slices.SortFunc(repos, func(a, b ref.Repo) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return strings.Compare(a.Host, b.Host)
	})
	return slices.Compact(repos), err
}
