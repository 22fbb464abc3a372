package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Ends parses the sources and targets of req. In targets, Target comes before Also. obs gets the notes about names.
func Ends(
	b *place.Base, names *name.Reader, req Request, obs event.Observer,
) (sources, targets []name.End, err error) {
	return newTransferring(b, names, req, obs).ends()
}

// landings finds the source repositories and the target of each.
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
		some, err := r.landingsAt(ctx, to, repos)
		if err != nil {
			return nil, err
		}
		for _, l := range some {
			if known[l.To] {
				return nil, errorSameTarget(l.To.String())
			}
			known[l.To] = true
		}
		all = append(all, some...)
	}
	return all, nil
}

func (r *transferring) landingsAt(ctx context.Context, to name.End, repos []ref.Repo) ([]plan.Landing, error) {
	if to.Single() {
		at := to.Repo.Tagged("")
		if len(repos) == 1 {
			at = name.Within(repos[0].Tagged(""), at)
		}
		return []plan.Landing{{To: at.Repo, From: repos}}, nil
	}
	return r.mapped(ctx, to, repos)
}

// ends parses the names of the request. It sends no request to a registry.
func (r *transferring) ends() (sources, targets []name.End, err error) {
	if len(r.req.Sources) == 0 {
		return nil, nil, fault.Misuse("transfer", "", "no source", "name a registry, a prefix of it or a repository")
	}
	for _, s := range r.req.Sources {
		from, err := r.names.End(s, fault.Source)
		if err != nil {
			return nil, nil, err
		}
		sources = append(sources, from)
	}
	if targets, err = r.targets(sources); err != nil {
		return nil, nil, err
	}
	var preferred []name.End
	for _, s := range r.req.Prefer {
		p, err := r.names.End(s, fault.Source)
		if err != nil {
			return nil, nil, err
		}
		if !slices.ContainsFunc(sources, p.Meets) {
			r.report.Notef("%s is preferred but is not one of the sources", s)
		}
		preferred = append(preferred, p)
	}
	r.Rank = func(repo ref.Repo) int {
		for i, p := range preferred {
			if p.Covers(repo) {
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

// repositories lists the repositories of the sources and returns the selected ones. A listing that
// fails ends the transfer, so that it is never mistaken for an empty one.
func (r *transferring) repositories(ctx context.Context, sources, targets []name.End) ([]ref.Repo, error) {
	var repos []ref.Repo
	found := map[string][]ref.Repo{} // by path
	r.paths = map[ref.Repo]string{}
	r.noteUnused(sources)
	for _, from := range sources {
		switch {
		case from.Single():
			repos, r.Named[from.Repo] = append(repos, from.Repo), true
			continue
		case from.OnDisk():
			if err := r.layouts(ctx, from, targets, found); err != nil {
				return nil, err
			}
			continue
		case r.req.Selection.Repository != "":
			repo, err := ref.NewRepo(from.Host, r.req.Selection.Repository)
			if err != nil {
				return nil, err
			}
			repos, r.Named[repo] = append(repos, repo), true
			continue
		}
		if err := r.listSource(ctx, from, targets, found); err != nil {
			return nil, err
		}
	}
	all := slices.Sorted(maps.Keys(found))
	kept, why, err := r.req.Selection.Repositories(ctx, all)
	r.idleRepositories(ctx, all, kept)
	if len(found) > 0 {
		r.explain(why)
		for _, w := range why.Warnings {
			r.report.Notef("%s", w)
		}
	}
	for _, path := range kept {
		repos = append(repos, found[path]...)
	}
	slices.SortFunc(repos, func(a, b ref.Repo) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Host, b.Host), strings.Compare(a.Dir, b.Dir))
	})
	repos = slices.Compact(repos)
	r.selected = len(repos)
	r.idleRenames(ctx, repos)
	return repos, cmp.Or(err, r.checkMatches())
}

// listSource lists the repositories of a registry, or those below a prefix, into found.
func (r *transferring) listSource(
	ctx context.Context, from name.End, targets []name.End, found map[string][]ref.Repo,
) error {
	use := remote.Use{Actions: remote.Pull, Login: r.req.SourceLogin, Observe: r.begin().Watch()}
	listed, below := []string{}, 0
	err := r.Base.Repositories(ctx, from.Host, use, func(path string) error {
		if !strings.HasPrefix(path, from.Prefix) {
			listed = append(listed, path)
			return nil
		}
		below++
		if !slices.ContainsFunc(targets, func(to name.End) bool { return to.Receives(from, path) }) {
			repo := ref.Repo{Host: from.Host, Path: path}
			r.Cataloged[repo] = true
			found[path] = append(found[path], repo)
		}
		return nil
	})
	switch {
	case err != nil:
		return fault.On(fault.Source, err)
	case below == 0 && from.Prefix == "":
		r.idle = append(r.idle, from.Host+" lists no repository")
	case below == 0:
		r.idle = append(r.idle, noneBelow(from, listed))
	}
	return nil
}

// noneBelow says that a registry lists no repository below the prefix of a source, and which prefixes
// of those that it lists are similar.
func noneBelow(from name.End, listed []string) string {
	line := fmt.Sprintf("%s lists no repository below %s", from.Host, from.Prefix)
	depth := strings.Count(from.Prefix, "/")
	var prefixes []string
	for _, path := range listed {
		if parts := strings.SplitAfter(path, "/"); len(parts) > depth {
			prefixes = append(prefixes, strings.Join(parts[:depth], ""))
		}
	}
	slices.Sort(prefixes)
	if near := name.Similar(from.Prefix, slices.Compact(prefixes)); len(near) > 0 {
		line += "; similar: " + strings.Join(near, ", ")
	}
	return line
}

// targets parses Target and Also.
func (r *transferring) targets(sources []name.End) ([]name.End, error) {
	var targets []name.End
	for _, s := range append([]string{r.req.Target}, r.req.Also...) {
		to, err := r.names.End(s, fault.Target)
		if err != nil {
			return nil, err
		}
		if to.Single() && slices.ContainsFunc(sources, func(s name.End) bool { return !s.Single() }) {
			return nil, fault.Misuse("transfer", s, "several source repositories cannot be copied into one repository",
				"to name a prefix, end it with a slash: "+s+"/")
		}
		if slices.Contains(targets, to) {
			return nil, errorSameTarget(s)
		}
		targets = append(targets, to)
	}
	return targets, nil
}

func errorSameTarget(target string) error {
	return &fault.Fault{Kind: fault.Invalid, Side: fault.Target, Op: "transfer", Name: target, Err: errSameTarget,
		Hint: "leave one of them out"}
}

var errSameTarget = errors.New("two targets name the same place")

// together groups landings by their sources. The landings of one group have the same sources and
// one target each. They are planned and applied together, so that the sources are read once.
func together(landings []plan.Landing) [][]plan.Landing {
	var parts [][]plan.Landing
	at := map[ref.Repo][]int{} // indexes into parts, by the first source of each part
next:
	for _, l := range landings {
		for _, i := range at[l.From[0]] {
			if slices.Equal(parts[i][0].From, l.From) {
				parts[i] = append(parts[i], l)
				continue next
			}
		}
		at[l.From[0]] = append(at[l.From[0]], len(parts))
		parts = append(parts, []plan.Landing{l})
	}
	return parts
}

// ofPart learns from the request what its part needs to know about its sources. It sends no request to a registry.
func (r *transferring) ofPart() error {
	sources, _, err := r.ends()
	r.report.Sum.Notes = nil // those about the request are in the report of the split
	if err != nil {
		return err
	}
	for from := range reading(r.part) {
		for _, s := range sources {
			switch {
			case s.Single() && s.Repo == from, !s.Single() && s.Host == from.Host && r.req.Selection.Repository != "":
				r.Named[from] = true
			case s.Covers(from):
				r.Cataloged[from] = true
			}
		}
	}
	return nil
}

// reading returns the sources of landings.
func reading(landings []plan.Landing) map[ref.Repo]bool {
	sources := map[ref.Repo]bool{}
	for _, l := range landings {
		for _, from := range l.From {
			sources[from] = true
		}
	}
	return sources
}
