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
)

// Limits of patterns. Past them a pattern or a file is Invalid.
const (
	MaxPattern    = 4 << 10 // bytes of one pattern
	MaxIgnoreFile = 1 << 20 // bytes of an ignore-config file
)

// matchLimit ends one match of a backtracking expression.
const matchLimit = time.Second

// Pattern selects names: of repositories, without their host, or of tags. It is a glob,
// or with "re:" (lower case) before it a regular expression. The zero Pattern selects
// the empty name. A Pattern may be used by many goroutines.
//
// Globs are those of Python's fnmatchcase: case counts, the whole name must match, "*"
// and "?" also stand for "/", [seq] and [!seq] for one character; there are no escapes,
// and a "[" without its "]" stands for itself.
//
// Regular expressions are those of Python's re.match: they must match at the start of the
// name and may end before its end. RE2 runs what it can, where \d, \w, \s and \b know
// ASCII only, as names do; what needs a backreference or a look-around is run by a
// backtracking engine under a time limit of one second a name.
type Pattern struct {
	text string
	fast *regexp.Regexp
	slow *regexp2.Regexp // only when fast is nil
}

// ParsePattern reads one pattern as it stands: a comma is part of it. The error is Invalid.
func ParsePattern(s string) (Pattern, error) {
	p, err := compile(s)
	if err != nil {
		return Pattern{}, &fault.Fault{Kind: fault.Invalid, Op: "read pattern", Name: shown(s), Err: err}
	}
	return p, nil
}

func compile(s string) (Pattern, error) {
	if len(s) > MaxPattern {
		return Pattern{}, fmt.Errorf("longer than %d bytes", MaxPattern)
	}
	expression, isRegexp := strings.CutPrefix(s, "re:")
	if !isRegexp {
		fast, err := regexp.Compile(globExpression(s))
		return Pattern{text: s, fast: fast}, err
	}
	e, err := fromPython(expression)
	if err != nil {
		return Pattern{}, err
	}
	fast, err := regexp.Compile(e.text)
	if err == nil && !e.backtracks {
		return Pattern{text: s, fast: fast}, nil
	}
	slow, slowErr := regexp2.Compile(e.text, regexp2.None)
	if slowErr != nil {
		if err == nil {
			err = slowErr // RE2 took the backreference for something else
		}
		return Pattern{}, err
	}
	slow.MatchTimeout = matchLimit
	return Pattern{text: s, slow: slow}, nil
}

// Match reports whether p selects name. The error is TooLarge: a backtracking
// expression took longer than its limit.
func (p Pattern) Match(name string) (bool, error) {
	switch {
	case p.fast != nil:
		// The leftmost match is at 0 when there is one at 0.
		at := p.fast.FindStringIndex(name)
		return at != nil && at[0] == 0, nil
	case p.slow != nil:
		m, err := p.slow.FindStringMatch(name)
		if err != nil {
			return false, &fault.Fault{Kind: fault.TooLarge, Op: "match pattern", Name: shown(p.text),
				Err:  fmt.Errorf("it took more than %v on %s", matchLimit, shown(name)),
				Hint: "write the expression without nested repetition"}
		}
		return m != nil && m.Index == 0, nil
	}
	return name == "", nil
}

// String is what ParsePattern read.
func (p Pattern) String() string { return p.text }

// Patterns select what any of them selects; none selects nothing.
type Patterns []Pattern

// ParsePatterns reads each entry with ParsePattern. The error is Invalid.
func ParsePatterns(entries ...string) (Patterns, error) {
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

// ParseIgnore reads lists of patterns as people give them to --ignore-pattern: globs with
// commas between them, spaces around them dropped, empty ones too. From "re:" on, the
// rest of an entry is one expression, commas and all: see Warnings. The error is Invalid.
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
	return ParsePatterns(ps...)
}

// ParseIgnoreConfig reads an ignore-config file: a JSON list of what ParseIgnore reads, or an
// object with such a list as "patterns"; its other members do not count. The error is Invalid.
func ParseIgnoreConfig(raw []byte) (Patterns, error) {
	entries, err := ignoreEntries(raw)
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read ignore patterns", Err: err,
			Hint: `the file is ["app/*", "re:^old/"] or {"patterns": [...]}`}
	}
	return ParseIgnore(entries...)
}

func ignoreEntries(raw []byte) ([]string, error) {
	if len(raw) > MaxIgnoreFile {
		return nil, fmt.Errorf("larger than %d bytes", MaxIgnoreFile)
	}
	raw = bytes.TrimPrefix(raw, []byte("\uFEFF")) // Windows editors put it there
	list := json.RawMessage(raw)
	if trimmed := bytes.TrimSpace(raw); bytes.HasPrefix(trimmed, []byte("{")) {
		members := map[string]json.RawMessage{} // a struct would also take "Patterns"
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
		return nil, errors.New("null is no list")
	}
	var out []string
	for _, e := range entries {
		if e != nil { // acr_transfer.py leaves null out
			out = append(out, *e)
		}
	}
	return out, nil
}

var repeat = lazily(`\{[0-9]*,[0-9]*\}`)

// Warnings names the expressions in which a comma may have been meant to end them.
func (ps Patterns) Warnings() []string {
	var out []string
	for _, p := range ps {
		if strings.HasPrefix(p.text, "re:") && strings.Contains(repeat().ReplaceAllString(p.text, ""), ",") {
			out = append(out, fmt.Sprintf("pattern %s: the comma is part of the expression; give each pattern on its own to separate them", shown(p.text)))
		}
	}
	return out
}

// First returns the first pattern that selects name. The error is that of Match.
func (ps Patterns) First(name string) (p Pattern, found bool, err error) {
	for _, p := range ps {
		if ok, err := p.Match(name); ok || err != nil {
			return p, ok, err
		}
	}
	return Pattern{}, false, nil
}
