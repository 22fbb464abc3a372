package plan

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/drayage/dray/fault"
)

// Letters selects repositories by the first letter in their name. The zero Letters selects all.
type Letters struct {
	text  string
	spans []span
}

// span is a range of runes, both ends in it.
type span struct{ from, to rune }

// ParseLetters reads "a-c,e": letters and ranges of letters, in any case, with commas
// between them and spaces around any part. Any Unicode letter may stand there. ""
// selects everything; commas alone select nothing, see Warning. The error is Invalid,
// and its cause reads as acr_transfer.py words it, for those who look for that text.
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
			return Letters{}, &fault.Fault{Kind: fault.Invalid, Op: "read letters", Name: fmt.Sprintf("%q", s),
				Err: errors.New(cause), Hint: "letters and ranges with commas between them, as in a-c,e"}
		}
		l.spans = append(l.spans, sp)
	}
	return l, nil
}

// parseSpan reads one letter or range; typed is how it was written.
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

// letter reads a string of exactly one letter.
func letter(s string) (rune, bool) {
	r, size := utf8.DecodeRuneInString(s)
	return r, size == len(s) && unicode.IsLetter(r)
}

// Match reports whether the first letter anywhere in repository, in lower case, is one
// of those selected: "9to5" counts as t. A name without a letter is only selected by
// the zero Letters.
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

// Warning says that l can select nothing, or is "".
func (l Letters) Warning() string {
	if l.text == "" || len(l.spans) > 0 {
		return ""
	}
	return fmt.Sprintf("letters %q name no letter: no repository is selected", l.text)
}

// String is what ParseLetters read.
func (l Letters) String() string { return l.text }

// why says in an explanation what l found.
func (l Letters) why(repository string) string {
	first, ok := firstLetter(repository)
	if !ok {
		return fmt.Sprintf("letters %s: no letter in it", l.text)
	}
	return fmt.Sprintf("letters %s: begins with %c", l.text, first)
}
