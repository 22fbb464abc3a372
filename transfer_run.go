package dray

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// planning is how many repositories are looked at side by side. Their plans are what
// is in memory.
const planning = 16

// maxNotes is how many notes a report holds: tags that vanish while they are listed may be many.
const maxNotes = 1000

// transferring is one transfer, or one application of a plan of many repositories.
type transferring struct {
	*scope
	req    sweepRequest
	names  *reader
	watch  event.Observer
	report *summing
	shared *sharing
	images chan struct{}
	hold   plan.Hold // "" is plan.Each

	paths   map[ref.Repo]string // of the sources' layouts, the repositories that they stand for
	running *running            // nil where nobody asks what is in use

	telling sync.Mutex // of visit: one call at a time
	visit   func(RepositoryReport) error
}

// sweepRequest is what a transfer is asked for. The public TransferRequest has the words about each.
type sweepRequest struct {
	Sources []string
	Target  string
	Also    []string
	Prefer  []string

	InUse     plan.InUse
	Selection plan.Selection
	Mapping   plan.Mapping
	Map       plan.TagMap

	Overwrite   plan.Overwrite
	Backup      plan.Backup
	CopyLocks   bool
	Proof       oci.Proof
	Heal        bool
	Delay       time.Duration
	Incremental bool
	Explain     func(plan.Explain)

	SourceLogin *credential.Login
	TargetLogin *credential.Login
}

func newTransferring(b *base, names *reader, req sweepRequest, obs event.Observer) *transferring {
	req.Overwrite = cmp.Or(req.Overwrite, plan.Update)
	return &transferring{
		scope: newScope(b, req), req: req, names: names, watch: obs, report: newSumming("transfer"), shared: newSharing(b.earlier),
		images: make(chan struct{}, b.images),
	}
}

// newScope is what the survey of req has to know of it.
func newScope(b *base, req sweepRequest) *scope {
	return &scope{
		base: b, Selection: req.Selection, InUse: req.InUse, Map: req.Map, Overwrite: req.Overwrite, Backup: req.Backup,
		CopyLocks: req.CopyLocks, Incremental: req.Incremental, Explained: req.Explain != nil,
		asks: map[fault.Side]chan struct{}{fault.Source: make(chan struct{}, asking), fault.Target: make(chan struct{}, asking)},
	}
}

// rules are those of the plan of a landing.
func (r *transferring) rules() Rules {
	return Rules{Verb: "transfer", Overwrite: r.req.Overwrite, Backup: r.req.Backup}
}

// observe counts what is exchanged, and passes it on.
func (r *transferring) observe(e event.Event) {
	r.report.see(e)
	r.watch.Tell(e)
}

// begin opens what one target repository needs.
func (r *transferring) begin() *session {
	s := r.base.begin(r.req.SourceLogin, r.req.TargetLogin, r.observe)
	s.shared = r.shared
	return s
}

// turn waits for a place among the images in flight. end gives it back, after the rest
// that was asked for. It is false when ctx ended first.
func (r *transferring) turn(ctx context.Context) (end func(), ok bool) {
	select {
	case r.images <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	}
	return func() {
		if r.req.Delay > 0 {
			rest := time.NewTimer(r.req.Delay)
			defer rest.Stop()
			select {
			case <-rest.C:
			case <-ctx.Done():
			}
		}
		<-r.images
	}, true
}

// inOrder calls do for each item, at most n at once, and take with the results in the
// items' order. No more than n results wait. The first error of take ends it.
func inOrder[T, R any](ctx context.Context, n int, items []T, do func(context.Context, T) R, take func(context.Context, R) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	results := make(chan chan R, n-1)
	wg.Go(func() {
		defer close(results)
		for _, item := range items {
			one := make(chan R, 1)
			select {
			case results <- one:
			case <-ctx.Done():
				return
			}
			wg.Go(func() { one <- do(ctx, item) })
		}
	})
	for one := range results {
		if err := take(ctx, <-one); err != nil {
			return err
		}
	}
	return nil
}

// workers do many things, a few at a time. The first error ends all.
type workers struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	places chan struct{}
	wg     sync.WaitGroup

	mu  sync.Mutex
	err error
}

func (r *transferring) newWorkers(ctx context.Context) *workers {
	w := &workers{places: make(chan struct{}, cap(r.images))}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	return w
}

// start waits for a place and calls do there.
func (w *workers) start(do func(context.Context) error) error {
	select {
	case w.places <- struct{}{}:
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
	w.wg.Go(func() {
		defer func() { <-w.places }()
		if err := do(w.ctx); err != nil {
			w.mu.Lock()
			if w.err == nil {
				w.err = err
			}
			w.mu.Unlock()
			w.cancel(err)
		}
	})
	return nil
}

func (w *workers) wait() error {
	w.wg.Wait()
	w.cancel(nil)
	return w.err
}

// summing is a TransferReport in the making.
type summing struct {
	mu    sync.Mutex
	began time.Time
	sum   TransferReport

	pulled map[string]int // manifests read, by each host that was asked
}

func newSumming(verb string) *summing {
	return &summing{began: time.Now(), pulled: map[string]int{}, sum: TransferReport{Verb: verb, Actions: map[plan.Action]int{}, States: map[State]int{}, Traffic: map[string]Traffic{}}}
}

func (s *summing) see(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.sum.Traffic[e.Host]
	switch e.Kind {
	case event.Requested:
		t.Requests++
		t.Sent += e.Sent
		t.Received += e.Received
		s.pulled[e.Host] += pullsIn(e)
		s.sum.Traffic[e.Host] = t
	case event.Retried:
		if e.Host != "" { // else it is a layout's
			t.Retries++
			s.sum.Traffic[e.Host] = t
		}
	}
}

func (s *summing) verb() string { return s.sum.Verb }

func (s *summing) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	switch n := len(s.sum.Notes); {
	case n > maxNotes || slices.Contains(s.sum.Notes, text):
	case n == maxNotes:
		s.sum.Notes = append(s.sum.Notes, "further notes are left out")
	default:
		s.sum.Notes = append(s.sum.Notes, text)
	}
}

// planned counts a repository's plan.
func (s *summing) planned(steps []plan.Step, notes []string) {
	for _, n := range notes {
		s.note("%s", n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.Repositories++
	for _, step := range steps {
		s.sum.Actions[step.Action]++
		if step.Action == plan.Broken && s.sum.Err == nil {
			s.sum.Err = step.Problem.Err()
		}
		if step.Retags() {
			s.sum.Retagged++
			s.retag(step, "")
		}
		if step.To.Tag == "" && step.From.Digest != "" && step.Action != plan.Broken {
			s.sum.Untagged++
		}
		if step.Locks != (oci.Locks{}) {
			s.sum.Locked++
		}
	}
}

func (s *summing) retag(step plan.Step, state State) {
	if len(s.sum.Retags) < MaxRetags {
		s.sum.Retags = append(s.sum.Retags, Retag{From: step.From, To: step.To, Was: string(step.Replaces), Is: string(step.Digest()), Kept: step.Backup, State: state})
	}
}

// done counts how a repository's steps ended.
func (s *summing) done(rep RepositoryReport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ends := map[ref.Name]State{}
	for _, step := range rep.Steps {
		s.sum.States[step.State]++
		s.add(step.Blobs)
		if step.Healed {
			s.sum.Healed++
		}
		if step.State == Unchanged && !step.Proven {
			s.sum.Unproven++
		}
		if step.Retags() {
			ends[step.To] = step.State
		}
		if step.Err != nil && s.sum.Err == nil {
			s.sum.Err = step.Err
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

// add counts what became of blobs. s.mu is held.
func (s *summing) add(b oci.Blobs) {
	s.sum.Blobs.Sent += b.Sent
	s.sum.Blobs.Mounted += b.Mounted
	s.sum.Blobs.Present += b.Present
	s.sum.Blobs.Bytes += b.Bytes
	s.sum.Blobs.Proven += b.Proven
}

// moved counts blobs that no step tells of: those of a repair.
func (s *summing) moved(b oci.Blobs) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(b)
}

// end tells of pulls and closes the sum. Where the whole went well, the first step that did not is the error.
func (r *transferring) end(err error) (TransferReport, error) {
	sum, err := r.endPlan(err)
	return sum, cmp.Or(err, sum.Err)
}

// endPlan is end of what was only looked at: a step that can not be done is no error of it.
func (r *transferring) endPlan(err error) (TransferReport, error) {
	r.shared.keep()
	r.report.mu.Lock()
	defer r.report.mu.Unlock()
	r.report.sum.Pulls = r.base.pullsOf(r.report.pulled)
	r.report.sum.Took = time.Since(r.report.began)
	return r.report.sum, err
}
