package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/dlclark/regexp2"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/python"
)

// Limits of patterns. If a pattern or a file exceeds its limit, the error is [fault.Invalid].
const (
	MaxPattern    = 4 << 10 // bytes of one pattern
	MaxIgnoreFile = 1 << 20 // bytes of an ignore-config file
)

// matchLimit is how long a backtracking expression may work on one name.
const matchLimit = time.Second

// Pattern selects the names of repositories, without their host, or the names of tags. "team/*" is a
// glob; "re:^team/(web|api)$" is a regular expression. The zero Pattern selects the empty name. A Pattern
// is safe for concurrent use.
//
// Globs are those of Python's fnmatchcase. Case matters, and the whole name must match. "*" and "?" also
// match "/". [seq] and [!seq] match one character. There are no escapes, and a "[" without a "]" matches
// itself.
//
// A pattern that begins with "re:", in lower case, is a regular expression of Python's re.match: it must
// match at the start of the name and need not match up to its end. RE2 runs it if it can; \d, \w, \s and
// \b then match ASCII only, as names are ASCII. An expression with a backreference or a look-around is
// run by a backtracking engine, with a time limit of one second for each name.
type Pattern struct {
	text string
	fast *regexp.Regexp
	slow *regexp2.Regexp // only when fast is nil
}

// ParsePattern reads one pattern. A comma is part of the pattern. The error is [fault.Invalid].
func ParsePattern(s string) (Pattern, error) {
	p, err := compile(s)
	if err != nil {
		return Pattern{}, invalid("read pattern", shown(s), err, "")
	}
	return p, nil
}

func compile(s string) (Pattern, error) {
	if len(s) > MaxPattern {
		return Pattern{}, fmt.Errorf("the pattern is longer than %d bytes", MaxPattern)
	}
	expression, isRegexp := strings.CutPrefix(s, "re:")
	if !isRegexp {
		fast, err := regexp.Compile(python.Glob(s))
		return Pattern{text: s, fast: fast}, err
	}
	e, err := python.Regexp(expression)
	if err != nil {
		return Pattern{}, err
	}
	fast, err := regexp.Compile(e.Text)
	if err == nil && !e.Backtracks {
		return Pattern{text: s, fast: fast}, nil
	}
	slow, slowErr := regexp2.Compile(e.Text, regexp2.None)
	if slowErr != nil {
		if err == nil {
			err = slowErr // RE2 compiled it, but read the backreference as something else
		}
		return Pattern{}, err
	}
	slow.MatchTimeout = matchLimit
	return Pattern{text: s, slow: slow}, nil
}

// Match reports whether p selects name. The error is [fault.TooLarge]: a backtracking expression took
// longer than its limit.
func (p Pattern) Match(name string) (bool, error) {
	switch {
	case p.fast != nil:
		// FindStringIndex returns the leftmost match, so if there is a match at 0, it returns that one.
		at := p.fast.FindStringIndex(name)
		return at != nil && at[0] == 0, nil
	case p.slow != nil:
		m, err := p.slow.FindStringMatch(name)
		if err != nil {
			return false, &fault.Fault{Kind: fault.TooLarge, Op: "match pattern", Name: shown(p.text),
				Err:  fmt.Errorf("matching took more than %v for the name %s", matchLimit, shown(name)),
				Hint: "write the expression without nested repetition"}
		}
		return m != nil && m.Index == 0, nil
	}
	return name == "", nil
}

// String returns the text that [ParsePattern] read.
func (p Pattern) String() string { return p.text }

// Patterns selects a name if one of the patterns selects it; the empty list selects nothing.
type Patterns []Pattern

// ParsePatterns reads each entry with [ParsePattern]. A glob whose "[" has no "]" can match no name, so it is
// refused. The error is [fault.Invalid].
func ParsePatterns(entries ...string) (Patterns, error) {
	for _, s := range entries {
		if !strings.HasPrefix(s, "re:") && python.IsOpen(s) {
			return nil, invalid("read pattern", shown(s), errors.New("a [ has no ]"), "write the characters as [abc]")
		}
	}
	return parseAll(entries)
}

func parseAll(entries []string) (Patterns, error) {
	var ps Patterns
	for _, s := range entries {
		p, err := ParsePattern(s)
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
	return ps, nil
}

// ParseIgnore reads lists of patterns in the form of the flag --ignore-pattern: "old/*, tmp*, re:^x{1,2}$".
// Globs are separated by commas. Spaces around them, and empty globs, are dropped. From "re:" on, the rest of
// an entry is one expression, with its commas; see [Patterns.Warnings]. The error is [fault.Invalid].
func ParseIgnore(entries ...string) (Patterns, error) {
	var ps []string
	for _, rest := range entries {
		for rest != "" {
			rest = strings.TrimSpace(rest)
			one, after := rest, ""
			if !strings.HasPrefix(rest, "re:") {
				one, after, _ = strings.Cut(rest, ",")
			}
			if one = strings.TrimSpace(one); one != "" {
				ps = append(ps, one)
			}
			rest = after
		}
	}
	return parseAll(ps)
}

// ParseIgnoreConfig reads an ignore-config file. The file is a JSON list of texts in the form that
// [ParseIgnore] reads, or an object with such a list as "patterns". Other members of the object are
// ignored. The error is [fault.Invalid].
func ParseIgnoreConfig(raw []byte) (Patterns, error) {
	entries, err := ignoreEntries(raw)
	if err != nil {
		return nil, invalid("read ignore patterns", "", err,
			`write ["app/*", "re:^old/"] or {"patterns": ["app/*", "re:^old/"]}`)
	}
	return ParseIgnore(entries...)
}

func ignoreEntries(raw []byte) ([]string, error) {
	if len(raw) > MaxIgnoreFile {
		return nil, fmt.Errorf("the file is larger than %d bytes", MaxIgnoreFile)
	}
	raw = bytes.TrimPrefix(raw, []byte("\uFEFF")) // the byte order mark that Windows editors write
	list := json.RawMessage(raw)
	switch trimmed := bytes.TrimSpace(raw); {
	case len(trimmed) == 0:
		return nil, errors.New("the file is empty")
	case bytes.HasPrefix(trimmed, []byte("{")):
		members := map[string]json.RawMessage{} // not a struct, which would also accept "Patterns"
		if err := json.Unmarshal(raw, &members); err != nil {
			return nil, err
		}
		if list = members["patterns"]; list == nil {
			return nil, errors.New(`the object has no "patterns"`)
		}
	}
	var entries []*string
	if err := json.Unmarshal(list, &entries); err != nil {
		return nil, err
	}
	if entries == nil {
		return nil, errors.New("null is not a list")
	}
	var out []string
	for _, e := range entries {
		if e != nil { // acr_transfer.py ignores null
			out = append(out, *e)
		}
	}
	return out, nil
}

var repeat = lazily(`\{[0-9]*,[0-9]*\}`)

// Warnings returns one warning for each regular expression that contains a comma outside of a repetition such as
// {1,2}. The author may have meant to separate two patterns with it.
func (ps Patterns) Warnings() []string {
	var out []string
	for _, p := range ps {
		if strings.HasPrefix(p.text, "re:") && strings.Contains(repeat().ReplaceAllString(p.text, ""), ",") {
			out = append(out, "pattern "+shown(p.text)+": the comma is part of the expression; "+
				"to use two patterns, give each one separately")
		}
	}
	return out
}

// First returns the first pattern that selects name. The error is that of [Pattern.Match].
func (ps Patterns) First(name string) (p Pattern, found bool, err error) {
	for _, p := range ps {
		if ok, err := p.Match(name); ok || err != nil {
			return p, ok, err
		}
	}
	return Pattern{}, false, nil
}
