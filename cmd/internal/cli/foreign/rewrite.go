package foreign

import (
	"slices"
	"strings"

	"github.com/drayage/dray/ref"
)

// Tree is what a rewrite asks about the commands of dray.
type Tree struct {
	Has    func(words ...string) bool             // whether dray has the command of these words
	Knows  func(words []string, flag string) bool // whether the command that words begin with has "--flag" or "-f"
	Parses func(words []string) bool              // whether words are a command line that dray can run
}

// Answer says what dray has for a command line with a foreign word.
type Answer struct {
	Word string   // what was typed: "cp", "--all"
	Of   string   // the tools that have it; "" if many have
	Line []string // dray's command line in place of the whole one; nil if there is none
	Verb []string // without a Line: the command of dray that does it; nil if there is none
	Flag string   // without a Line: the flag of dray that does it; "" if there is none
	Why  string   // what is different, or why there is nothing
}

// CommandIn returns the answer to the foreign command that args begin with. ok is false if there is none.
func CommandIn(args []string, t Tree) (a Answer, ok bool) {
	at := slices.IndexFunc(args, isName)
	if at < 0 || at > 0 && takesValue(args[at-1]) {
		return Answer{}, false
	}
	typed := args[at]
	if at+1 < len(args) {
		rest := slices.Concat(args[:at], args[at+2:])
		// Without a further name, the second word may be the name of an image for a command of dray.
		if c, found := command(typed + " " + args[at+1]); found && !t.Has(typed, args[at+1]) &&
			(slices.ContainsFunc(rest, isName) || !t.Has(typed)) {
			return answer(c, rest, t), true
		}
	}
	if c, found := command(typed); found && (!t.Has(typed) || isImageFor(typed, args[at+1:])) {
		a = answer(c, slices.Concat(args[:at], args[at+1:]), t)
		if t.Has(typed) {
			a.Word += " " + args[at+1]
		}
		return a, true
	}
	return Answer{}, false
}

// FlagIn returns the answer to a foreign flag, such as "--all" or "-a", in the command line args. ok is false if
// the flag is not known.
func FlagIn(args []string, flag string, t Tree) (a Answer, ok bool) {
	f, found := find(flag, args)
	if !found {
		return Answer{}, false
	}
	a = Answer{Word: flag, Of: f.Of, Why: f.Why, Flag: f.To}
	a.settle(args, t)
	return a, true
}

// isImageFor reports whether rest, which follows a command that has only commands below it, begins with an image.
func isImageFor(typed string, rest []string) bool {
	return typed == "config" && len(rest) > 0 && isName(rest[0]) && strings.ContainsAny(rest[0], "/:")
}

func command(typed string) (Command, bool) {
	all := Commands()
	i := slices.IndexFunc(all, func(c Command) bool { return c.Typed == typed })
	if i < 0 {
		return Command{}, false
	}
	return all[i], true
}

// answer puts rest, the words that were typed besides the command, into the line of c.
func answer(c Command, rest []string, t Tree) Answer {
	a := Answer{Word: c.Typed, Of: c.Of, Why: c.Why}
	if c.Line == "" {
		return a
	}
	line := c.Line
	if c.File != "" {
		rest = withFile(rest, strings.Fields(c.File))
	}
	var two []string
	switch at := names(rest); {
	case c.Two != "" && len(at) == 2 && !hasLogin(rest):
		line, two = c.Two+" ...", []string{"$1", rest[at[0]], "$2", rest[at[1]]}
		rest = slices.Concat(rest[:at[0]], rest[at[0]+1:at[1]], rest[at[1]+1:])
	case c.Below:
		rest = below(rest)
	case c.Bare != "" && isTag(rest):
		line, rest, a.Why = c.Bare, withoutColon(rest), ""
	}
	var words []string
	for word := range strings.FieldsSeq(line) {
		if word == "..." {
			words = append(words, rest...)
		} else {
			words = append(words, strings.NewReplacer(two...).Replace(word))
		}
		if len(words) == 1+len(a.Verb) && isName(word) && t.Has(words...) {
			a.Verb = slices.Clone(words)
		}
	}
	if two == nil && c.Args > 0 && len(names(rest)) != c.Args {
		return a
	}
	a.settle(words, t)
	return a
}

// withFile returns words in which a file that follows one of the flags is the last name.
func withFile(words, flags []string) []string {
	for i, word := range words {
		name, file, joined := strings.Cut(word, "=")
		switch {
		case !slices.Contains(flags, name):
		case joined:
			return append(slices.Concat(words[:i], words[i+1:]), file)
		case i+1 < len(words):
			return append(slices.Concat(words[:i], words[i+2:]), words[i+1])
		}
	}
	return words
}

// hasLogin reports whether a word contains credentials, as in an address.
func hasLogin(words []string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return ref.NoLogin(word) != nil })
}

// settle sets the Line, from a command line of dray with foreign flags, or adds why there is none.
func (a *Answer) settle(words []string, t Tree) {
	line, why := rewritten(words, t)
	switch {
	case why == "" && t.Parses(line):
		a.Line = line
	case why != "":
		a.Why = strings.TrimPrefix(a.Why+"; "+why, "; ")
	}
}

// rewritten replaces the foreign flags of a command line by dray's, and leaves out passwords. If why is not
// empty, it says why there is no such line: it would do something else than was typed, or hold a secret.
func rewritten(args []string, t Tree) (line []string, why string) {
	for i := 0; i < len(args); i++ {
		word, value, joined := strings.Cut(args[i], "=")
		next := func() string {
			if !joined && i+1 < len(args) {
				i++
				return args[i]
			}
			return value
		}
		f, foreign := find(word, args)
		foreign = foreign && !t.Knows(args, word)
		switch {
		case !strings.HasPrefix(word, "-"):
			if ref.NoLogin(args[i]) != nil {
				return nil, "a name cannot contain credentials"
			}
			line = append(line, args[i])
		case isPassword(word):
			next()
		case word == "--src-creds" || word == "--dst-creds" || word == "-u" || word == "--username":
			line = userOf(line, word, next())
		case !foreign:
			line = append(line, args[i])
		case f.None != "":
			return nil, f.None
		case f.Value == Login:
			line = userOf(line, f.To, next())
		case f.Value == Verifies:
			if value == "false" {
				line = append(line, f.To)
			}
		default:
			line = append(line, f.as(next)...)
		}
	}
	return line, ""
}

// as returns the words of dray for f; next returns its value.
func (f Flag) as(next func() string) []string {
	words := strings.Fields(f.To)
	switch f.Value {
	case Same:
		words = append(words, next())
	case Dropped:
		next()
	}
	return words
}

// userOf adds a login without its password: dray asks for it. A value without a user is left out.
func userOf(line []string, flag, value string) []string {
	user, _, hasPassword := strings.Cut(value, ":")
	if user == "" || !hasPassword && flag != "-u" && flag != "--username" {
		return line
	}
	return append(line, flag, user)
}

// isPassword reports whether a flag, of any tool, has a password or a token as its value.
func isPassword(flag string) bool {
	return flag == "-p" || strings.HasSuffix(flag, "password") || strings.HasSuffix(flag, "-token") ||
		strings.HasSuffix(flag, "-pass")
}

// find returns the foreign flag that is written as "--all" or "-a" in the command line args of dray.
func find(flag string, args []string) (Flag, bool) {
	name := strings.TrimPrefix(flag, "--")
	if name == "" || !strings.HasPrefix(flag, "-") {
		return Flag{}, false
	}
	in := func(f Flag) bool {
		at := slices.IndexFunc(args, isName)
		return f.In == "" || at >= 0 && slices.Contains(strings.Fields(f.In), args[at])
	}
	all := Flags()
	i := slices.IndexFunc(all, func(f Flag) bool { return slices.Contains(strings.Fields(f.Names), name) && in(f) })
	if i < 0 {
		return Flag{}, false
	}
	return all[i], true
}

func isName(word string) bool { return !strings.HasPrefix(word, "-") }

// takesValue reports whether a flag that every command of dray has is followed by its value.
func takesValue(word string) bool {
	return slices.Contains([]string{"-o", "--output", "--config"}, word)
}

// names returns where the names among args are, without the values of foreign flags.
func names(args []string) (at []int) {
	for i := 0; i < len(args); i++ {
		f, foreign := find(args[i], nil)
		switch {
		case isName(args[i]):
			at = append(at, i)
		case isPassword(args[i]), takesValue(args[i]), args[i] == "--platform",
			foreign && f.Value != Alone && f.Value != Verifies:
			i++
		}
	}
	return at
}

// below returns words whose second name of two has the last part of the first one behind it: skopeo sync copies the
// repository a/b to the target c as c/b. A registry as a whole goes below the target.
func below(words []string) []string {
	at := names(words)
	if len(at) != 2 {
		return words
	}
	words = slices.Clone(words)
	src, dst := strings.TrimPrefix(words[at[0]], "docker://"), &words[at[1]]
	last := ""
	if i := strings.LastIndexByte(src, '/'); i >= 0 {
		last = src[i+1:]
	}
	*dst = strings.TrimSuffix(*dst, "/") + "/" + last
	return words
}

// isTag reports whether the last of several names is a tag alone, such as "v2" or ":v2".
func isTag(words []string) bool {
	at := names(words)
	return len(at) > 1 && !strings.ContainsAny(strings.TrimPrefix(words[at[len(at)-1]], ":"), "/:@")
}

// withoutColon returns words in which the last name does not begin with a colon.
func withoutColon(words []string) []string {
	at := names(words)
	words = slices.Clone(words)
	last := &words[at[len(at)-1]]
	*last = strings.TrimPrefix(*last, ":")
	return words
}
