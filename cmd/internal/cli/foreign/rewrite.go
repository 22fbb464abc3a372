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
	if c, found := command(typed); found && !t.Has(typed) {
		return answer(c, slices.Concat(args[:at], args[at+1:]), t), true
	}
	return Answer{}, false
}

// FlagIn returns the answer to a foreign flag, such as "--all" or "-a", in the command line args. ok is false if
// the flag is not known.
func FlagIn(args []string, flag string, t Tree) (a Answer, ok bool) {
	f, found := find(flag)
	if !found {
		return Answer{}, false
	}
	a = Answer{Word: flag, Of: f.Of, Why: f.Why, Flag: f.To}
	a.settle(args, t)
	return a, true
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
	var words []string
	for word := range strings.FieldsSeq(c.Line) {
		if word == "..." {
			words = append(words, rest...)
		} else {
			words = append(words, word)
		}
		if len(words) == 1+len(a.Verb) && isName(word) && t.Has(words...) {
			a.Verb = slices.Clone(words)
		}
	}
	if c.Args > 0 && count(rest) != c.Args {
		return a
	}
	a.settle(words, t)
	return a
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
		f, foreign := find(word)
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

// find returns the foreign flag that is written as "--all" or "-a".
func find(flag string) (Flag, bool) {
	name := strings.TrimPrefix(flag, "--")
	if name == "" || !strings.HasPrefix(flag, "-") {
		return Flag{}, false
	}
	all := Flags()
	i := slices.IndexFunc(all, func(f Flag) bool { return slices.Contains(strings.Fields(f.Names), name) })
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

// count returns the number of names among args, without the values of foreign flags.
func count(args []string) (n int) {
	for i := 0; i < len(args); i++ {
		f, foreign := find(args[i])
		switch {
		case isName(args[i]):
			n++
		case isPassword(args[i]), takesValue(args[i]), foreign && f.Value != Alone && f.Value != Verifies:
			i++
		}
	}
	return n
}
