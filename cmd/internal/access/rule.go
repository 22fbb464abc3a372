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

// Rule grants rights. It matches an Ask when each of its lists matches what the Ask names; of the
// patterns in a list one is enough. A list that is empty matches nothing: without Sources a rule
// grants only what reads from nowhere. What an Ask leaves out no list has to match.
//
// In Principals and Verbs "*" stands for any text. In Sources and Targets, which are patterns
// of HOST/REPO, "*" stands for any text without a slash, "**" for any text, "?" for one
// character that is not a slash.
type Rule struct {
	Principals []string
	Verbs      []string
	Sources    []string
	Targets    []string
	Rights     []string // of Rights; empty grants reading alone
	Where      string   // "config.yaml:12", for messages
}

// What may be written, each a right of its own.
const (
	Create    = "create"    // a name that is not there
	Overwrite = "overwrite" // a name that holds something else
	Mount     = "mount"     // take blobs from the repository Source, at the same registry, without reading them
	Delete    = "delete"
)

// Rights are all that a Rule can grant beside reading.
var Rights = []string{Create, Overwrite, Mount, Delete}

// Ask is what a principal wants to do.
type Ask struct {
	Verb   string
	Source string // HOST/REPO; "" for none
	Target string // HOST/REPO; "" for none
	Write  string // one of Rights; "" reads
}

type rule struct {
	Rule
	principals, verbs, sources, targets []*regexp.Regexp
}

func compile(rules []Rule) ([]rule, error) {
	var all []rule
	for _, r := range rules {
		c := rule{Rule: r}
		for _, list := range []struct {
			to    *[]*regexp.Regexp
			globs []string
			star  string
		}{{&c.principals, r.Principals, ".*"}, {&c.verbs, r.Verbs, ".*"}, {&c.sources, r.Sources, "[^/]*"}, {&c.targets, r.Targets, "[^/]*"}} {
			for _, glob := range list.globs {
				if glob == "" || strings.ContainsRune(glob, 0) || !utf8.ValidString(glob) {
					return nil, badRule(r, "", errors.New("not a pattern: "+strconv.Quote(glob)))
				}
				*list.to = append(*list.to, regexp.MustCompile(expression(glob, list.star)))
			}
		}
		for _, right := range r.Rights {
			if !slices.Contains(Rights, right) {
				return nil, badRule(r, "one of "+strings.Join(Rights, ", "), errors.New("no such right: "+right))
			}
		}
		all = append(all, c)
	}
	return all, nil
}

func badRule(r Rule, hint string, err error) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read rule", Name: r.Where, Hint: hint, Err: err}
}

// expression says a glob as a regular expression over the whole text, line breaks included.
func expression(glob, star string) string {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	stars := 0
	for _, r := range glob + "\x00" { // a last turn, for stars at the end
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

func (r rule) grants(p Principal, ask Ask) bool {
	if p.Name == Anonymous && !slices.Contains(r.Principals, Anonymous) {
		return false // "*" means everybody who is somebody
	}
	return matches(r.principals, p.Name) && matches(r.verbs, ask.Verb) &&
		(ask.Source == "" || matches(r.sources, ask.Source)) &&
		(ask.Target == "" || matches(r.targets, ask.Target)) &&
		(ask.Write == "" || slices.Contains(r.Rights, ask.Write))
}

func matches(list []*regexp.Regexp, s string) bool {
	return slices.ContainsFunc(list, func(re *regexp.Regexp) bool { return re.MatchString(s) })
}
