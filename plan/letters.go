package plan

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Letters selects repositories by the first letter in their name. The zero Letters selects all of them.
type Letters struct {
	text  string
	spans []span
}

// span is a range of runes that includes both ends.
type span struct{ from, to rune }

// ParseLetters reads letters and ranges of letters that are separated by commas, such as "a-c,e". They may
// be in upper or lower case and may have spaces around them. Any Unicode letter is allowed. "" selects
// everything. Commas alone select nothing; see [Letters.Warning].
//
// The error is [fault.Invalid]. Its cause has the wording of acr_transfer.py, for programs that search for
// that text.
func ParseLetters(s string) (Letters, error) {
	l := Letters{text: s}
	if s == "" {
		return l, nil
	}
	for token := range strings.SplitSeq(s, ",") {
		one := strings.ToLower(strings.TrimSpace(token))
		if one == "" {
			continue
		}
		sp, cause := parseSpan(one, token)
		if cause != "" {
			return Letters{}, invalid("read letters", fmt.Sprintf("%q", s), errors.New(cause),
				"write letters and ranges separated by commas, such as a-c,e")
		}
		l.spans = append(l.spans, sp)
	}
	return l, nil
}

// parseSpan reads one letter or range. typed is the original text, for the error.
func parseSpan(s, typed string) (sp span, cause string) {
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

// Match reports whether l selects repository by the first letter anywhere in it, whatever its case: "9to5"
// counts as t. Only the zero Letters selects a name without a letter.
func (l Letters) Match(repository string) bool {
	if l.text == "" {
		return true
	}
	first, ok := firstLetter(repository)
	if !ok {
		return false
	}
	for _, sp := range l.spans {
		if sp.from <= first && first <= sp.to {
			return true
		}
	}
	return false
}

func firstLetter(s string) (rune, bool) {
	for _, r := range strings.ToLower(s) {
		if unicode.IsLetter(r) {
			return r, true
		}
	}
	return 0, false
}

// Warning returns a warning if l can select nothing, and "" otherwise.
func (l Letters) Warning() string {
	if l.text == "" || len(l.spans) > 0 {
		return ""
	}
	return fmt.Sprintf("letters %q contain no letter, so no repository is selected", l.text)
}

// String returns the text that [ParseLetters] read.
func (l Letters) String() string { return l.text }

// why returns the reason for an explanation.
func (l Letters) why(repository string) string {
	first, ok := firstLetter(repository)
	if !ok {
		return fmt.Sprintf("letters %s: the name has no letter", l.text)
	}
	return fmt.Sprintf("letters %s: the first letter is %c", l.text, first)
}
