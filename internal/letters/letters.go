// Package letters reads lists of letters and tells which of them a name begins with.
package letters

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Spans are ranges of letters, each in lower case.
type Spans []span

// span is a range of runes that includes both ends.
type span struct{ from, to rune }

// Parse reads letters and ranges of letters that are separated by commas, such as "a-c,e". They may be in upper or
// lower case and may have spaces around them. An empty part counts for nothing. The error has the wording of
// acr_transfer.py, for programs that search for that text.
func Parse(s string) (Spans, error) {
	var all Spans
	for token := range strings.SplitSeq(s, ",") {
		one := strings.ToLower(strings.TrimSpace(token))
		if one == "" {
			continue
		}
		sp, cause := parse(one, token)
		if cause != "" {
			return nil, errors.New(cause)
		}
		all = append(all, sp)
	}
	return all, nil
}

// parse reads one letter or range. typed is the original text, for the error.
func parse(s, typed string) (sp span, cause string) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		r, ok := letter(s)
		if !ok {
			return span{}, "Invalid letter token '" + typed + "'."
		}
		return span{r, r}, ""
	}
	from, ok1 := letter(strings.TrimSpace(first))
	to, ok2 := letter(strings.TrimSpace(last))
	switch {
	case !ok1 || !ok2:
		return span{}, "Invalid range token '" + typed + "'. Use the form a-c."
	case from > to:
		return span{}, "Invalid range token '" + typed + "'. Range start must precede end."
	}
	return span{from, to}, ""
}

// letter reports whether s is exactly one letter, and returns it.
func letter(s string) (rune, bool) {
	r, size := utf8.DecodeRuneInString(s)
	return r, size == len(s) && unicode.IsLetter(r)
}

// Has reports whether r is one of the letters.
func (s Spans) Has(r rune) bool {
	for _, sp := range s {
		if sp.from <= r && r <= sp.to {
			return true
		}
	}
	return false
}

// First returns the first letter anywhere in s, in lower case; ok is false if s has none.
func First(s string) (r rune, ok bool) {
	for _, r := range strings.ToLower(s) {
		if unicode.IsLetter(r) {
			return r, true
		}
	}
	return 0, false
}
