// Package total adds up the report of one transfer while it is made.
package total

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Total is a report.Transfer while it is made. Its methods are safe for concurrent use.
type Total struct {
	Mu    sync.Mutex // held while Sum is read or changed
	Began time.Time
	Sum   report.Transfer

	named   map[ref.Name]bool // names that sum lists once
	repos   map[ref.Repo]bool // target repositories that were planned
	Arrived map[ref.Repo]bool // the archives and directories that steps were done to
}

// New returns the Total of a verb that begins now.
func New(verb string) *Total {
	sum := report.Transfer{Verb: verb, Actions: map[plan.Action]int{}, States: map[report.State]int{}}
	return &Total{Began: time.Now(), Sum: sum,
		named: map[ref.Name]bool{}, repos: map[ref.Repo]bool{}, Arrived: map[ref.Repo]bool{}}
}

// Verb returns the verb.
func (s *Total) Verb() string { return s.Sum.Verb }

// Notef adds a note.
func (s *Total) Notef(format string, args ...any) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.Sum.Note(fmt.Sprintf(format, args...))
}

// Watch returns an observer that puts notes about entries of a list into the report, and passes all
// other events on.
func (s *Total) Watch(obs event.Observer) event.Observer {
	return func(e event.Event) {
		if e.Kind == event.Noted && e.Count > 0 {
			s.Notef("%s", e.Text)
			return
		}
		obs.Tell(e)
	}
}

// LeftOut adds source repositories without tags, and tags without a manifest, each once.
func (s *Total) LeftOut(repos []ref.Repo, tags []ref.Name) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	for _, repo := range repos {
		if n := repo.Tagged(""); !s.named[n] {
			s.named[n] = true
			s.Sum.Empty = append(s.Sum.Empty, n)
		}
	}
	for _, n := range tags {
		if !s.named[n] {
			s.named[n] = true
			s.Sum.Skipped = append(s.Sum.Skipped, n)
		}
	}
}

// End adds the notes about all of the run.
func (s *Total) End() {
	if n := len(s.Sum.Empty); n > 0 {
		s.Notef("the sources list %s without tags: %s", counted(n, "repository", "repositories"), some(s.Sum.Empty))
	}
	if n := len(s.Sum.Skipped); n > 0 {
		s.Notef("left out, because the sources list %s without a manifest: %s",
			counted(n, "tag", "tags"), some(s.Sum.Skipped))
	}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// some returns the first ten names, and how many there are more.
func some(names []ref.Name) string {
	const most = 10
	var parts []string
	for _, n := range names[:min(len(names), most)] {
		parts = append(parts, n.String())
	}
	if more := len(names) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}

// Planned counts steps for one repository. There may be more of them.
func (s *Total) Planned(to ref.Repo, steps []plan.Step, notes []string) {
	for _, n := range notes {
		s.Notef("%s", n)
	}
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.repos[to] = true
	s.Sum.Repositories = len(s.repos)
	for _, step := range steps {
		s.Sum.Actions[step.Action]++
		if step.Impossible() && s.Sum.Err == nil {
			s.Sum.Err = step.Problem.Err()
		}
		if step.Retags() {
			s.Sum.Retagged++
			s.retag(step, "")
		}
		if step.To.Tag == "" && step.From.Digest != "" && !step.Impossible() {
			s.Sum.Untagged++
		}
		if step.Locks != (oci.Locks{}) {
			s.Sum.Locked++
		}
	}
}

func (s *Total) retag(step plan.Step, state report.State) {
	if len(s.Sum.Retags) < report.MaxRetags {
		s.Sum.Retags = append(s.Sum.Retags, report.Retag{
			From:  step.From,
			To:    step.To,
			Was:   string(step.Replaces),
			Is:    string(step.Digest()),
			Kept:  step.Backup,
			State: state,
		})
	}
}

// Done counts the results of one repository's steps.
func (s *Total) Done(rep report.Repository) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	ends := map[ref.Name]report.State{}
	for _, step := range rep.Steps {
		s.Sum.States[step.State]++
		s.Sum.Blobs = s.Sum.Blobs.And(step.Blobs)
		s.Sum.Referrers.Add(step.Referrers)
		if step.State == report.Done && step.To.IsMade() {
			s.Arrived[step.To.In("")] = true
		}
		if step.Healed {
			s.Sum.Healed++
		}
		if step.State == report.Unchanged && !step.Proven && !step.To.IsLayout() { // nothing is noted about those on disk
			s.Sum.Unproven++
		}
		if step.Retags() {
			ends[step.To] = step.State
		}
		if step.Err != nil && s.Sum.Err == nil {
			s.Sum.Err = step.Err
		}
		if step.State == report.NotFinished && s.Sum.Err == nil {
			s.Sum.Err = &fault.Fault{Kind: fault.Canceled, Op: s.Sum.Verb, Name: step.To.String()}
		}
	}
	for i, m := range s.Sum.Retags {
		if len(ends) == 0 {
			break
		}
		if state, ok := ends[m.To]; ok && m.State == "" && m.To.Repo == rep.To {
			s.Sum.Retags[i].State = state
		}
	}
}

// Found counts referrers that a plan copies.
func (s *Total) Found(n int) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.Sum.Referrers.Planned += n
}

// Moved counts blobs that belong to no step: those of a repair.
func (s *Total) Moved(b oci.Blobs) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.Sum.Blobs = s.Sum.Blobs.And(b)
}
