package name

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// Similar picks up to three of the names in have that resemble want.
func Similar(want string, have []string) []string {
	type candidate struct {
		name  string
		far   int
		edits int
	}
	var all []candidate
	for _, name := range have {
		edits := levenshtein.Distance(want, name, nil)
		far := edits
		if strings.Contains(name, want) || strings.Contains(want, name) {
			far = min(far, 2)
		}
		if far <= max(2, len(want)/3) && name != want {
			all = append(all, candidate{name, far, edits})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(a.far, b.far),
			cmp.Compare(a.edits, b.edits),
			strings.Compare(b.name, a.name),
		)
	})
	var names []string
	for _, c := range all[:min(len(all), 3)] {
		names = append(names, c.name)
	}
	return names
}

// mistyped picks up to three of the names in have of which want may be a typing error. Unlike Similar, it
// picks no name only because want contains it: "prodmirror" is hardly a wrong "prod".
func mistyped(want string, have []string) []string {
	return slices.DeleteFunc(Similar(want, have), func(name string) bool {
		edits := levenshtein.Distance(want, name, nil)
		return edits > max(2, len(want)/3) || edits >= min(len(want), len(name))
	})
}

// isMistyped reports whether word is a typing error of a transport, which is not the word itself. Only one letter of a
// short one may be wrong, because other short words are repositories.
func isMistyped(word, transport string) bool {
	word = strings.ToLower(strings.ReplaceAll(word, "_", "-"))
	edits := levenshtein.Distance(word, transport, nil)
	if len(transport) < 5 {
		return edits == 1 && len(word) >= len(transport)
	}
	return edits < 3
}

// WithPrefixes returns names and the prefixes that they have, each once.
func WithPrefixes(names []string) []string {
	all := map[string]bool{}
	for _, name := range names {
		for all[name] = true; strings.Contains(name, "/"); all[name] = true {
			name = name[:strings.LastIndex(name, "/")]
		}
	}
	return slices.Sorted(maps.Keys(all))
}
