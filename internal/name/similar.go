package name

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// maxCompared is how many pairs of bytes Similar compares: those of a hundred thousand names, unless they are long. A
// hint is not worth more.
const maxCompared = 100_000_000

// Similar picks up to three of the names in have that resemble want. It looks at the first names only if it would take
// long to look at all of them.
func Similar(want string, have []string) []string {
	type candidate struct {
		name  string
		far   int
		edits int
	}
	var all []candidate
	most, compared := max(2, len(want)/3), 0
	for _, name := range have {
		contains := strings.Contains(name, want) || strings.Contains(want, name)
		if diff := len(name) - len(want); !contains && (diff > most || diff < -most) {
			continue // there are at least as many edits
		}
		if compared += len(want) * len(name); compared > maxCompared {
			break
		}
		edits := levenshtein.Distance(want, name, nil)
		far := edits
		if contains {
			far = min(edits, 2)
		}
		if far <= most && name != want {
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
