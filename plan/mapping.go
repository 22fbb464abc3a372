package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// Mapping says where a repository goes. The zero Mapping leaves its path as it is. The rules are
// applied in the order of the fields, each to what the one before it made.
type Mapping struct {
	StripPrefix string  // whole components: "team" and "team/" take it off team/app, not off teams/app
	Rename      Renames // regular expressions, on the whole path
	Flatten     bool    // a/b/c becomes a-b-c
	Template    string  // as "mirror/{host}/{repository}"; see Check. "" is {repository}
	AddPrefix   string  // whole components, with or without a slash at the end
	MaxDepth    int     // components at most; the rest is joined by "-": a/b/c becomes a/b-c for 2. 0 is no limit
}

var placeholder = lazily(`\{[^{}]*\}|[{}]`)

// Check refuses a template with a placeholder other than {repository}, the path as the rules
// before made it, {name}, its last component, and {host}, the source's registry with "-" for the
// colon before a port. The error is Invalid.
func (m Mapping) Check() error {
	for _, p := range placeholder().FindAllString(m.Template, -1) {
		if !slices.Contains([]string{"{repository}", "{name}", "{host}"}, p) {
			return &fault.Fault{Kind: fault.Invalid, Op: "read template", Name: shown(m.Template), Err: fmt.Errorf("unknown placeholder %s", p),
				Hint: "{repository}, {name} and {host} are known"}
		}
	}
	return nil
}

// Repo returns where from goes in the registry host. The error is Invalid: the template is none,
// or what came out is no repository.
func (m Mapping) Repo(host string, from ref.Repo) (ref.Repo, error) {
	if err := m.Check(); err != nil {
		return ref.Repo{}, err
	}
	to, err := ref.NewRepo(host, m.path(from))
	if err != nil {
		return ref.Repo{}, &fault.Fault{Kind: fault.Invalid, Op: "map repository", Name: from.String(), Err: err}
	}
	return to, nil
}

func (m Mapping) path(from ref.Repo) string {
	path := from.Path
	if prefix := strings.TrimSuffix(m.StripPrefix, "/"); prefix != "" {
		if rest, ok := strings.CutPrefix(path+"/", prefix+"/"); ok {
			path = strings.TrimSuffix(rest, "/")
		}
	}
	path = m.Rename.Apply(path)
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
	return path
}

// Landing is one target repository and the sources that land on it.
type Landing struct {
	To   ref.Repo
	From []ref.Repo // in the order of their names, each once
}

// Landings maps many repositories, in any order, and returns the targets in the order of their
// names. What lands on one target has to be planned by one Make: it is there that two sources
// with one tag and different digests are found and refused. It takes memory for the
// repositories only, so a registry is planned one Landing at a time. The error is Invalid and
// names the repositories that can not be mapped, up to ten.
func (m Mapping) Landings(host string, from []ref.Repo) ([]Landing, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	sources := map[ref.Repo][]ref.Repo{}
	var bad []string
	for _, repo := range slices.Compact(slices.SortedFunc(slices.Values(from), compareRepos)) {
		to, err := m.Repo(host, repo)
		if err != nil {
			bad = append(bad, err.Error())
			continue
		}
		sources[to] = append(sources[to], repo)
	}
	if bad != nil {
		const most = 10
		if more := len(bad) - most; more > 0 {
			bad = append(bad[:most], fmt.Sprintf("and %d more", more))
		}
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "map repositories", Err: errors.New(strings.Join(bad, "; "))}
	}
	var out []Landing
	for to, from := range sources {
		out = append(out, Landing{to, from})
	}
	slices.SortFunc(out, func(a, b Landing) int { return compareRepos(a.To, b.To) })
	return out, nil
}

func compareRepos(a, b ref.Repo) int {
	return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Path, b.Path))
}

// Targets returns the names that from becomes; a name without a tag arrives by digest. A name
// of another landing has none. The error is Invalid: what the map makes of the tag is no tag.
func (l Landing) Targets(from ref.Name, tags TagMap) ([]ref.Name, error) {
	if !slices.Contains(l.From, from.Repo) {
		return nil, nil
	}
	if from.Tag == "" {
		return []ref.Name{{Repo: l.To}}, nil
	}
	var to []ref.Name
	for _, tag := range tags.Targets(from.Tag) {
		if err := ref.Tag(tag); err != nil {
			return nil, &fault.Fault{Kind: fault.Invalid, Op: "map tag", Name: from.String(), Err: err}
		}
		to = append(to, l.To.Tagged(tag))
	}
	return to, nil
}

// Make plans the landing: src holds the selected names of all its sources, dst what the target
// has. The error is Invalid, of Targets or of the function Make: two names of one target
// want different content, and both sources are named.
func (l Landing) Make(src, dst Inventory, overwrite Overwrite, tags TagMap) ([]Step, error) {
	targets := map[ref.Name][]ref.Name{}
	for _, from := range slices.SortedFunc(maps.Keys(src), ref.Name.Compare) {
		to, err := l.Targets(from, tags)
		if err != nil {
			return nil, err
		}
		targets[from] = to
	}
	return Make(src, dst, Rules{Overwrite: overwrite, Targets: func(from ref.Name) []ref.Name { return targets[from] }})
}
