package plan

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/expression"
	"github.com/drayage/dray/internal/python"
)

// Limits of patterns. If a pattern or a file exceeds its limit, the error is [fault.Invalid].
const (
	MaxPattern      = expression.MaxText // bytes of one pattern: 4096
	MaxIgnoreFile   = 1 << 20            // bytes of an ignore-config file
	MaxPatternsSize = 250_000            // of a list: a letter is 1, x{100} is 100, a name without wildcards is 0
)

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
// run by a backtracking engine, with a time limit of one second for each name. It may repeat a part of itself 1000
// times at most.
type Pattern struct {
	text     string
	compiled expression.Pattern
}

// ParsePattern reads one pattern. A comma is part of the pattern. The error is [fault.Invalid].
func ParsePattern(s string) (Pattern, error) {
	compiled, err := expression.Parse(s)
	if err != nil {
		return Pattern{}, invalid("read pattern", shown(s), err, "")
	}
	return Pattern{s, compiled}, nil
}

// Match reports whether p selects name. The error is [fault.TooLarge]: a backtracking expression took
// longer than its limit.
func (p Pattern) Match(name string) (bool, error) {
	found, err := p.compiled.Match(name)
	if err != nil {
		return false, &fault.Fault{Kind: fault.TooLarge, Op: "match pattern", Name: shown(p.text),
			Err:  fmt.Errorf("%w for the name %s", err, shown(name)),
			Hint: "write the expression without nested repetition"}
	}
	return found, nil
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
	size := 0
	for _, s := range entries {
		p, err := ParsePattern(s)
		if err != nil {
			return nil, err
		}
		if size += p.compiled.Size(); size > MaxPatternsSize {
			return nil, invalid("read patterns", "", fmt.Errorf("the %d patterns are larger than %d together",
				len(entries), MaxPatternsSize), "use fewer patterns, or names without wildcards")
		}
		ps = append(ps, p)
	}
	return ps, nil
}

// ParseIgnore reads lists of patterns in the form of the flag --ignore-pattern: "old/*, tmp*, re:^x{1,2}$".
// Globs are separated by commas. Spaces around them, and empty globs, are dropped. From "re:" on, the rest of
// an entry is one expression, with its commas; see [Patterns.Warnings]. The error is [fault.Invalid].
func ParseIgnore(entries ...string) (Patterns, error) {
	return parseAll(python.SplitIgnore(entries))
}

// ParseIgnoreConfig reads an ignore-config file. The file is a JSON list of texts in the form that
// [ParseIgnore] reads, or an object with such a list as "patterns". Other members of the object are
// ignored. The error is [fault.Invalid].
func ParseIgnoreConfig(raw []byte) (Patterns, error) {
	if len(raw) > MaxIgnoreFile {
		return nil, invalid("read ignore patterns", "", fmt.Errorf("the file is larger than %d bytes", MaxIgnoreFile), "")
	}
	entries, err := python.IgnoreFile(raw)
	if err != nil {
		return nil, invalid("read ignore patterns", "", err,
			`write ["app/*", "re:^old/"] or {"patterns": ["app/*", "re:^old/"]}`)
	}
	return ParseIgnore(entries...)
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

// First returns the first pattern that selects name. The error is that of [Pattern.Match], or [fault.Canceled] if ctx
// has ended.
func (ps Patterns) First(ctx context.Context, name string) (p Pattern, found bool, err error) {
	for _, p := range ps {
		if err := canceled(ctx, "match patterns"); err != nil {
			return p, false, err
		}
		if ok, err := p.Match(name); ok || err != nil {
			return p, ok, err
		}
	}
	return Pattern{}, false, nil
}
