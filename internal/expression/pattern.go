package expression

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"

	"github.com/dlclark/regexp2"

	"github.com/drayage/dray/internal/python"
)

// Limits of one expression.
const (
	MaxText    = 4 << 10     // bytes of its text
	MaxProgram = 10_000      // instructions of its program; a letter is one instruction, and x{100} is a hundred
	MaxTime    = time.Second // of one match, if it backtracks
)

// ErrSlow means that a match took longer than MaxTime.
var ErrSlow = fmt.Errorf("matching took more than %v", MaxTime)

// Pattern is a compiled glob or regular expression. It is safe for concurrent use. The zero Pattern selects the empty
// text.
type Pattern struct {
	literal string // if the two others are nil
	fast    *regexp.Regexp
	slow    *regexp2.Regexp
	size    int
}

// Parse reads a glob of Python's fnmatch or, after "re:", an expression of Python's re.match.
func Parse(s string) (Pattern, error) {
	if len(s) > MaxText {
		return Pattern{}, fmt.Errorf("the pattern is longer than %d bytes", MaxText)
	}
	text, isRegexp := strings.CutPrefix(s, "re:")
	if !isRegexp {
		if !strings.ContainsAny(s, "*?[") {
			return Pattern{literal: s}, nil
		}
		return fast(python.Glob(s))
	}
	e, err := python.Regexp(text)
	if err != nil {
		return Pattern{}, err
	}
	p, err := fast(e.Text)
	if err == nil && !e.Backtracks || errors.Is(err, errLarge) {
		return p, err
	}
	slow, slowErr := regexp2.Compile(e.Text, regexp2.None)
	if slowErr != nil {
		if err == nil {
			err = slowErr // RE2 compiled it, but read the backreference as something else
		}
		return Pattern{}, err
	}
	if e.Repeats > python.MaxRepeats {
		return Pattern{}, fmt.Errorf("it repeats a part of itself more than %d times", python.MaxRepeats)
	}
	slow.MatchTimeout = MaxTime
	return Pattern{slow: slow, size: len(e.Text)}, nil
}

func fast(text string) (Pattern, error) {
	re, size, err := compile(text)
	return Pattern{fast: re, size: size}, err
}

// Size returns the number of instructions of p. It is 0 for a text without wildcards.
func (p Pattern) Size() int { return p.size }

// Match reports whether p selects s. The error is ErrSlow.
func (p Pattern) Match(s string) (bool, error) {
	switch {
	case p.fast != nil:
		// FindStringIndex returns the leftmost match, so if there is a match at 0, it returns that one.
		at := p.fast.FindStringIndex(s)
		return at != nil && at[0] == 0, nil
	case p.slow != nil:
		m, err := p.slow.FindStringMatch(s)
		if err != nil {
			return false, ErrSlow
		}
		return m != nil && m.Index == 0, nil
	}
	return s == p.literal, nil
}

var errLarge = fmt.Errorf("its repetitions make it larger than %d instructions", MaxProgram)

// Compile compiles an expression of RE2 whose text and program are within the limits.
func Compile(text string) (*regexp.Regexp, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("the expression is longer than %d bytes", MaxText)
	}
	re, _, err := compile(text)
	return re, err
}

// Size returns the approximate number of instructions of an expression.
func Size(re *regexp.Regexp) int {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return MaxProgram
	}
	return instructions(tree)
}

// compile finds out how large a program becomes before it makes it.
func compile(text string) (*regexp.Regexp, int, error) {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, 0, err
	}
	size := instructions(tree)
	if size > MaxProgram {
		return nil, 0, errLarge
	}
	re, err := regexp.Compile(text)
	return re, size, err
}

// instructions returns the approximate size of the program for re, and no more than a little over MaxProgram.
func instructions(re *syntax.Regexp) int {
	sum := 1
	for _, sub := range re.Sub {
		if sum += instructions(sub); sum > MaxProgram {
			return sum
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		sum = len(re.Rune)
	case syntax.OpCapture:
		sum++
	case syntax.OpRepeat:
		sum *= max(re.Min+1, re.Max)
	}
	return min(sum, MaxProgram+1)
}
