package dray

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Work is a plan to be carried out.
type Work struct {
	Plan    *plan.Plan
	Proof   oci.Proof // how much of the targets is believed
	session *session  // in which the plan was made; nil of one that was read: it is held against both ends first

	// The logins of a plan without a session; nil asks the chain.
	SourceLogin *credential.Login
	TargetLogin *credential.Login
}

// applyPlan carries out w. The report has one entry for each step, in the plan's order.
func applyPlan(ctx context.Context, b *base, w Work, obs event.Observer) (Report, error) {
	start := time.Now()
	r := newRun(b, w.session, w.Plan, w.Proof)
	stop := r.prepare(ctx, b, w, obs)
	r.session.applying.Store(true)
	defer r.session.applying.Store(false)
	defer r.session.release()
	if stop == nil {
		r.work(ctx, b.images)
		r.lock(ctx)
		stop = ctx.Err()
	}
	rep := Report{Verb: w.Plan.Verb, Steps: r.reports, Notes: w.Plan.Notes, Traffic: r.session.exchanged(), Pulls: r.session.pulls(), Took: time.Since(start)}
	switch err := rep.Err(); {
	case err != nil:
		return rep, err
	case stop != nil && ctx.Err() != nil:
		return rep, &fault.Fault{Kind: fault.Canceled, Op: w.Plan.Verb, Err: context.Cause(ctx)}
	}
	return rep, stop
}

// run is one application of a plan.
type run struct {
	session *session
	plan    *plan.Plan
	believe oci.Proof
	guard   func(context.Context, []plan.Step) error    // of who applies the plan; who made it may have had another
	turn    func(context.Context) (end func(), ok bool) // a place for one image; nil is any number
	mu      sync.Mutex
	reports []StepReport
}

func newRun(b *base, s *session, p *plan.Plan, believe oci.Proof) *run {
	r := &run{session: s, plan: p, believe: believe, guard: b.guard, reports: make([]StepReport, len(p.Steps))}
	for i, step := range p.Steps {
		r.reports[i] = StepReport{Step: step, State: NotStarted}
	}
	return r
}

// prepare says what stands in the way of touching anything.
func (r *run) prepare(ctx context.Context, b *base, w Work, obs event.Observer) error {
	if r.session == nil {
		r.session = b.begin(w.SourceLogin, w.TargetLogin, obs)
		for _, s := range r.plan.Steps {
			r.session.aim(s.From.Repo, s.To.Repo)
		}
		if err := r.stale(ctx); err != nil {
			return err
		}
		if err := r.firstErr(); err != nil {
			return err
		}
	}
	r.session.watchedBy(obs)
	for i, s := range r.plan.Steps {
		r.settled(i, s)
	}
	if r.plan.Hold == plan.All {
		return r.firstErr()
	}
	return nil
}

// settled writes down how a step ends that needs no work.
func (r *run) settled(i int, s plan.Step) {
	switch s.Action {
	case plan.Skip:
		r.end(i, Unchanged, nil)
	case plan.Conflict:
		r.end(i, Failed, conflict(r.plan.Verb, s))
	case plan.Broken:
		r.end(i, Failed, s.Problem.Err())
	}
}

func conflict(verb string, s plan.Step) error {
	hint := "--force replaces it"
	if verb == "copy" || verb == "transfer" {
		hint = "--overwrite update replaces it"
	}
	return &fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: verb, Name: s.To.String(), Hint: hint,
		Err: fmt.Errorf("it exists with another digest: it is %s, the source is %s", s.Replaces, s.Digest())}
}

// stale holds a plan from a file against both ends: a name that points elsewhere than it did is Moved.
func (r *run) stale(ctx context.Context) error {
	return each(ctx, lookups, indexesOf(r.plan.Steps), func(ctx context.Context, i int) error {
		err := r.session.checkStep(ctx, r.plan.Verb, r.plan.Steps[i])
		if fault.Is(err, fault.Moved) {
			r.end(i, Failed, err)
			return nil
		}
		return err
	})
}

func (s *session) checkStep(ctx context.Context, verb string, step plan.Step) error {
	if step.From.Tag != "" {
		inv, err := s.surveySource(ctx, ref.Name{Repo: step.From.Repo, Tag: step.From.Tag})
		if err != nil {
			return err
		}
		for _, now := range inv {
			if now.Digest != step.Digest() {
				return moved(fault.Source, step.From, string(step.Digest()), string(now.Digest))
			}
		}
	}
	if verb == "tag" {
		return nil // it looks at no target when it is planned either
	}
	now, err := s.lookAtTarget(ctx, step.To, step.Digest())
	if err != nil {
		return err
	}
	if now.Digest != step.Replaces && now.Digest != step.Digest() {
		return moved(fault.Target, step.To, string(step.Replaces), string(now.Digest))
	}
	return s.backupFree(ctx, step)
}

func moved(side fault.Side, n ref.Name, was, is string) error {
	n.Digest = ""
	say := func(d string) string {
		if d == "" {
			return "absent"
		}
		return d
	}
	return &fault.Fault{Kind: fault.Moved, Side: side, Op: "apply plan", Name: n.String(), Hint: "make the plan anew",
		Err: fmt.Errorf("it was %s when the plan was made, it is %s", say(was), say(is))}
}

// work does all steps that are left, image by image: first those that set names
// which stay, then those that set a name which moves.
func (r *run) work(ctx context.Context, images int) {
	tasks := r.tasks()
	if r.plan.Hold == plan.All && len(tasks) > 1 {
		var all bool
		if tasks, all = r.stage(ctx, images, tasks); !all {
			return
		}
	}
	staying := slices.DeleteFunc(slices.Clone(tasks), r.moves)
	moving := slices.DeleteFunc(tasks, func(t *task) bool { return !r.moves(t) })
	r.through(ctx, images, staying, moving)
}

// stage brings all content without a name, and returns the tasks that name it
// where it is by then. It is false when some of it did not arrive: then no name is
// set at all.
func (r *run) stage(ctx context.Context, images int, tasks []*task) (named []*task, all bool) {
	var bare []*task
	for _, t := range tasks {
		b := *t
		b.part = bringing
		bare = append(bare, &b)
	}
	r.through(ctx, images, bare)
	for _, t := range tasks {
		for _, e := range t.to {
			named = append(named, &task{from: e.repo, root: t.root, to: []*end{e}, part: naming})
		}
	}
	return named, r.firstErr() == nil && ctx.Err() == nil
}

func (r *run) moves(t *task) bool {
	return slices.ContainsFunc(t.to, func(e *end) bool {
		return slices.ContainsFunc(e.steps, func(i int) bool { return plan.Moving(r.plan.Steps[i].To.Tag) })
	})
}

// task is one image and all steps that bring it somewhere.
type task struct {
	from ref.Repo
	root oci.Descriptor
	to   []*end
	part stage
	late error // why it has to be done again later: the pulls of its source are spent
}

// stage says which part of its work a task does.
type stage int

const (
	whole    stage = iota
	bringing       // content only
	naming         // names only, of content that its one end holds
)

// end is one repository and the steps that name it.
type end struct {
	repo  ref.Repo
	steps []int
}

// tasks groups the steps: one task an image, one end a repository.
func (r *run) tasks() []*task {
	type image struct {
		repo   ref.Repo
		digest oci.Digest
	}
	byImage := map[image]*task{}
	var tasks []*task
	for i, s := range r.plan.Steps {
		if r.reports[i].State != NotStarted {
			continue
		}
		key := image{s.From.Repo, s.Digest()}
		t := byImage[key]
		if t == nil {
			t = &task{from: s.From.Repo, root: s.Root()}
			byImage[key] = t
			tasks = append(tasks, t)
		}
		t.add(s.To.Repo, i)
	}
	return tasks
}

func (t *task) add(repo ref.Repo, step int) {
	for _, e := range t.to {
		if e.repo == repo {
			e.steps = append(e.steps, step)
			return
		}
	}
	t.to = append(t.to, &end{repo: repo, steps: []int{step}})
}

// copy does one task and settles its steps. What a spent pull limit stops is returned, to be done later.
func (r *run) copy(ctx context.Context, t *task) (late *task) {
	from, err := r.open(t)
	if err != nil {
		for _, e := range t.to {
			r.settle(e, transfer.Outcome{Err: err})
		}
		return nil
	}
	var ends []*end
	job := transfer.Task{From: from, Root: t.root, Known: r.session.docs, Proof: r.proof(t), Step: t.to[0].steps[0], Observe: r.session.observe}
	for _, e := range t.to {
		at, err := r.session.target(e.repo, layout.Write)
		if err != nil {
			r.settle(e, transfer.Outcome{Err: err})
			continue
		}
		ends = append(ends, e)
		tags, last := r.tags(e)
		to := transfer.End{Target: r.guarding(e, r.keeping(e, at, r.session.shared.target(at))), Tags: tags, Last: last, Back: r.session.backOf(at)}
		to.Turn = r.session.shared.turn(at)
		if t.part == bringing {
			to.Tags, to.Last = nil, nil
		}
		job.To = append(job.To, to)
	}
	for _, e := range ends {
		r.session.warm(ctx, t.from, e.repo)
	}
	began := time.Now()
	for i, out := range r.session.base.engine.Copy(ctx, job) {
		r.spent(ends[i], time.Since(began))
		if _, spent := remote.SpentUntil(out.Err); spent {
			if late == nil {
				late = &task{from: t.from, root: t.root, part: t.part, late: out.Err}
			}
			late.to = append(late.to, ends[i])
			continue
		}
		if t.part == bringing && out.Err == nil {
			r.count(ends[i], out.Blobs)
			continue
		}
		r.settle(ends[i], out)
	}
	return late
}

// proof says how much of the targets of t is believed: what is put again although it is
// equal is put to be sure of it.
func (r *run) proof(t *task) oci.Proof {
	if r.believe != oci.Claimed {
		return r.believe
	}
	for _, e := range t.to {
		for _, i := range e.steps {
			if s := r.plan.Steps[i]; s.Replaces == s.Digest() || r.overwrite(s) == plan.Always {
				return oci.Sized
			}
		}
	}
	return oci.Claimed
}

// overwrite is what s may do with what its name holds.
func (r *run) overwrite(s plan.Step) plan.Overwrite { return cmp.Or(s.Overwrite, r.plan.Overwrite) }

// open opens where t reads from.
func (r *run) open(t *task) (place, error) {
	if t.part == naming {
		return r.session.target(t.from, layout.Write)
	}
	return r.session.source(t.from)
}

// tags lists the tags of an end: those that stay, and those that move and are set last.
func (r *run) tags(e *end) (stay, move []string) {
	for _, i := range e.steps {
		switch tag := r.plan.Steps[i].To.Tag; {
		case tag == "":
		case plan.Moving(tag):
			move = append(move, tag)
		default:
			stay = append(stay, tag)
		}
	}
	return stay, move
}

// settle writes what became of an end into the reports of its steps.
func (r *run) settle(e *end, out transfer.Outcome) {
	set := map[string]bool{"": out.Err == nil}
	for _, tag := range out.Accepted.Tags {
		set[tag] = true
	}
	r.count(e, out.Blobs)
	for _, i := range e.steps {
		tag := r.plan.Steps[i].To.Tag
		err := out.Accepted.Failed[tag]
		switch {
		case err == nil && set[tag]:
			r.end(i, Done, nil)
		case err == nil && out.Err == nil:
			r.end(i, Failed, &fault.Fault{Kind: fault.Internal, Side: fault.Target, Op: "tag", Name: r.plan.Steps[i].To.String(), Err: errors.New("the target said nothing of it")})
		case err == nil:
			r.end(i, Failed, out.Err)
		default:
			r.end(i, Failed, err)
		}
	}
}

// count writes down what happened to the blobs of an end, at its first step.
func (r *run) count(e *end, blobs oci.Blobs) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if blobs != (oci.Blobs{}) {
		r.reports[e.steps[0]].Blobs = blobs
	}
}

// spent adds the time that an image took to each of its names at an end.
func (r *run) spent(e *end, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range e.steps {
		r.reports[i].Took += took
	}
}

// end writes down how step i ended, and tells it.
func (r *run) end(i int, s State, err error) {
	r.mu.Lock()
	r.reports[i].State, r.reports[i].Err = s, err
	r.mu.Unlock()
	e := event.Event{Kind: event.Finished, Step: i, Name: r.plan.Steps[i].To.String(), Digest: string(r.plan.Steps[i].Digest()), Err: err}
	if err != nil {
		e.Kind = event.Failed
	}
	r.session.observe(e)
}

func (r *run) firstErr() error {
	for _, rep := range r.reports {
		if rep.Err != nil {
			return rep.Err
		}
	}
	return nil
}
