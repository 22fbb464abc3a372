package migrate

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// "oci:DIR/" is one layout whose images have whole references as names, so that it holds many repositories and stores
// what they share once. Earlier versions wrote a layout for each repository, in directories below DIR. Such a directory
// is still read, and continued if it is a target.

// mapped is Mapping.Landings for ends on disk too.
func (r *transferring) mapped(ctx context.Context, to name.End, repos []ref.Repo) ([]plan.Landing, error) {
	at := map[ref.Repo][]ref.Repo{}
	bySource := map[string][]ref.Repo{} // the repositories that are mapped together
	apart := false
	if to.Host == ref.Layout {
		var err error
		if apart, err = layout.Apart(ctx, filepath.Clean(to.Prefix)); err != nil {
			return nil, fault.On(fault.Target, err)
		}
	}
	for _, repo := range repos {
		seen, ok := r.seen(repo)
		if !ok {
			return nil, fault.Misuse("transfer", repo.String(), "a single layout has no repository name",
				"name a repository as the target, or write oci:DIR/ for the repositories of the layout in DIR")
		}
		at[seen] = append(at[seen], repo)
		host := to.Host
		switch {
		case apart:
			host = onDisk
		case to.OnDisk():
			host = seen.Host
		}
		bySource[host] = append(bySource[host], seen)
	}
	m := r.req.Mapping
	if prefix := to.Prefix + m.AddPrefix; !to.OnDisk() && prefix != "" {
		m.AddPrefix = prefix
	}
	var all []plan.Landing
	for _, host := range slices.Sorted(maps.Keys(bySource)) {
		landings, err := m.Landings(ctx, host, bySource[host])
		if err != nil {
			return nil, err
		}
		all = append(all, landings...)
	}
	var dirs []string
	for i, l := range all {
		var from []ref.Repo
		for _, n := range l.From {
			from = append(from, at[n]...)
		}
		all[i].From = from
		if to.OnDisk() {
			all[i].To = placed(to, l.To, apart)
		}
		if all[i].To.Host == ref.Layout {
			dirs = append(dirs, all[i].To.Dir)
		}
	}
	return all, fault.On(fault.Target, layout.Nested(dirs)) // no layout is inside another one
}

// placed returns the repository on disk for the mapped repository repo.
func placed(to name.End, repo ref.Repo, apart bool) ref.Repo {
	dir := ref.Repo{Host: to.Host, Dir: filepath.Clean(to.Prefix)}
	switch {
	case apart:
		dir.Dir = filepath.Join(dir.Dir, filepath.FromSlash(repo.Path))
		return dir
	case repo.Host == onDisk:
		return dir.In(repo.Path)
	}
	return dir.In(repo.String())
}

// layouts adds the repositories of a source on disk to found, by their paths.
func (r *transferring) layouts(
	ctx context.Context, from name.End, targets []name.End, found map[string][]ref.Repo,
) error {
	some := false
	add := func(path string, at ref.Repo) error {
		some = true
		arrived := slices.ContainsFunc(targets, func(to name.End) bool { return to.Receives(from, at.Dir) })
		if !arrived && r.paths[at] == "" {
			r.paths[at], r.Cataloged[at] = path, true
			found[path] = append(found[path], at)
		}
		return nil
	}
	visit := eachLayout
	if from.Host != ref.Layout || layout.Is(filepath.Clean(from.Prefix)) {
		visit = r.eachRepository
	}
	err := visit(ctx, from, add)
	if err == nil && !some {
		r.idle = append(r.idle, from.Host+from.Prefix+" has no image")
	}
	return fault.On(fault.Source, err)
}

// eachLayout calls visit with each layout below a directory: its path there, and where it is.
func eachLayout(ctx context.Context, from name.End, visit func(path string, at ref.Repo) error) error {
	return layout.Below(ctx, from.Prefix, func(path string) error {
		if _, err := ref.NewRepo("localhost", path); err != nil {
			return &fault.Fault{
				Kind: fault.Invalid, Op: "transfer", Name: ref.Layout + from.Prefix + path,
				Hint: "copy this layout separately, with a repository as its target",
				Err:  errors.New("its path is not a valid repository name"),
			}
		}
		return visit(path, ref.Repo{Host: ref.Layout, Dir: filepath.Join(from.Prefix, filepath.FromSlash(path))})
	})
}

// eachRepository calls visit with each repository of one layout.
func (r *transferring) eachRepository(
	ctx context.Context, from name.End, visit func(path string, at ref.Repo) error,
) error {
	whole := ref.Repo{Host: from.Host, Dir: filepath.Clean(from.Prefix)}
	defer r.whole.Release()
	d, err := r.whole.OnDisk(ctx, whole)
	if err != nil {
		return err
	}
	images, err := d.Images()
	if err != nil {
		return err
	}
	var paths []string
	for _, n := range images {
		paths = append(paths, n.Path)
	}
	paths = slices.Compact(paths)
	nameless, err := d.Nameless(ctx)
	if err != nil {
		return err
	}
	if len(paths) == 0 && len(nameless) > 0 {
		return fault.Misuse("transfer", whole.String(), "its images have no names, so they name no repository",
			"leave off the slash at the end, and name a repository as the target")
	}
	if len(paths) == 1 && paths[0] == "" {
		return fault.Misuse("transfer", whole.String(), "the names of its images are tags, which name no repository",
			"leave off the slash at the end, and name a repository as the target")
	}
	for _, path := range paths {
		if path == "" {
			r.report.Notef("the images in %s whose names are tags are left out, because tags name no repository", whole)
			continue
		}
		at := whole.In(path)
		_, path = at.Named()
		if err := visit(path, at); err != nil {
			return err
		}
	}
	if n := len(nameless); n > 0 {
		r.report.Notef("the images in %s that have no name, or none that a repository can have, are left out: %d", whole, n)
	}
	return nil
}
