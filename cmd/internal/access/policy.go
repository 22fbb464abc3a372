package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
)

// Allow returns nil if p may do what ask describes, else a Fault of Kind Denied. An Admin may do
// everything. A Reader may never write. Everything else requires a rule that grants it.
func (a *Access) Allow(p Principal, ask Ask) error {
	switch {
	case !p.Role.Known() || p.Name == "":
		return refuse(p, ask, "the principal has no name or no role", "")
	case ask.Write != "" && !slices.Contains(Rights, ask.Write):
		return refuse(p, ask, "there is no right "+ask.Write, "")
	case p.Admin():
		return nil
	case ask.Write != "" && !p.Role.Covers(Submitter):
		return refuse(p, ask, "the role reader does not allow writes", "use a token with the role submitter")
	}
	ask.Source, ask.Target = placed(ask.Source, a.own), placed(ask.Target, a.own)
	for _, r := range a.rules {
		if r.grants(p, ask) {
			return nil
		}
	}
	return refuse(p, ask, "no rule grants "+needed(p, ask), "ask an admin to add this rule below server.policy")
}

// needed returns the rule that would grant p what ask describes, as it is written in the configuration.
func needed(p Principal, ask Ask) string {
	text := "{"
	for _, k := range []struct{ key, value string }{
		{"principals", p.Name}, {"verbs", ask.Verb}, {"sources", ask.Source}, {"targets", ask.Target}, {"rights", ask.Write},
	} {
		if k.value != "" {
			text += fmt.Sprintf("%s: [%s], ", k.key, k.value)
		}
	}
	return strings.TrimSuffix(text, ", ") + "}"
}

func refuse(p Principal, ask Ask, cause, hint string) error {
	what := []string{ask.Verb}
	if ask.Write != "" {
		what = append(what, "("+ask.Write+")")
	}
	if ask.Source != "" {
		what = append(what, "from "+ask.Source)
	}
	if ask.Target != "" {
		what = append(what, "to "+ask.Target)
	}
	return &fault.Fault{
		Kind: fault.Denied,
		Op:   p.Name + " may not",
		Name: strings.Join(what, " "),
		Hint: hint,
		Err:  errors.New(cause),
	}
}

// grantsAnonymous reports whether a rule names "anonymous".
func (a *Access) grantsAnonymous() bool {
	return slices.ContainsFunc(a.rules, func(r rule) bool { return slices.Contains(r.Principals, Anonymous) })
}
