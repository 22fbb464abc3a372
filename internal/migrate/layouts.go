package migrate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// eachLayout calls visit with each layout of a source "oci:DIR/": its path below DIR, and where it
// is.
func eachLayout(ctx context.Context, from name.End, visit func(path string, at ref.Repo) error) error {
	return layout.Below(ctx, from.Prefix, func(path string) error {
		if _, err := ref.NewRepo("localhost", path); err != nil {
			return &fault.Fault{
				Kind: fault.Invalid,
				Op:   "transfer",
				Name: ref.Layout + from.Prefix + path,
				Hint: "copy this layout separately, with a repository as its target",
				Err:  errors.New("its path is not a valid repository name"),
			}
		}
		return visit(path, ref.Repo{Host: ref.Layout, Dir: filepath.Join(from.Prefix, filepath.FromSlash(path))})
	})
}

// onDisk is the host of layouts while their paths are mapped.
const onDisk = "oci"

// mapped is Mapping.Landings for layouts too: they are named by their path below a directory.
func (r *transferring) mapped(to name.End, repos []ref.Repo) ([]plan.Landing, error) {
	m, host := r.req.Mapping, to.Host
	if host == ref.Layout {
		host = onDisk
	} else if prefix := to.Prefix + m.AddPrefix; prefix != "" {
		m.AddPrefix = prefix
	}
	at := map[ref.Repo][]ref.Repo{}
	named := make([]ref.Repo, len(repos))
	for i, repo := range repos {
		if named[i] = repo; repo.IsLayout() {
			path, known := r.paths[repo]
			if !known {
				return nil, fault.Misuse("transfer", repo.String(), "a single layout has no repository name",
					"name a repository as the target, or write oci:DIR/ for the layouts below DIR")
			}
			named[i] = ref.Repo{Host: onDisk, Path: path}
		}
		at[named[i]] = append(at[named[i]], repo)
	}
	landings, err := m.Landings(host, named)
	if err != nil {
		return nil, err
	}
	for i, l := range landings {
		var from []ref.Repo
		for _, n := range l.From {
			from = append(from, at[n]...)
		}
		landings[i].From = from
		if to.Host == ref.Layout {
			landings[i].To = ref.Repo{Host: ref.Layout, Dir: filepath.Join(to.Prefix, filepath.FromSlash(l.To.Path))}
		}
	}
	return landings, checkNested(to, landings)
}

// checkNested refuses a layout inside another layout, since the files of the two could not be told
// apart.
func checkNested(to name.End, landings []plan.Landing) error {
	if to.Host != ref.Layout {
		return nil
	}
	taken := map[string]bool{}
	for _, l := range landings {
		taken[l.To.Dir] = true
	}
	root := filepath.Clean(to.Prefix)
	for _, l := range landings {
		for dir := l.To.Dir; dir != root && dir != filepath.Dir(dir); {
			dir = filepath.Dir(dir)
			if taken[dir] || layout.Is(dir) {
				return &fault.Fault{
					Kind: fault.Invalid,
					Side: fault.Target,
					Op:   "transfer",
					Name: l.To.String(),
					Hint: "choose another path for it, for example with --flatten or --rewrite",
					Err:  fmt.Errorf("it would be inside another layout, %s%s", ref.Layout, dir),
				}
			}
		}
	}
	return nil
}

// layouts adds the layouts of one source to found, by their path below it.
func (r *transferring) layouts(
	ctx context.Context, from name.End, targets []name.End, found map[string][]ref.Repo,
) error {
	some := false
	err := eachLayout(ctx, from, func(path string, at ref.Repo) error {
		some = true
		arrived := slices.ContainsFunc(targets, func(to name.End) bool { return to.Receives(from, at.Dir) })
		if !arrived && r.paths[at] == "" {
			r.paths[at], r.Cataloged[at] = path, true
			found[path] = append(found[path], at)
		}
		return nil
	})
	if err == nil && !some {
		r.idle = append(r.idle, ref.Layout+from.Prefix+" has no image layout")
	}
	return fault.On(fault.Source, err)
}
