package plan

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Moves reports whether the step copies content or sets a name: it is a [Copy], [Replace] or [Retag].
func (s Step) Moves() bool { return s.Action == Copy || s.Action == Replace || s.Action == Retag }

// Works reports whether there is something to do: the step Moves, or locks a name that is up to date.
func (s Step) Works() bool { return s.Moves() || s.Locks != (oci.Locks{}) && s.Action == Skip }

// Attached reports whether To is a digest tag, such as that of a signature, which belongs to an image.
func (s Step) Attached() bool { return oci.IsDigestTag(s.To.Tag) }

// Impossible reports whether the step cannot be done, whatever the target has: it is [Broken] or [Refused].
// Its Problem says why.
func (s Step) Impossible() bool { return s.Action == Broken || s.Action == Refused }

// Inventory holds the content that names pointed to at one moment. A name is a tag of a repository, or a digest
// in it. A name that is not in the Inventory did not exist.
type Inventory map[ref.Name]oci.Descriptor

// Overwrite says what to do with a target name that exists:
//   - [Refuse]: never change it.
//   - [Update]: change it if it differs from the source.
//   - [Always]: set it again, also if it is equal.
//
// In a request of package dray, "" means the default of the request.
type Overwrite string

const (
	// Refuse writes nothing unless every target name is free or up to date. This is what az acr import
	// does without --force, and the default of imports and batches.
	Refuse Overwrite = "refuse"
	// Update copies what is missing or differs. This is the default of copies, tags and transfers.
	Update Overwrite = "update"
	// Always puts everything again, also what is equal.
	Always Overwrite = "always"
)

func (o Overwrite) known() bool { return o == Refuse || o == Update || o == Always }

// Rules is the last argument of [Make].
type Rules struct {
	Overwrite Overwrite // what to do with target names that exist

	Trims Trims // which images are not copied whole

	// Targets returns the target names of a source name, and none if it is not to be copied. A target
	// name without a tag means that the content is copied by digest.
	Targets func(from ref.Name) []ref.Name
}

// Action is what a step does:
//   - [Copy], [Replace]: copy to a name that is new, or that points to other content now.
//   - [Retag]: set a name in the same repository.
//   - [Skip]: nothing, because the target name is up to date.
//   - [Conflict], [Broken], [Refused]: nothing, because the step cannot be done.
type Action string

// The Actions of a [Step].
const (
	Copy     Action = "copy"     // The target does not have the name.
	Replace  Action = "replace"  // The target name moves from Step.Replaces to the digest of the source.
	Retag    Action = "retag"    // Source and target are one repository, so that only the manifest is put.
	Skip     Action = "skip"     // Source and target have the same digest.
	Conflict Action = "conflict" // The target name points to Step.Replaces, and Overwrite is Refuse.

	// Broken means that the step cannot be done: the source could not be resolved, or the target tag is
	// locked, for example. Step.Problem says why.
	Broken Action = "broken"

	// Refused means that a gate does not let the image move. Step.Problem says what the gate found.
	Refused Action = "refused"
)

// Hold says what a step that cannot be done means for the other steps of its plan:
//   - [Each]: nothing, the others continue.
//   - [All]: no name is set.
type Hold string

// The Holds of a [Plan].
const (
	Each Hold = "each" // Every step is independent of the others.
	All  Hold = "all"  // No name is set unless all names can be set.
)

// Step is one line of a plan: what to do with one target name.
type Step struct {
	Action    Action     `json:"action"`
	From      ref.Name   `json:"from,omitzero"`       // with the digest, unless Broken, and the requested tag, if any
	To        ref.Name   `json:"to,omitzero"`         // the target; without a tag, the content is copied by digest
	MediaType string     `json:"mediaType,omitempty"` // of the manifest or index
	Size      int64      `json:"size"`                // bytes of the manifest or index itself
	Replaces  oci.Digest `json:"replaces,omitempty"`  // what To pointed to when the plan was made
	Backup    string     `json:"backup,omitempty"`    // the tag that keeps Replaces, set before To; "" means none
	Trim      Trim       `json:"trim,omitzero"`       // what of the image is copied; the zero value means all
	Locks     oci.Locks  `json:"locks,omitzero"`      // what to lock on To after it is set: what only the source locks
	Overwrite Overwrite  `json:"overwrite,omitempty"` // "" means the Overwrite of the plan
	Own       Own        `json:"own,omitzero"`        // what was asked for this image alone
	Keeps     Keeps      `json:"keeps,omitempty"`     // of a digest tag that is a Skip: the target keeps what it has
	Asked     string     `json:"asked,omitempty"`     // the text of the request, if it is not a valid name
	Problem   *Problem   `json:"problem,omitempty"`   // why the step is Broken or Refused

	// Referrers are what refers to the image at the source and travels with it, if the plan was made to be
	// looked at. Whoever applies the plan looks for them again.
	Referrers []Referrer `json:"referrers,omitempty"`
}

// Problem is an error in the form that a plan stores.
type Problem struct {
	Kind    fault.Kind `json:"kind"`
	Side    fault.Side `json:"side,omitempty"`
	Message string     `json:"message"`
	Hint    string     `json:"hint,omitempty"`
}

// ProblemOf returns the Problem for err: its Kind, Side, text and hint.
func ProblemOf(err error) *Problem {
	return &Problem{Kind: fault.KindOf(err), Side: fault.SideOf(err), Message: err.Error(), Hint: fault.HintOf(err)}
}

// Err returns p as an error with the same text, Kind, Side and hint.
func (p *Problem) Err() error { return &problemError{p} }

// problemError has the text of the stored error and unwraps to a Fault of its Kind.
type problemError struct{ *Problem }

func (e *problemError) Error() string { return e.Message }

func (e *problemError) Unwrap() error { return &fault.Fault{Kind: e.Kind, Side: e.Side, Hint: e.Hint} }

// Origin returns the digest that From has at the source; "" if it was not resolved. It differs from
// Step.Digest if the step trims the image.
func (s Step) Origin() oci.Digest { return oci.Digest(s.From.Digest) }

// Digest returns the digest that To points to after the step; "" if the source was not resolved.
func (s Step) Digest() oci.Digest { return cmp.Or(s.Trim.Digest, s.Origin()) }

// Root returns the descriptor of the manifest or index that the target gets.
func (s Step) Root() oci.Descriptor {
	size := s.Size
	if s.Trim.Digest != "" {
		size = s.Trim.Size
	}
	return oci.Descriptor{MediaType: s.MediaType, Digest: s.Digest(), Size: size}
}

// Plan is a list of steps in a stable order.
type Plan struct {
	Verb      string // "import", "copy", "tag", "batch", "transfer"
	Overwrite Overwrite
	Hold      Hold      // "" means Each
	Backup    Backup    // how the backups of the steps are named; used again for steps that are planned again
	Referrers Referrers // what travels with the images
	Platforms Platforms // what of the images is copied; used again for steps that are planned again
	Notes     []string  // what a person should know before the plan is applied
	LeftOut   int       // names without a step, since their images are for other platforms; not written to a file
	Steps     []Step
}

// Conflicts returns the steps with the action [Conflict].
func (p Plan) Conflicts() []Step {
	return slices.DeleteFunc(slices.Clone(p.Steps), func(s Step) bool { return s.Action != Conflict })
}

// Make compares src with dst under the rules and returns the steps. Equal inputs give equal steps: the
// sources are in the order of their names, and the targets of a source in the order in which
// Rules.Targets returns them.
//
// The error is [fault.Invalid]: two sources with different content have the same target name. It is [fault.Canceled]
// if ctx has ended.
func Make(ctx context.Context, src, dst Inventory, rules Rules) ([]Step, error) {
	var steps []Step
	taken := map[ref.Name]int{} // index into steps, not a copy of the step: there may be 100,000 steps
	for _, from := range slices.SortedFunc(maps.Keys(src), ref.Name.Compare) {
		if err := canceled(ctx, "plan"); err != nil {
			return nil, err
		}
		for _, to := range rules.Targets(from) {
			trim := rules.Trims[src[from].Digest]
			key := to
			if to.Tag == "" {
				key.Digest = string(rules.Trims.Becomes(src[from].Digest)) // many digests can be copied to one repository
			}
			s := decide(from, to, src[from], trim, cmp.Or(dst[key].Digest, dst[to].Digest), rules.Overwrite)
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

func decide(from, to ref.Name, want oci.Descriptor, trim Trim, have oci.Digest, ow Overwrite) Step {
	from.Digest = string(want.Digest)
	if to.Tag == "" {
		to.Digest = "" // copied by digest: it is the digest of the source
	}
	s := Step{From: from, To: to, MediaType: want.MediaType, Size: want.Size, Trim: trim, Replaces: have}
	switch {
	case have == s.Digest() && ow != Always:
		s.Action = Skip
	case have != "" && have != s.Digest() && ow == Refuse:
		s.Action = Conflict
	case from.Repo.Same(to.Repo):
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
		Err:  fmt.Errorf("two sources with different content have this target: %s and %s", a, b),
		Hint: "give each source its own target tag"}
}

// Describe returns the step as one line: "replace  a/x:1 -> b/x:1  sha256:aa -> sha256:bb".
func (s Step) Describe() string {
	if s.Impossible() {
		what := s.Asked
		if what == "" {
			what = fmt.Sprintf("%s -> %s", s.From, s.To)
		}
		return fmt.Sprintf("%-8s  %s  %s", s.Action, what, s.Problem.Message)
	}
	if s.Keeps == KeepsOther {
		return fmt.Sprintf("%-8s  %s  %s  (the source has %s)", "keep", s.To, s.Replaces, s.Digest())
	}
	line := fmt.Sprintf("%-8s  %s -> %s  ", s.Action, s.From.Repo.Tagged(s.From.Tag), s.To)
	if s.Replaces != "" && s.Replaces != s.Digest() {
		line += string(s.Replaces) + " -> "
	}
	if line += string(s.Digest()); s.Backup != "" {
		line += "  (kept as " + s.Backup + ")"
	}
	if what := s.Trim.String(); what != "" {
		line += "  (" + what + ")"
	}
	if s.Locks != (oci.Locks{}) {
		line += "  (lock " + s.Locks.String() + ")"
	}
	return line
}

// Brings returns how many of the Referrers are copied. The target keeps its own of the others.
func (s Step) Brings() int {
	return len(slices.DeleteFunc(slices.Clone(s.Referrers), func(r Referrer) bool { return r.Keeps == KeepsOther }))
}

// Lines returns Describe, and a line for each of the Referrers.
func (s Step) Lines() []string {
	lines := []string{s.Describe()}
	for _, r := range s.Referrers {
		name, does := s.From.Repo.At(string(r.Digest)).String(), "  with"
		if r.Tag != "" {
			name = s.From.Repo.Tagged(r.Tag).String()
		}
		if r.Keeps == KeepsOther {
			name, does = s.To.Repo.Tagged(r.Tag).String(), "  keep"
		}
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%-8s  %s  %s", does, name, r.ArtifactType), " "))
	}
	return lines
}

// Backup says how to name backup tags. Before a tag is overwritten, a backup tag is set to what that tag
// points to. With the template "{tag}-before-{date}", v1 is kept as v1-before-20260301. The zero Backup
// keeps nothing.
type Backup struct {
	Template string `json:"template"`       // "{tag}-before-{date}"; Check names the placeholders
	Date     string `json:"date,omitempty"` // the text for {date}, such as "20260301"; the caller provides it
}

// Repository is the plan for one target repository, with the verb "transfer" and the hold [Each]. If the
// repository could not be planned, it has a [Broken] step without a tag, which says why.
type Repository struct {
	To    ref.Repo
	From  []ref.Repo // in the order of their names
	Steps []Step
	Part  int  // the number of this part, from 1, if To has more steps than are planned at a time; else 0
	More  bool // another part follows
}

// Needs reports whether there is something to do; see [Step.Works].
func (p Repository) Needs() bool { return slices.ContainsFunc(p.Steps, Step.Works) }

// Tags says which tags of the source a copy includes:
//   - [NamedTag]: the one that the source names.
//   - [AllTags]: all tags of the source repository.
//   - [Sharing]: all tags that point to the same image.
type Tags string

// The Tags of a copy.
const (
	NamedTag Tags = ""        // The tag that the source names.
	AllTags  Tags = "all"     // Every tag that the source repository lists.
	Sharing  Tags = "sharing" // Every tag that has the digest of the image that the source names.
)

// ReferrersOf returns what travels with the image of a step of p.
func (p Plan) ReferrersOf(s Step) Referrers { return s.Own.Referrers.Or(p.Referrers) }

// PlatformsOf returns which platforms of the image of a step of p are copied.
func (p Plan) PlatformsOf(s Step) Platforms { return s.Own.Platforms.Or(p.Platforms) }

// Entry is one image of a batch.
type Entry struct {
	Source string // the full name of an image

	// Targets are names "repository[:tag]" in the registry of the batch, or full names. If there are
	// none, the target is that registry with the path and the tag of the source.
	Targets   []string
	Paths     bool      // Targets are paths in the registry of the batch, also if they begin like a host
	Overwrite Overwrite // "" means the Overwrite of the batch
	Own                 // what it leaves open is as in the batch
	Line      int       // the line in the list, for errors; 0 means none
}
