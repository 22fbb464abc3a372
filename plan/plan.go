package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Moves reports whether the step brings something, or gives it a name.
func (s Step) Moves() bool { return s.Action == Copy || s.Action == Replace || s.Action == Retag }

// Works reports whether the step does something: it Moves, or locks a name.
func (s Step) Works() bool {
	return s.Moves() || s.Locks != (oci.Locks{}) && s.Action == Skip
}

// Inventory is what was found at one moment: the content behind each name. A name is
// a tag of a repository, or a digest in it. A name that is not in it was not there.
type Inventory map[ref.Name]oci.Descriptor

// Overwrite says what to do where the target name holds something else already.
type Overwrite string

const (
	Refuse Overwrite = "refuse" // nothing is touched unless all names are free or right; az acr import without --force
	Update Overwrite = "update" // what is missing or differs is brought, what is equal is left; the default of copy and tag
	Always Overwrite = "always" // everything is put again, even where it is equal
)

func (o Overwrite) known() bool { return o == Refuse || o == Update || o == Always }

// Rules say which names go where.
type Rules struct {
	Overwrite Overwrite
	Targets   func(from ref.Name) []ref.Name // none leaves the name out
}

// Action is what one step will do.
type Action string

const (
	Copy     Action = "copy"     // the target lacks the name
	Replace  Action = "replace"  // the target name moves from Replaces to the source's digest
	Retag    Action = "retag"    // same repository: only the manifest is put
	Skip     Action = "skip"     // the digests agree
	Conflict Action = "conflict" // the target name holds Replaces, and Overwrite is Refuse
	Broken   Action = "broken"   // it can not be done: the source was not found out, the target's tag is locked; see Problem
)

// Hold says what one step that can not be done means for the others.
type Hold string

const (
	Each Hold = "each" // nothing: every step stands for itself
	All  Hold = "all"  // no name is set unless all can be
)

// Step is one name's fate.
type Step struct {
	Action    Action     `json:"action"`
	From      ref.Name   `json:"from,omitzero"` // with the digest, unless Broken; with the tag that was asked for, if any
	To        ref.Name   `json:"to,omitzero"`   // without a tag: the content arrives by digest only
	MediaType string     `json:"mediaType,omitempty"`
	Size      int64      `json:"size"`                // bytes of the manifest or index itself
	Replaces  oci.Digest `json:"replaces,omitempty"`  // what To held when the plan was made
	Backup    string     `json:"backup,omitempty"`    // the tag beside To that keeps Replaces, set before To moves; "" is none
	Locks     oci.Locks  `json:"locks,omitzero"`      // what is locked on To once it is set: of what the source locks, what To does not
	Overwrite Overwrite  `json:"overwrite,omitempty"` // "" is the plan's
	Asked     string     `json:"asked,omitempty"`     // the words of the request, where they are no names
	Problem   *Problem   `json:"problem,omitempty"`   // why the step is Broken
}

// Problem is an error as a plan keeps it.
type Problem struct {
	Kind    fault.Kind `json:"kind"`
	Side    fault.Side `json:"side,omitempty"`
	Message string     `json:"message"`
	Hint    string     `json:"hint,omitempty"`
}

// ProblemOf keeps what a reader needs of err.
func ProblemOf(err error) *Problem {
	p := &Problem{Kind: fault.KindOf(err), Message: err.Error(), Hint: fault.HintOf(err)}
	var f *fault.Fault
	if errors.As(err, &f) {
		p.Side = f.Side
	}
	return p
}

// Err is the error that the problem was.
func (p *Problem) Err() error {
	return &problemError{p}
}

// problemError reads as the error that was kept, and is a fault of its Kind.
type problemError struct{ *Problem }

func (e *problemError) Error() string { return e.Message }

func (e *problemError) Unwrap() error { return &fault.Fault{Kind: e.Kind, Side: e.Side, Hint: e.Hint} }

// Digest is what To will hold.
func (s Step) Digest() oci.Digest { return oci.Digest(s.From.Digest) }

// Root is the descriptor of what is brought.
func (s Step) Root() oci.Descriptor {
	return oci.Descriptor{MediaType: s.MediaType, Digest: s.Digest(), Size: s.Size}
}

// Plan is a list of steps in a stable order.
type Plan struct {
	Verb      string // "import", "copy", "tag"
	Overwrite Overwrite
	Hold      Hold     // "" is Each
	Backup    Backup   // how the Backups of its steps are named; a plan that is followed names them anew
	Notes     []string // what a person should know before it is applied
	Steps     []Step
}

// Conflicts returns the steps that stand in the way.
func (p Plan) Conflicts() []Step {
	return slices.DeleteFunc(slices.Clone(p.Steps), func(s Step) bool { return s.Action != Conflict })
}

// Make compares src with dst under the rules. Equal inputs give equal plans:
// sources come in the order of their names, targets in the order the rules name
// them. Two sources that land on one target name with different content are
// Invalid.
func Make(src, dst Inventory, rules Rules) ([]Step, error) {
	var steps []Step
	taken := map[ref.Name]int{} // by the step's place: there may be a hundred thousand
	for _, from := range slices.SortedFunc(maps.Keys(src), ref.Name.Compare) {
		for _, to := range rules.Targets(from) {
			key := to
			if to.Tag == "" {
				key.Digest = string(src[from].Digest) // a repository takes many by digest
			}
			s := decide(from, to, src[from], cmp.Or(dst[key].Digest, dst[to].Digest), rules.Overwrite)
			other, twice := taken[key]
			if twice && steps[other].Digest() != s.Digest() {
				return nil, collision(to, steps[other].From, s.From)
			}
			if !twice {
				taken[key] = len(steps)
				steps = append(steps, s)
			}
		}
	}
	return steps, nil
}

func decide(from, to ref.Name, want oci.Descriptor, have oci.Digest, ow Overwrite) Step {
	from.Digest = string(want.Digest)
	if to.Tag == "" {
		to.Digest = "" // by digest only: the digest is the source's
	}
	s := Step{From: from, To: to, MediaType: want.MediaType, Size: want.Size, Replaces: have}
	switch {
	case have == want.Digest && ow != Always:
		s.Action = Skip
	case have != "" && have != want.Digest && ow == Refuse:
		s.Action = Conflict
	case from.Repo == to.Repo:
		s.Action = Retag
	case have != "":
		s.Action = Replace
	default:
		s.Action = Copy
	}
	return s
}

func collision(to, a, b ref.Name) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "plan", Name: to.String(),
		Err:  fmt.Errorf("two different sources land on it: %s and %s", a, b),
		Hint: "give each source a target tag of its own"}
}

// Describe says a step in one line: "replace  a/x:1 -> b/x:1  sha256:aa -> sha256:bb".
func (s Step) Describe() string {
	if s.Action == Broken {
		what := s.Asked
		if what == "" {
			what = fmt.Sprintf("%s -> %s", s.From, s.To)
		}
		return fmt.Sprintf("%-8s  %s  %s", s.Action, what, s.Problem.Message)
	}
	line := fmt.Sprintf("%-8s  %s -> %s  ", s.Action, s.From.Repo.Tagged(s.From.Tag), s.To)
	if s.Replaces != "" && s.Replaces != s.Digest() {
		line += string(s.Replaces) + " -> "
	}
	if line += string(s.Digest()); s.Backup != "" {
		line += "  (kept as " + s.Backup + ")"
	}
	if s.Locks != (oci.Locks{}) {
		line += "  (lock " + s.Locks.String() + ")"
	}
	return line
}

// Backup names the tags that keep what other tags hold before those are overwritten.
// The zero Backup keeps nothing.
type Backup struct {
	Template string `json:"template"`       // as "{tag}-before-{date}"; see Check
	Date     string `json:"date,omitempty"` // what {date} becomes, as "20260301": times are values handed in
}

// Repository is what is to be done about one target repository. Its steps are those
// of a plan whose verb is "transfer" and whose hold is Each. A step that is Broken
// and has no tag says why the repository could not be planned.
type Repository struct {
	To    ref.Repo
	From  []ref.Repo // in the order of their names
	Steps []Step
}

// Needs reports whether something is to be done.
func (p Repository) Needs() bool { return slices.ContainsFunc(p.Steps, Step.Works) }
