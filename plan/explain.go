package plan

import (
	"context"
	"fmt"
	"strings"
)

// Explain says why a [Selection] keeps or drops each name. Equal inputs, in any order, give equal
// explanations.
type Explain struct {
	Of       string    `json:"of"`                 // "repositories", or the repository whose tags these are
	Total    int       `json:"total"`              // number of distinct names
	Stages   []Stage   `json:"stages"`             // the rules that were given, in the order in which they apply
	Verdicts []Verdict `json:"verdicts"`           // one for each name, in the order of names
	Warnings []string  `json:"warnings,omitempty"` // for a person
}

// Stage is one rule of a selection and the number of names that it kept.
type Stage struct {
	Name string `json:"name"` // "letters", "include", "latest"
	Left int    `json:"left"`
}

// Verdict says whether one name is kept, and why.
type Verdict struct {
	Name  string `json:"name"`
	Kept  bool   `json:"kept"`
	Stage string `json:"stage,omitempty"` // the one that dropped the name, or the last that kept it; "" without rules
	Rule  string `json:"rule"`            // the reason in words: `ignore "old/*"`
}

// String returns one line for the stages, then one for each name and one for each warning:
//
//	app: 3 found, 2 left after include, 1 left after latest
//	  keep  v2  latest 1 by version: place 1
//	  drop  v1  latest 1 by version: place 2
//	  drop  x   no include pattern matches it
func (e Explain) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d found", e.Of, e.Total)
	for _, s := range e.Stages {
		fmt.Fprintf(&b, ", %d left after %s", s.Left, s.Name)
	}
	b.WriteByte('\n')
	width := 0
	for _, v := range e.Verdicts {
		width = max(width, len(v.Name))
	}
	for _, v := range e.Verdicts {
		word := "drop"
		if v.Kept {
			word = "keep"
		}
		fmt.Fprintf(&b, "  %s  %-*s  %s\n", word, width, v.Name, v.Rule)
	}
	for _, w := range e.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}

// Detail says what an [Explain] has: [StagesOnly] or [EachName], which takes memory for each name.
type Detail int

// The Details.
const (
	StagesOnly Detail = iota // no Verdicts
	EachName                 // a verdict for each name
)

// sieve passes items through stages and records what each stage did.
type sieve[T any] struct {
	name func(T) string
	left []T // the items that are still kept, in the order of names
	Explain
	detail Detail
	at     []int // for each item in left, its index in Verdicts
	err    error
}

// newSieve returns a sieve for items, which are distinct and in the order of their names. It uses the slice.
func newSieve[T any](of string, items []T, name func(T) string, detail Detail) *sieve[T] {
	s := &sieve[T]{name: name, left: items, Explain: Explain{Of: of, Total: len(items)}, detail: detail}
	s.Stages, s.Verdicts = []Stage{}, []Verdict{} // in JSON [] and never null
	if detail != EachName {
		return s
	}
	s.at, s.Verdicts = make([]int, len(items)), make([]Verdict, len(items))
	for i, item := range items {
		s.at[i] = i
		s.Verdicts[i] = Verdict{Name: name(item), Kept: true, Rule: "no rule drops it"}
	}
	return s
}

// because returns why, if there are verdicts that give a reason.
func (s *sieve[T]) because(why func() string) string {
	if s.detail != EachName {
		return ""
	}
	return why()
}

// stage drops the items for which keep returns false. After an error all further stages do nothing.
func (s *sieve[T]) stage(
	ctx context.Context, stage string, keep func(T) (kept bool, rule string, err error),
) {
	if s.err != nil {
		return
	}
	n := 0
	for i, item := range s.left {
		if s.err = canceled(ctx, "select"); s.err != nil {
			return
		}
		kept, rule, err := keep(item)
		if err != nil {
			s.err = err
			return
		}
		if s.detail == EachName {
			v := &s.Verdicts[s.at[i]]
			v.Kept, v.Stage, v.Rule = kept, stage, rule
		}
		if !kept {
			continue
		}
		s.left[n] = item
		if s.detail == EachName {
			s.at[n] = s.at[i]
		}
		n++
	}
	s.left = s.left[:n:n]
	s.Stages = append(s.Stages, Stage{stage, n})
}

// include drops the items that no pattern selects. Without patterns it drops nothing.
func (s *sieve[T]) include(ctx context.Context, ps Patterns) {
	if len(ps) == 0 {
		return
	}
	s.stage(ctx, "include", func(item T) (bool, string, error) {
		p, found, err := ps.First(ctx, s.name(item))
		if !found {
			return false, "no include pattern matches it", err
		}
		return true, s.because(func() string { return fmt.Sprintf("include %q", p) }), err
	})
}

// exclude drops the items that a pattern selects. stage is the name of the rule.
func (s *sieve[T]) exclude(ctx context.Context, stage string, ps Patterns) {
	if len(ps) == 0 {
		return
	}
	s.stage(ctx, stage, func(item T) (bool, string, error) {
		p, found, err := ps.First(ctx, s.name(item))
		if !found {
			return true, s.because(func() string { return "no " + stage + " pattern matches it" }), err
		}
		return false, s.because(func() string { return fmt.Sprintf("%s %q", stage, p) }), err
	})
}
