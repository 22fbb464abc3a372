package python

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Glob translates a glob of Python's fnmatch into an expression for RE2.
func Glob(glob string) string {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for rest := glob; rest != ""; {
		c, size := utf8.DecodeRuneInString(rest)
		set, after, isSet := "", "", false
		if c == '[' {
			set, after, isSet = cutSet(rest[size:])
		}
		switch {
		case isSet:
			b.WriteString(setExpression(set))
			rest = after
			continue
		case c == '*':
			b.WriteString(`.*`)
			rest = strings.TrimLeft(rest, "*")
			continue
		case c == '?':
			b.WriteString(`.`)
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
		rest = rest[size:]
	}
	b.WriteString(`\z`)
	return b.String()
}

// IsOpen reports whether a "[" of the glob begins no set, because no "]" follows. It stands for itself then.
func IsOpen(glob string) bool {
	for {
		_, set, begins := strings.Cut(glob, "[")
		if !begins {
			return false
		}
		_, after, ends := cutSet(set)
		if !ends {
			return true
		}
		glob = after
	}
}

// cutSet splits "seq]rest" at the "]" that ends the set. A "]" at the start, or directly after "!", is part
// of the set.
func cutSet(s string) (set, after string, found bool) {
	from := 0
	if strings.HasPrefix(s, "!") {
		from = 1
	}
	if strings.HasPrefix(s[from:], "]") {
		from++
	}
	end := strings.IndexByte(s[from:], ']')
	if end < 0 {
		return "", "", false
	}
	return s[:from+end], s[from+end+1:], true
}

// setExpression translates the inside of [seq] or [!seq]. A range whose end is lower than its start
// contains nothing.
func setExpression(set string) string {
	inside, negated := strings.CutPrefix(set, "!")
	runes := []rune(inside)
	var b strings.Builder
	for i := 0; i < len(runes); {
		if i+2 < len(runes) && runes[i+1] == '-' {
			if runes[i] <= runes[i+2] {
				fmt.Fprintf(&b, `\x{%x}-\x{%x}`, runes[i], runes[i+2])
			}
			i += 3
			continue
		}
		fmt.Fprintf(&b, `\x{%x}`, runes[i])
		i++
	}
	switch {
	case b.Len() == 0 && negated:
		return `.`
	case b.Len() == 0:
		return `[^\x{0}-\x{10FFFF}]`
	case negated:
		return `[^` + b.String() + `]`
	}
	return `[` + b.String() + `]`
}

// Expression is a Python regular expression in a syntax that RE2 and regexp2 read in the same way.
type Expression struct {
	Text       string
	Backtracks bool // it has a backreference, so RE2 must not run it, even if it compiles
	Repeats    int  // how often a part of it is repeated at most by {n}, inside other parts that are repeated too
}

// MaxRepeats limits Repeats: more than this is counted as one more. RE2 has the same limit for repetitions.
const MaxRepeats = 1000

// reader translates one expression from left to right.
type reader struct {
	rest   string
	out    strings.Builder
	groups int            // number of groups so far
	inside []int          // for each group that is open, and for the whole: the most repeats of a part in it
	last   int            // the same for the last element
	names  map[string]int // the numbers of named groups
	Expression
}

var (
	repeatedAnchor = lazily(`^(\^|\$|\\[AbBZ])([*+?]|\{([0-9]+(,[0-9]*)?|,[0-9]*)\})`)
	anyRepeat      = lazily(`^\{([0-9]*)(?:,([0-9]*))?\}`)
	openRepeat     = lazily(`^\{,([0-9]*)\}`)
	namedGroup     = lazily(`^\(\?P<([^>)]*)>`)
	namedBack      = lazily(`^\(\?P=([^)]*)\)`)
	condition      = lazily(`^\(\?\(([^)]*)\)`)
	comment        = lazily(`^\(\?#[^)]*\)`)
	extension      = lazily(`^\(\?([:=!>]|<[=!]|[imsx]*(-[imsx]+)?:)`)
	globalFlags    = lazily(`^\(\?([aimsux]+)\)`)
	onlyFlags      = lazily(`^(\(\?[imsx]+\))*$`) // matches an output that holds nothing but flags
	octal          = lazily(`^\\[0-3][0-7][0-7]`)
	setOctal       = lazily(`^\\[0-7]{1,3}`)
	numberBack     = lazily(`^\\([1-9][0-9]?)`)
	identifier     = lazily(`^[\pL_][\pL\pN_]*$`)
	errSetEnd      = errors.New("missing closing ]")
	errLoneStop    = errors.New("a backslash at the end")
)

// The letters that may follow a backslash. Z is not among them, because it is translated separately.
const (
	escapes    = "AbBdDsSwWafnrtvxu"
	setEscapes = "bdDsSwWafnrtvxu" // inside a set
)

// Regexp translates an expression of Python's re module. RE2 and regexp2 read a few constructs
// differently from Python and from each other, without an error: {,n}; \Z; [ inside a set; the numbers of
// named groups; \12. Regexp rewrites these. It refuses the escapes that Python refuses, and what
// neither engine supports: \N, \U, possessive quantifiers (Python 3.11) and the flags a, L and u inside an
// expression.
func Regexp(s string) (Expression, error) {
	r := &reader{rest: s, names: map[string]int{}, inside: []int{1}, last: 1}
	for r.rest != "" {
		r.count()
		if err := r.next(); err != nil {
			return Expression{}, err
		}
	}
	r.Text, r.Repeats = r.out.String(), slices.Max(r.inside)
	return r.Expression, nil
}

// count counts the repeats of the element that comes next. Groups are counted where they are opened.
func (r *reader) count() {
	top := len(r.inside) - 1
	switch r.rest[0] {
	case ')':
		if top > 0 {
			r.last, r.inside = r.inside[top], r.inside[:top]
			r.inside[top-1] = max(r.inside[top-1], r.last)
		}
	case '{':
		if m := anyRepeat().FindStringSubmatch(r.rest); m != nil {
			times := max(1, number(m[1]), number(m[2]))
			r.last = min(r.last*times, MaxRepeats+1)
			r.inside[top] = max(r.inside[top], r.last)
		}
	case '*', '+', '?':
	default:
		r.last = 1
	}
}

// number reads the digits s as a number of repeats. "" is 0.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil && s != "" || n > MaxRepeats {
		return MaxRepeats + 1
	}
	return n
}

// opened begins to count the repeats in a group.
func (r *reader) opened() { r.inside = append(r.inside, 1) }

// next translates one element.
func (r *reader) next() error {
	switch r.rest[0] {
	case '\\':
		return r.escape()
	case '[':
		return r.set()
	case '(':
		return r.open()
	case '^', '$':
		if repeatedAnchor().MatchString(r.rest) {
			return fmt.Errorf("nothing to repeat at %.80q", r.rest)
		}
	case '{':
		if m := openRepeat().FindStringSubmatch(r.rest); m != nil {
			r.put(len(m[0]), "{0,"+m[1]+"}")
			return nil
		}
	}
	_, size := utf8.DecodeRuneInString(r.rest)
	r.put(size, r.rest[:size])
	return nil
}

// put consumes n bytes of the input and writes s.
func (r *reader) put(n int, s string) {
	r.out.WriteString(s)
	r.rest = r.rest[n:]
}

func (r *reader) escape() error {
	if len(r.rest) == 1 {
		return errLoneStop
	}
	c := r.rest[1]
	if repeatedAnchor().MatchString(r.rest) {
		return fmt.Errorf("nothing to repeat at %.80q", r.rest)
	}
	if m := octal().FindString(r.rest); m != "" {
		return r.octal(m)
	}
	if m := numberBack().FindStringSubmatch(r.rest); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return err
		}
		return r.back(m[0], n)
	}
	switch {
	case c == 'Z':
		r.put(2, `\z`)
	case isLetter(c) && !strings.ContainsRune(escapes, rune(c)):
		return fmt.Errorf(`bad escape \%c`, c)
	default:
		_, size := utf8.DecodeRuneInString(r.rest[1:])
		r.put(1+size, r.rest[:1+size])
	}
	return nil
}

// octal translates an octal escape such as \101 into a hexadecimal one.
func (r *reader) octal(m string) error {
	n, err := strconv.ParseUint(m[1:], 8, 8)
	if err != nil {
		return err
	}
	r.put(len(m), fmt.Sprintf(`\x%02x`, n))
	return nil
}

// back writes a backreference to group n. typed is its original text.
func (r *reader) back(typed string, n int) error {
	if n > r.groups {
		return fmt.Errorf("%s refers to a group that does not exist", typed)
	}
	r.Backtracks = true
	// The reference is put into a group, so that a digit after it is not read as part of the number.
	r.put(len(typed), fmt.Sprintf(`(?:\%d)`, n))
	return nil
}

func (r *reader) open() error {
	if m := comment().FindString(r.rest); m != "" {
		r.put(len(m), "")
		return nil
	}
	if m := namedBack().FindStringSubmatch(r.rest); m != nil {
		n, known := r.names[m[1]]
		if !known {
			return fmt.Errorf("%s refers to a group that does not exist", m[0])
		}
		return r.back(m[0], n)
	}
	if m := namedGroup().FindStringSubmatch(r.rest); m != nil {
		if _, twice := r.names[m[1]]; twice || !identifier().MatchString(m[1]) {
			return fmt.Errorf("bad or repeated group name %q", m[1])
		}
		r.groups++
		r.names[m[1]] = r.groups
		r.opened()
		r.put(len(m[0]), "(") // without the name, because regexp2 numbers named groups after the others, unlike Python
		return nil
	}
	if m := condition().FindStringSubmatch(r.rest); m != nil {
		n, err := strconv.Atoi(m[1])
		if named, ok := r.names[m[1]]; ok {
			n, err = named, nil
		}
		if err != nil || n < 1 || n > r.groups {
			return fmt.Errorf("%s refers to a group that does not exist", m[0])
		}
		r.Backtracks = true
		r.opened()
		r.put(len(m[0]), fmt.Sprintf("(?(%d)", n))
		return nil
	}
	if !strings.HasPrefix(r.rest, "(?") {
		r.groups++
	} else if m := globalFlags().FindStringSubmatch(r.rest); m != nil && onlyFlags().MatchString(r.out.String()) {
		// The flag u is the default, and the flag a makes no difference for names, which are ASCII.
		if flags := strings.NewReplacer("a", "", "u", "").Replace(m[1]); flags != "" {
			r.out.WriteString("(?" + flags + ")")
		}
		r.rest = r.rest[len(m[0]):]
		return nil
	} else if m != nil || !extension().MatchString(r.rest) {
		return fmt.Errorf("unknown or misplaced extension at %.80q", r.rest)
	}
	r.opened()
	r.put(1, "(")
	return nil
}

// set translates [seq]. A "[" inside it, and a "]" at its start, stand for themselves.
func (r *reader) set() error {
	r.put(1, "[")
	if strings.HasPrefix(r.rest, "^") {
		r.put(1, "^")
	}
	for first := true; r.rest != ""; first = false {
		c := r.rest[0]
		switch {
		case c == ']' && !first:
			r.put(1, "]")
			return nil
		case c == ']' || c == '[':
			r.put(1, `\`+string(c))
		case c == '\\':
			if err := r.setEscape(); err != nil {
				return err
			}
		default:
			_, size := utf8.DecodeRuneInString(r.rest)
			r.put(size, r.rest[:size])
		}
	}
	return errSetEnd
}

func (r *reader) setEscape() error {
	if len(r.rest) == 1 {
		return errLoneStop
	}
	c := r.rest[1]
	if m := setOctal().FindString(r.rest); m != "" {
		return r.octal(m)
	}
	switch {
	case c == 'b':
		r.put(2, `\x08`)
	case isLetter(c) && !strings.ContainsRune(setEscapes, rune(c)), c >= '1' && c <= '9':
		return fmt.Errorf(`bad escape \%c`, c)
	default:
		_, size := utf8.DecodeRuneInString(r.rest[1:])
		r.put(1+size, r.rest[:1+size])
	}
	return nil
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// lazily returns a function that compiles expr at its first call. Most runs need none of the expressions.
func lazily(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
