package plan

import (
	"fmt"

	"github.com/drayage/dray/internal/letters"
)

// Letters selects repositories by the first letter in their name. The zero Letters selects all of them.
type Letters struct {
	text  string
	spans letters.Spans
}

// ParseLetters reads letters and ranges of letters that are separated by commas, such as "a-c,e". They may
// be in upper or lower case and may have spaces around them. Any Unicode letter is allowed. "" selects
// everything. Commas alone select nothing; see [Letters.Warning].
//
// The error is [fault.Invalid]. Its cause has the wording of acr_transfer.py, for programs that search for
// that text.
func ParseLetters(s string) (Letters, error) {
	spans, err := letters.Parse(s)
	if len(s) > MaxPattern {
		err = fmt.Errorf("they are longer than %d bytes", MaxPattern)
	}
	if err != nil {
		return Letters{}, invalid("read letters", shown(s), err,
			"write letters and ranges separated by commas, such as a-c,e")
	}
	return Letters{text: s, spans: spans}, nil
}

// Match reports whether l selects repository by the first letter anywhere in it, whatever its case: "9to5"
// counts as t. Only the zero Letters selects a name without a letter.
func (l Letters) Match(repository string) bool {
	if l.text == "" {
		return true
	}
	first, ok := letters.First(repository)
	return ok && l.spans.Has(first)
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
	first, ok := letters.First(repository)
	if !ok {
		return fmt.Sprintf("letters %s: the name has no letter", l.text)
	}
	return fmt.Sprintf("letters %s: the first letter is %c", l.text, first)
}
