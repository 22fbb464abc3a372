package mirror

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/schedule"
)

// Watch runs rules at their scheduled times until it is stopped. Several rules may run at the same time,
// but never two runs of the same rule.
type Watch struct {
	// Run runs a rule once. Its context ends when the Watch is stopped.
	Run func(ctx context.Context, rule config.Mirror)

	// Last returns when the last run of a rule began, or the zero time if that is unknown. A nil Last
	// means that it is unknown for every rule.
	Last func(rule string) time.Time

	// Tell is called with each Firing, one call at a time; nil is not called.
	Tell func(Firing)

	// Rand returns a duration below the given one, for the jitter of a rule; nil means a random one.
	Rand func(time.Duration) time.Duration

	// Clock returns the time; nil means time.Now.
	Clock func() time.Time

	// Parallel is the maximum number of rules that run at the same time; default 4.
	Parallel int
}

// Firing is an event of a Watch.
type Firing struct {
	Kind FiringKind
	Rule string
	At   time.Time // with Due: when the rule runs next; with Overran: the first time that was skipped
	N    int       // with Overran: the number of times that were skipped
}

// FiringKind is the kind of a Firing.
type FiringKind string

// The kinds of a Firing.
const (
	Due     FiringKind = "due"     // the next run of a rule is scheduled
	Began   FiringKind = "began"   // a run has begun
	Waits   FiringKind = "waits"   // the rule is due, but Parallel other rules are running
	Overran FiringKind = "overran" // the rule was due while its last run was still in progress, so that time is skipped
	Gone    FiringKind = "gone"    // the rule is paused or no longer in the configuration
)

// lookAgain is the longest wait until the clock is looked at again, because somebody may set it.
const lookAgain = time.Minute

// watching is the state of a Watch that is running. Only one goroutine uses it.
type watching struct {
	*Watch
	rules   map[string]*watched
	ended   chan string
	places  chan struct{}
	running sync.WaitGroup
	wall    time.Time // the clock at the last look, without its monotonic part; since is when that was
	since   time.Time
}

// watched is one rule.
type watched struct {
	rule   config.Mirror
	when   schedule.Schedule
	due    time.Time // the next time of the schedule; zero means never
	start  time.Time // due plus the jitter
	runs   bool
	gone   bool
	queued bool
	fresh  bool // whether no run has begun for the time in due
}

// Until runs rules until ctx ends. Then the contexts of the running rules end too, and Until waits for
// these runs. Rules that arrive on reload replace the previous ones. A run in progress continues with the
// rule with which it began.
func (w *Watch) Until(ctx context.Context, rules []config.Mirror, reload <-chan []config.Mirror) {
	parallel := w.Parallel
	if parallel == 0 {
		parallel = 4
	}
	s := &watching{Watch: w, rules: map[string]*watched{}, ended: make(chan string), places: make(chan struct{}, parallel)}
	s.take(rules)
	s.hasten()
	defer s.wait()
	for ctx.Err() == nil {
		wait := lookAgain
		if next := s.earliest(); !next.IsZero() {
			wait = min(wait, next.Sub(s.now().Round(0)))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			s.hasten()
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

func (s *watching) now() time.Time {
	if s.Clock != nil {
		return s.Clock()
	}
	return time.Now()
}

// hasten makes rules due earlier, if by their schedules and the clock they are: the clock was set back.
func (s *watching) hasten() {
	wall := s.now().Round(0)
	back := !s.wall.IsZero() && wall.Add(time.Second).Before(s.wall.Add(time.Since(s.since)))
	s.wall, s.since = wall, time.Now()
	if !back {
		return
	}
	for _, r := range s.rules {
		if next := r.when.Next(wall); !r.runs && !r.queued && !r.gone && next.Before(r.due) {
			s.set(r, next)
		}
	}
}

// wait waits for the runs in progress. It receives from ended, because each run sends to it when it ends.
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

// take replaces the rules. A rule whose schedule and jitter have not changed keeps its next time.
func (s *watching) take(rules []config.Mirror) {
	named := map[string]bool{}
	for _, rule := range rules {
		when, err := schedule.Parse(rule.Spec)
		if err != nil || rule.Paused || when.Never() {
			continue // the configuration was checked when it was read, so this is a rule without a schedule
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
			now, last := s.now(), time.Time{}
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

// set sets the next time of a rule.
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

// earliest returns the time at which the next rule starts, or the zero time if no rule is due.
func (s *watching) earliest() time.Time {
	var first time.Time
	for _, r := range s.rules {
		if !r.due.IsZero() && !r.runs && !r.queued && (first.IsZero() || r.start.Before(first)) {
			first = r.start
		}
	}
	return first
}

// fire starts the rules that are due, sorted by time and name.
func (s *watching) fire(ctx context.Context) {
	now := s.now()
	for {
		var next *watched
		for _, r := range s.rules {
			if r.due.IsZero() || r.runs || r.queued || r.start.After(now) {
				continue
			}
			if next == nil || cmp.Or(r.start.Compare(next.start), cmp.Compare(r.rule.Name, next.rule.Name)) < 0 {
				next = r
			}
		}
		if next == nil {
			return
		}
		s.begin(ctx, next)
	}
}

// begin starts a run if fewer than Parallel rules are running. Otherwise the rule waits for its turn.
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

// end sets the next time of a rule whose run has ended, and starts a rule that waits.
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

// after sets the next time of a rule after a run, and skips the times that passed during the run.
func (s *watching) after(r *watched) {
	now, next := s.now(), r.due
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
