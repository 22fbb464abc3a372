package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Check checks the template. The placeholders are {tag}, {digest} (64 hex digits), {digest12} (the first 12
// of them) and {date}. The error is [fault.Invalid]: there is another placeholder, the result is not a
// tag, or the backup of a tag would be that tag itself.
func (b Backup) Check() error {
	if b == (Backup{}) {
		return nil
	}
	bad := func(cause, hint string) error {
		return invalid("read backup template", shown(b.Template), errors.New(cause), hint)
	}
	for _, p := range placeholder().FindAllString(b.Template, -1) {
		if !slices.Contains([]string{"{tag}", "{digest}", "{digest12}", "{date}"}, p) {
			return bad("unknown placeholder "+p, "use {tag}, {digest12}, {digest} or {date}")
		}
		if p == "{date}" && b.Date == "" {
			return bad("{date} is used, but no date is given", "")
		}
	}
	const sample, hint = "v1", "write a template such as {tag}-before-{date}"
	name := b.fill(sample, oci.Sum(nil))
	if err := ref.Tag(name); err != nil {
		return bad(fmt.Sprintf("it makes %q of the tag %s, which is not a tag", name, sample), hint)
	}
	if name == sample {
		return bad("the backup of a tag would be that tag itself", hint)
	}
	return nil
}

func (b Backup) fill(tag string, held oci.Digest) string {
	hex := held.Encoded()
	short := hex[:min(12, len(hex))]
	values := strings.NewReplacer("{tag}", tag, "{digest}", hex, "{digest12}", short, "{date}", b.Date)
	return values.Replace(b.Template)
}

// Name sets the Backup of each step that moves a tag from one digest to another. It returns the names of these
// backups, for which the caller must find out what they point to: see [SeeBackups]. If the template makes a
// text that is not a tag, the step becomes [Broken].
func (b Backup) Name(steps []Step) []ref.Name {
	if b.Template == "" {
		return nil
	}
	var names []ref.Name
	known := map[ref.Name]bool{}
	for i := range steps {
		s := &steps[i]
		if !s.Retags() || s.To.Tag == "" {
			continue
		}
		s.Backup = b.fill(s.To.Tag, s.Replaces)
		if err := ref.Tag(s.Backup); err != nil {
			s.fail(invalid("name backup of", s.To.String(), err, ""))
			continue
		}
		if n := s.Kept(); !known[n] {
			known[n] = true
			names = append(names, n)
		}
	}
	return names
}

// Kept returns the name that keeps what To pointed to, if the step has a Backup.
func (s Step) Kept() ref.Name { return s.To.Repo.Tagged(s.Backup) }

// SeeBackups checks the backups of steps. held says what the names that [Backup.Name] returned point to. A
// step becomes [Broken], with a [fault.Conflict], if the name of its backup points to other content, or if
// another step sets that name or uses it for another backup.
func SeeBackups(verb string, steps []Step, held Inventory) {
	wants := map[ref.Name]oci.Digest{}
	for _, s := range steps {
		if s.Action != Broken && s.Action != Conflict && s.To.Tag != "" {
			wants[s.To] = s.Digest()
		}
	}
	for i := range steps {
		s := &steps[i]
		if s.Backup == "" || s.Action == Broken {
			continue
		}
		n := s.Kept()
		taken := func(what string, d oci.Digest) {
			s.fail(&fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: verb, Name: s.To.String(),
				Err:  fmt.Errorf("its backup %s %s %s, so it cannot keep %s", n, what, d, s.Replaces),
				Hint: "use a template with {tag} and {digest12}"})
		}
		if d := held[n].Digest; d != "" && d != s.Replaces {
			taken("points to", d)
		} else if d, set := wants[n]; set && d != s.Replaces {
			taken("is to point to", d)
		} else {
			wants[n] = s.Replaces
		}
	}
}

// fail makes the step Broken because of err.
func (s *Step) fail(err error) {
	s.Action, s.Backup, s.Problem = Broken, "", ProblemOf(err)
}
