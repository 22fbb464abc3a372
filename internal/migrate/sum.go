package migrate

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

// summing is a report.Transfer while it is made.
type summing struct {
	mu    sync.Mutex
	began time.Time
	sum   report.Transfer

	named   map[ref.Name]bool // names that sum lists once
	arrived map[ref.Repo]bool // the archives and directories that steps were done to
}

func newSumming(verb string) *summing {
	sum := report.Transfer{Verb: verb, Actions: map[plan.Action]int{}, States: map[report.State]int{}}
	return &summing{began: time.Now(), sum: sum, named: map[ref.Name]bool{}, arrived: map[ref.Repo]bool{}}
}

func (s *summing) verb() string { return s.sum.Verb }

func (s *summing) notef(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.Note(fmt.Sprintf(format, args...))
}

// watch returns an observer that puts notes about entries of a list into the report, and passes all
// other events on.
func (s *summing) watch(obs event.Observer) event.Observer {
	return func(e event.Event) {
		if e.Kind == event.Noted && e.Count > 0 {
			s.notef("%s", e.Text)
			return
		}
		obs.Tell(e)
	}
}

// leftOut adds source repositories without tags, and tags without a manifest, each once.
func (s *summing) leftOut(repos []ref.Repo, tags []ref.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, repo := range repos {
		if n := repo.Tagged(""); !s.named[n] {
			s.named[n] = true
			s.sum.Empty = append(s.sum.Empty, n)
		}
	}
	for _, n := range tags {
		if !s.named[n] {
			s.named[n] = true
			s.sum.Skipped = append(s.sum.Skipped, n)
		}
	}
}

// end adds the notes about all of the run.
func (s *summing) end() {
	if n := len(s.sum.Empty); n > 0 {
		s.notef("the sources list %s without tags: %s", counted(n, "repository", "repositories"), some(s.sum.Empty))
	}
	if n := len(s.sum.Skipped); n > 0 {
		s.notef("left out, because the sources list %s without a manifest: %s",
			counted(n, "tag", "tags"), some(s.sum.Skipped))
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

// planned counts the plan of one repository.
func (s *summing) planned(steps []plan.Step, notes []string) {
	for _, n := range notes {
		s.notef("%s", n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.Repositories++
	for _, step := range steps {
		s.sum.Actions[step.Action]++
		if step.Impossible() && s.sum.Err == nil {
			s.sum.Err = step.Problem.Err()
		}
		if step.Retags() {
			s.sum.Retagged++
			s.retag(step, "")
		}
		if step.To.Tag == "" && step.From.Digest != "" && !step.Impossible() {
			s.sum.Untagged++
		}
		if step.Locks != (oci.Locks{}) {
			s.sum.Locked++
		}
	}
}

func (s *summing) retag(step plan.Step, state report.State) {
	if len(s.sum.Retags) < report.MaxRetags {
		s.sum.Retags = append(s.sum.Retags, report.Retag{
			From:  step.From,
			To:    step.To,
			Was:   string(step.Replaces),
			Is:    string(step.Digest()),
			Kept:  step.Backup,
			State: state,
		})
	}
}

// done counts the results of one repository's steps.
func (s *summing) done(rep report.Repository) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ends := map[ref.Name]report.State{}
	for _, step := range rep.Steps {
		s.sum.States[step.State]++
		s.sum.Blobs = s.sum.Blobs.And(step.Blobs)
		s.sum.Referrers.Add(step.Referrers)
		if step.State == report.Done && step.To.IsMade() {
			s.arrived[step.To.In("")] = true
		}
		if step.Healed {
			s.sum.Healed++
		}
		if step.State == report.Unchanged && !step.Proven && !step.To.IsLayout() { // nothing is noted about those on disk
			s.sum.Unproven++
		}
		if step.Retags() {
			ends[step.To] = step.State
		}
		if step.Err != nil && s.sum.Err == nil {
			s.sum.Err = step.Err
		}
		if step.State == report.NotFinished && s.sum.Err == nil {
			s.sum.Err = &fault.Fault{Kind: fault.Canceled, Op: s.sum.Verb, Name: step.To.String()}
		}
	}
	for i, m := range s.sum.Retags {
		if len(ends) == 0 {
			break
		}
		if state, ok := ends[m.To]; ok && m.State == "" && m.To.Repo == rep.To {
			s.sum.Retags[i].State = state
		}
	}
}

// found counts referrers that a plan copies.
func (s *summing) found(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.Referrers.Planned += n
}

// moved counts blobs that belong to no step: those of a repair.
func (s *summing) moved(b oci.Blobs) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.Blobs = s.sum.Blobs.And(b)
}
