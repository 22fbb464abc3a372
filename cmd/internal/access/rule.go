package access

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/drayage/dray/fault"
)

// Rule grants rights. For example, the rule with the principal "ci", the verb "import", the source
// "docker.io/library/*", the target "reg.example/**" and the right "create" allows ci to import
// official images under new names.
//
// A rule matches an Ask if each list has at least one pattern that matches the Ask. An empty list
// matches nothing: a rule without Sources grants only an Ask that has no source. A list need not
// match what the Ask leaves empty.
//
// In Principals and Verbs, "*" matches any text. Sources and Targets are patterns of HOST/REPO: there
// "*" matches any text without a slash, "**" matches any text, and "?" matches one character that is
// not a slash.
type Rule struct {
	Principals []string
	Verbs      []string
	Sources    []string
	Targets    []string
	Rights     []string // a subset of the variable Rights; empty grants only reading
	Where      string   // the place of the rule for messages, such as "config.yaml:12"
}

// The rights to write. Each is granted separately.
const (
	Create    = "create"    // put a name that does not exist
	Overwrite = "overwrite" // put a name that has other content
	Mount     = "mount"     // mount blobs from the repository Source of the same registry, without reading them
	Delete    = "delete"
)

// Rights lists all rights that a Rule can grant in addition to reading.
var Rights = []string{Create, Overwrite, Mount, Delete}

// Ask describes what a principal wants to do.
type Ask struct {
	Verb   string
	Source string // HOST/REPO; "" means none
	Target string // HOST/REPO; "" means none
	Write  string // one of Rights; "" means that it only reads
}

// rule is a Rule with its patterns compiled.
type rule struct {
	Rule
	principals, verbs, sources, targets []*regexp.Regexp
}

// placed returns a place, or a pattern of places, with the first of own in place of any other of own.
func placed(place string, own []string) string {
	host, rest, ok := strings.Cut(place, "/")
	if ok && slices.Contains(own, host) {
		return own[0] + "/" + rest
	}
	return place
}

// compile compiles the patterns of rules. own are the names of the server's own registry.
func compile(rules []Rule, own []string) ([]rule, error) {
	var all []rule
	for _, r := range rules {
		c := rule{Rule: r}
		for _, list := range []struct {
			to    *[]*regexp.Regexp
			globs []string
			star  string
			own   []string
		}{
			{&c.principals, r.Principals, ".*", nil},
			{&c.verbs, r.Verbs, ".*", nil},
			{&c.sources, r.Sources, "[^/]*", own},
			{&c.targets, r.Targets, "[^/]*", own},
		} {
			for _, glob := range list.globs {
				if glob == "" || strings.ContainsRune(glob, 0) || !utf8.ValidString(glob) {
					return nil, badRule(r, "", errors.New("not a pattern: "+strconv.Quote(glob)))
				}
				*list.to = append(*list.to, regexp.MustCompile(expression(placed(glob, list.own), list.star)))
			}
		}
		for _, right := range r.Rights {
			if !slices.Contains(Rights, right) {
				return nil, badRule(r, "use one of "+strings.Join(Rights, ", "), errors.New("no such right: "+right))
			}
		}
		all = append(all, c)
	}
	return all, nil
}

func badRule(r Rule, hint string, err error) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read rule", Name: r.Where, Hint: hint, Err: err}
}

// expression returns the regular expression for a glob. It matches the whole text, line breaks
// included. star is the expression for "*".
func expression(glob, star string) string {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	stars := 0
	for _, r := range glob + "\x00" { // the last round writes the stars at the end
		if r == '*' {
			stars++
			continue
		}
		switch {
		case stars == 1:
			b.WriteString(star)
		case stars > 1:
			b.WriteString(".*")
		}
		stars = 0
		switch r {
		case 0:
		case '?':
			b.WriteString("[^/]")
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	return b.String() + `\z`
}

// grants reports whether the rule allows p to do what ask describes.
func (r rule) grants(p Principal, ask Ask) bool {
	if p.Name == Anonymous && !slices.Contains(r.Principals, Anonymous) {
		return false // "*" matches only principals that have shown credentials
	}
	return matches(r.principals, p.Name) && matches(r.verbs, ask.Verb) &&
		(ask.Source == "" || matches(r.sources, ask.Source)) &&
		(ask.Target == "" || matches(r.targets, ask.Target)) &&
		(ask.Write == "" || slices.Contains(r.Rights, ask.Write))
}

func matches(list []*regexp.Regexp, s string) bool {
	return slices.ContainsFunc(list, func(re *regexp.Regexp) bool { return re.MatchString(s) })
}
