package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drayage/dray/ref"
)

// Mapping says how to make the path of a target repository from that of a source repository. The zero Mapping
// keeps the path. The rules apply in the order of the fields, each to the result of the one before.
type Mapping struct {
	StripPrefix string  // whole components: with "team" or "team/", team/app becomes app, and teams/app stays
	Rename      Renames // substitutions in the path
	Flatten     bool    // join the components with "-": a/b/c becomes a-b-c
	Template    string  // "mirror/{host}/{repository}"; Check names the placeholders; "" means "{repository}"
	AddPrefix   string  // put before the path: with "mirror" or "mirror/", app becomes mirror/app
	MaxDepth    int     // of components; the rest is joined with "-": with 2, a/b/c becomes a/b-c; 0 means no limit
}

var placeholder = lazily(`\{[^{}]*\}|[{}]`)

// Check checks the template. The placeholders are {repository}, the path that the rules before Template
// made; {name}, the last component of that path; and {host}, the registry of the source with "-" for
// the colon before a port. The error is [fault.Invalid]: there is another placeholder, or the template
// and the prefix together are longer than [MaxPattern].
func (m Mapping) Check() error {
	if text := m.Template + m.AddPrefix; len(text) > MaxPattern {
		return invalid("read mapping", shown(text), fmt.Errorf("it is longer than %d bytes", MaxPattern), "")
	}
	for _, p := range placeholder().FindAllString(m.Template, -1) {
		if !slices.Contains([]string{"{repository}", "{name}", "{host}"}, p) {
			return invalid("read template", shown(m.Template), fmt.Errorf("unknown placeholder %s", p),
				"use {repository}, {name} or {host}")
		}
	}
	return nil
}

// Repo returns the target repository for from in the registry host. The error is [fault.Invalid]: the
// template is not valid, or the result is not the name of a repository.
func (m Mapping) Repo(host string, from ref.Repo) (ref.Repo, error) {
	if err := m.Check(); err != nil {
		return ref.Repo{}, err
	}
	var to ref.Repo
	path, err := m.path(from)
	if err == nil {
		to, err = ref.NewRepo(host, path)
	}
	if err != nil {
		return ref.Repo{}, invalid("map repository", from.String(), err, "")
	}
	return to, nil
}

// Stripped returns path without StripPrefix, as the other rules see it.
func (m Mapping) Stripped(path string) string {
	if prefix := strings.TrimSuffix(m.StripPrefix, "/"); prefix != "" {
		if rest, ok := strings.CutPrefix(path+"/", prefix+"/"); ok {
			return strings.TrimSuffix(rest, "/")
		}
	}
	return path
}

func (m Mapping) path(from ref.Repo) (string, error) {
	path, err := m.Rename.Apply(m.Stripped(from.Path), ref.MaxPath)
	if err != nil {
		return "", err
	}
	if m.Flatten {
		path = strings.ReplaceAll(path, "/", "-")
	}
	if m.Template != "" {
		path = strings.NewReplacer(
			"{repository}", path,
			"{name}", path[strings.LastIndexByte(path, '/')+1:],
			"{host}", strings.ReplaceAll(from.Host, ":", "-"),
		).Replace(m.Template)
	}
	if prefix := strings.TrimSuffix(m.AddPrefix, "/"); prefix != "" {
		path = prefix + "/" + path
	}
	if parts := strings.Split(path, "/"); m.MaxDepth > 0 && len(parts) > m.MaxDepth {
		path = strings.Join(append(parts[:m.MaxDepth-1:m.MaxDepth-1], strings.Join(parts[m.MaxDepth-1:], "-")), "/")
	}
	if len(path) > ref.MaxPath { // an error would have all of it
		return "", fmt.Errorf("it becomes %s, which is longer than %d bytes", shown(path), ref.MaxPath)
	}
	return path, nil
}

// Landing is one target repository with all source repositories that are copied to it.
type Landing struct {
	To   ref.Repo
	From []ref.Repo // in the order of their names, each once
}

// Landings maps the repositories from, in any order, to the registry host. It returns the targets in the
// order of their names. All sources of one target must be planned together, with one call of
// [Landing.Make] or [Landing.Merge], because these find sources that have different digests for one tag.
// Landings holds the names of repositories only, so that a whole registry can be planned one Landing at a
// time. The error is [fault.Invalid], and names the repositories that cannot be mapped, up to ten, or [fault.Canceled].
func (m Mapping) Landings(ctx context.Context, host string, from []ref.Repo) ([]Landing, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	sources := map[ref.Repo][]ref.Repo{}
	const most = 10
	var bad []string
	more := 0
	for _, repo := range slices.Compact(slices.SortedFunc(slices.Values(from), compareRepos)) {
		if err := canceled(ctx, "map repositories"); err != nil {
			return nil, err
		}
		switch to, err := m.Repo(host, repo); {
		case err == nil:
			sources[to] = append(sources[to], repo)
		case len(bad) < most:
			bad = append(bad, err.Error())
		default:
			more++
		}
	}
	if bad != nil {
		if more > 0 {
			bad = append(bad, fmt.Sprintf("and %d more", more))
		}
		return nil, invalid("map repositories", "", errors.New(strings.Join(bad, "; ")), "")
	}
	var out []Landing
	for to, from := range sources {
		out = append(out, Landing{to, from})
	}
	slices.SortFunc(out, func(a, b Landing) int { return compareRepos(a.To, b.To) })
	return out, nil
}

func compareRepos(a, b ref.Repo) int {
	return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Dir, b.Dir), cmp.Compare(a.Path, b.Path))
}

// Targets returns the target names of from. If from has no tag, the target has none, and the content is copied
// by digest. It returns nil if the repository of from is not in l. The error is [fault.Invalid]: tags makes a
// text that is not a tag.
func (l Landing) Targets(from ref.Name, tags TagMap) ([]ref.Name, error) {
	if !slices.Contains(l.From, from.Repo) {
		return nil, nil
	}
	if from.Tag == "" {
		return []ref.Name{{Repo: l.To}}, nil
	}
	renamed, err := tags.Targets(from.Tag)
	if err != nil {
		return nil, invalid("map tag", from.String(), err, "")
	}
	var to []ref.Name
	for _, tag := range renamed {
		if err := ref.Tag(tag); err != nil {
			return nil, invalid("map tag", from.String(), err, "")
		}
		to = append(to, l.To.Tagged(tag))
	}
	return to, nil
}

// Make plans the landing. src holds the selected names of all its sources, and dst what the target has.
// The error is [fault.Invalid]: that of [Landing.Targets], or that of the function [Make], which names
// two sources that have different content for one target name. It is [fault.Canceled] if ctx has ended.
func (l Landing) Make(ctx context.Context, src, dst Inventory, overwrite Overwrite, tags TagMap) ([]Step, error) {
	targets := map[ref.Name][]ref.Name{}
	for _, from := range slices.SortedFunc(maps.Keys(src), ref.Name.Compare) {
		if err := canceled(ctx, "plan"); err != nil {
			return nil, err
		}
		to, err := l.Targets(from, tags)
		if err != nil {
			return nil, err
		}
		targets[from] = to
	}
	of := func(from ref.Name) []ref.Name { return targets[from] }
	return Make(ctx, src, dst, Rules{Overwrite: overwrite, Targets: of})
}
