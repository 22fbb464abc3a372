package mirror

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/schedule"
)

// Watch runs rules at their times until it is stopped. Rules run side by side, never two
// runs of one rule.
type Watch struct {
	// Run does one run of a rule. Its context ends when the Watch is stopped.
	Run func(ctx context.Context, rule config.Mirror)

	// Last is when a rule began last, as far as anybody knows; nil knows nothing.
	Last func(rule string) time.Time

	// Tell is told what happens, one call at a time; nil asks nobody.
	Tell func(Firing)

	// Rand chooses a time below the given one; nil is chance.
	Rand func(time.Duration) time.Duration

	// Parallel is how many rules run at once; 0 is 4.
	Parallel int
}

// Firing is something that a Watch tells.
type Firing struct {
	Kind FiringKind
	Rule string
	At   time.Time // Due: when the rule is next; Overran: when it was due
	N    int       // Overran: how many times passed
}

// FiringKind says what a Firing tells.
type FiringKind string

const (
	Due     FiringKind = "due"     // the next time of a rule
	Began   FiringKind = "began"   // a run
	Waits   FiringKind = "waits"   // it is due, and others have all places
	Overran FiringKind = "overran" // it was due while its last run went on, which is left out
	Gone    FiringKind = "gone"    // the rule is no longer in the file, or paused
)

// never is longer than anybody watches; a look in between costs nothing.
const never = 365 * 24 * time.Hour

// watching is the state of a Watch under way. One goroutine has it.
type watching struct {
	*Watch
	rules   map[string]*watched
	ended   chan string
	places  chan struct{}
	running sync.WaitGroup
}

// watched is one rule.
type watched struct {
	rule   config.Mirror
	when   schedule.Schedule
	due    time.Time // of the schedule; zero is never
	start  time.Time // due and the jitter
	runs   bool
	gone   bool
	queued bool
	fresh  bool // due is a time for which no run began yet
}

// Until runs rules until ctx ends, and waits for the runs under way, whose context ends
// too. Rules that come over reload take the place of those before: a run under way ends as
// it began.
func (w *Watch) Until(ctx context.Context, rules []config.Mirror, reload <-chan []config.Mirror) {
	parallel := w.Parallel
	if parallel == 0 {
		parallel = 4
	}
	s := &watching{Watch: w, rules: map[string]*watched{}, ended: make(chan string), places: make(chan struct{}, parallel)}
	s.take(rules)
	defer s.wait()
	for {
		timer := time.NewTimer(never)
		if next := s.earliest(); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		select {
		case <-timer.C:
			s.fire(ctx)
		case name := <-s.ended:
			s.end(ctx, name)
		case rules := <-reload:
			s.take(rules)
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// wait lets the runs under way tell their ends to somebody.
func (s *watching) wait() {
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	for {
		select {
		case <-s.ended:
		case <-done:
			return
		}
	}
}

func (s *watching) tell(f Firing) {
	if s.Tell != nil {
		s.Tell(f)
	}
}

// take puts rules in the place of those that were there. One that has the same times keeps
// its next.
func (s *watching) take(rules []config.Mirror) {
	named := map[string]bool{}
	for _, rule := range rules {
		when, err := schedule.Parse(rule.Spec)
		if err != nil || rule.Paused || when.Never() {
			continue // a rule that was read is right; without a time it has none
		}
		named[rule.Name] = true
		before := s.rules[rule.Name]
		if before == nil {
			before = &watched{gone: true}
			s.rules[rule.Name] = before
		}
		same := !before.gone && before.rule.Spec == rule.Spec && before.rule.Jitter == rule.Jitter
		before.rule, before.when, before.gone = rule, when, false
		if !same {
			now, last := time.Now(), time.Time{}
			if s.Last != nil {
				last = s.Last(rule.Name)
			}
			s.set(before, when.First(now, last))
		}
	}
	for name, r := range s.rules {
		if !named[name] && !r.gone {
			r.gone, r.queued, r.due = true, false, time.Time{}
			s.tell(Firing{Kind: Gone, Rule: name})
		}
		if r.gone && !r.runs {
			delete(s.rules, name)
		}
	}
}

// set gives a rule its next time.
func (s *watching) set(r *watched, due time.Time) {
	r.due, r.start, r.fresh = due, due, true
	if most := time.Duration(r.rule.Jitter); most > 0 && !due.IsZero() {
		chance := s.Rand
		if chance == nil {
			chance = rand.N[time.Duration]
		}
		r.start = due.Add(chance(most))
	}
	if !due.IsZero() {
		s.tell(Firing{Kind: Due, Rule: r.rule.Name, At: r.start})
	}
}

// earliest is when something is to be done next.
func (s *watching) earliest() time.Time {
	var first time.Time
	for _, r := range s.rules {
		if !r.due.IsZero() && !r.runs && !r.queued && (first.IsZero() || r.start.Before(first)) {
			first = r.start
		}
	}
	return first
}

// fire begins what is due, in the order of the times and the names.
func (s *watching) fire(ctx context.Context) {
	now := time.Now()
	for {
		var next *watched
		for _, r := range s.rules {
			late := r.due.IsZero() || r.runs || r.queued || r.start.After(now)
			if !late && (next == nil || r.start.Before(next.start) || r.start.Equal(next.start) && r.rule.Name < next.rule.Name) {
				next = r
			}
		}
		if next == nil {
			return
		}
		s.begin(ctx, next)
	}
}

// begin starts a run where there is a place for it.
func (s *watching) begin(ctx context.Context, r *watched) {
	select {
	case s.places <- struct{}{}:
	default:
		r.queued = true
		s.tell(Firing{Kind: Waits, Rule: r.rule.Name})
		return
	}
	r.runs, r.queued, r.fresh = true, false, false
	s.tell(Firing{Kind: Began, Rule: r.rule.Name})
	rule := r.rule
	s.running.Go(func() {
		s.Run(ctx, rule)
		<-s.places
		s.ended <- rule.Name
	})
}

// end gives a rule whose run is over its next time, and its place to one that waits.
func (s *watching) end(ctx context.Context, name string) {
	r := s.rules[name]
	r.runs = false
	if r.gone {
		delete(s.rules, name)
	} else {
		s.after(r)
	}
	var next *watched
	for _, o := range s.rules {
		if o.queued && (next == nil || o.start.Before(next.start)) {
			next = o
		}
	}
	if next != nil {
		s.begin(ctx, next)
	}
}

// after leaves out the times that passed while the rule ran.
func (s *watching) after(r *watched) {
	now, next := time.Now(), r.due
	if !r.fresh {
		next = r.when.Next(r.due)
	}
	if first, missed := next, 0; !next.IsZero() && !next.After(now) {
		for ; !next.IsZero() && !next.After(now); missed++ {
			next = r.when.Next(next)
		}
		s.tell(Firing{Kind: Overran, Rule: r.rule.Name, At: first, N: missed})
	}
	s.set(r, next)
}
