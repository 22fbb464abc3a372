package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// sends is how many referrers of one image are sent at once.
const sends = 16

// company is what refers to the image of a task. It is looked for while the blobs of the image move.
type company struct {
	run   *Run
	task  *task
	from  place.Repository
	done  chan struct{}
	found [][]plan.Referrer // see referrers.Finder.Of
	err   error
}

// look begins to look for what refers to the image of t. It returns nil if nothing travels with it. The
// caller must wait for it. part is the document of the image, if it is not that of the source.
func (r *Run) look(ctx context.Context, t *task, from place.Repository, part oci.Document) *company {
	away := false
	for _, e := range t.to {
		away = away || !e.repo.Same(t.from)
	}
	if !away || t.part == namesOnly || !t.finder.Choice().Travel() {
		return nil
	}
	c := &company{run: r, task: t, from: from, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.find(ctx, part)
	}()
	return c
}

// find looks for what refers to the image, or to part if it is not empty.
func (c *company) find(ctx context.Context, part oci.Document) {
	if part.Raw != nil {
		c.found, c.err = c.task.finder.OfPart(ctx, c.from, part)
		if c.err == nil && c.task.trim.Digest != "" && c.task.finder.Choice().Mode == plan.ReferrersRequire {
			c.err = c.noteLeft(ctx)
		}
	} else {
		c.found, c.err = c.task.finder.Of(ctx, c.from, c.task.root)
	}
}

// noteLeft notes what refers to the whole index of which the target gets a trimmed one: it stays behind.
func (c *company) noteLeft(ctx context.Context) error {
	left, err := c.task.finder.Direct(ctx, c.from, oci.Descriptor{Digest: c.task.of, MediaType: c.task.root.MediaType})
	if err != nil || len(left) == 0 {
		return err
	}
	types := map[string]bool{}
	for _, r := range left {
		what := r.ArtifactType
		if r.Tag != "" {
			what = r.Tag
		}
		types[cmp.Or(what, string(r.Digest))] = true
	}
	c.run.session.Observe(event.Event{Kind: event.Noted, Host: c.task.from.Host, Digest: string(c.task.of), Count: 1,
		Text: fmt.Sprintf("what refers to the whole index %s stays behind (%d), because the target gets only %s: %s",
			c.task.from.At(string(c.task.of)), len(left), c.task.trim.Platforms,
			strings.Join(slices.Sorted(maps.Keys(types)), ", "))})
	return nil
}

// wait waits until the look has ended.
func (c *company) wait() {
	if c != nil {
		<-c.done
	}
}

// before returns the transfer.End.Before of one end: it sends the referrers of the image. If the target
// refuses one before the image is there, it is sent once more after that.
func (c *company) before(e *end, at place.Repository) func(context.Context) (again bool, err error) {
	if c == nil || e.repo.Same(c.task.from) {
		return nil
	}
	s := &sending{company: c, end: e, at: at}
	return func(ctx context.Context) (again bool, err error) {
		select {
		case <-c.done:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
		if c.err != nil {
			return false, c.task.finder.Unknown(c.err)
		}
		first := s.left == nil
		if first {
			s.left = slices.Clone(c.found)
		}
		if err := s.send(ctx); err != nil {
			return false, err
		}
		again = first && s.refused()
		if !again {
			s.record()
		}
		return again, nil
	}
}

// sending sends the referrers of one image to one end.
type sending struct {
	*company
	end *end
	at  place.Repository

	left [][]plan.Referrer // what is still to be sent

	mu   sync.Mutex
	sum  report.Referrers
	lost [][]report.LostReferrer // by level of left, what the target refused of it
}

// send sends what is left, level by level. The error says that one of them could not be sent, for another
// reason than that the target refused it.
func (s *sending) send(ctx context.Context) error {
	s.lost = make([][]report.LostReferrer, len(s.left))
	for i, level := range s.left {
		err := place.Each(ctx, sends, level, func(ctx context.Context, r plan.Referrer) error {
			if s.run.ownStep(s.task.from, s.end.repo, r) {
				return nil
			}
			way, err := s.run.sendOnce(ctx, s.company, s.end, s.at, r)
			s.mu.Lock()
			defer s.mu.Unlock()
			switch {
			case err == nil && way == oci.Present:
				s.sum.Present++
			case err == nil && way == oci.Sent:
				s.sum.Copied++
			case referrers.IsRefusal(err):
				s.lost[i] = append(s.lost[i], s.lostTo(r, err))
			case err != nil:
				return err
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lostTo returns the entry of the report for a referrer that the end did not take.
func (s *sending) lostTo(r plan.Referrer, err error) report.LostReferrer {
	l := report.LostOf(r, s.end.repo)
	l.Why, l.Hint = err.Error(), fault.HintOf(err)
	if keeps := (*keeping)(nil); errors.As(err, &keeps) {
		l.Has, l.Why = keeps.has, keeps.Err.Error()
	}
	return l
}

// refused reports whether the target refused something, which is then all that is left. A digest tag that it keeps
// is no reason to try again.
func (s *sending) refused() bool {
	some := false
	for i, level := range s.lost {
		s.left[i] = nil
		for _, l := range level {
			s.left[i] = append(s.left[i], l.Referrer)
			some = some || l.Has == ""
		}
	}
	return some
}

// record writes what became of the referrers into the report of the first step of the end.
func (s *sending) record() {
	if s.task.finder.Unread(s.from.Repo(), s.task.root.Digest) {
		s.sum.Unread++
	} else if len(s.found) == 0 {
		return
	}
	var refused, taken []oci.Digest
	lost := map[oci.Digest]bool{}
	for _, level := range s.lost {
		s.sum.Lost = append(s.sum.Lost, level...)
		for _, l := range level {
			if l.Has != "" {
				s.sum.Kept++
				continue
			}
			s.sum.Refused++
			lost[l.Digest] = true
			refused = append(refused, l.Digest)
		}
	}
	known := s.run.session.Base.Refusals.Of(s.end.repo)
	for _, r := range slices.Concat(s.found...) {
		if known[r.Digest] && !lost[r.Digest] {
			taken = append(taken, r.Digest)
		}
	}
	// If this cannot be written to disk, a verification says that they are missing.
	_ = s.run.session.Base.Refusals.Note(s.end.repo, refused, taken)
	s.run.mu.Lock()
	defer s.run.mu.Unlock()
	s.run.Reports[s.end.steps[0]].Referrers.Add(s.sum)
	s.run.carry(s.task.from, s.end.repo, slices.Concat(s.found...))
}

// ownStep reports whether the plan itself sets the digest tag of r.
func (r *Run) ownStep(from, to ref.Repo, doc plan.Referrer) bool {
	return doc.Tag != "" && (r.tagSteps[tagStep{from, to, doc.Tag}] || r.Sets != nil && r.Sets(from, doc.Tag))
}

// sendOnce sends a referrer, unless it was sent for another image of the run. The way is empty if another
// image counts it, or if the source does not have it.
func (r *Run) sendOnce(
	ctx context.Context, c *company, e *end, at place.Repository, doc plan.Referrer,
) (oci.Way, error) {
	id := sent{e.repo, doc.Digest, doc.Tag}
	if r.Earlier.has(id) {
		return "", nil
	}
	for {
		r.mu.Lock()
		other := r.sent[id]
		mine := &delivery{done: make(chan struct{})}
		if other == nil {
			r.sent[id] = mine
		}
		r.mu.Unlock()
		if other == nil {
			mine.way, mine.err = r.sendReferrer(ctx, c, e, at, doc)
			if mine.err != nil {
				r.mu.Lock()
				delete(r.sent, id) // another image may have more luck
				r.mu.Unlock()
			}
			close(mine.done)
			return mine.way, mine.err
		}
		select {
		case <-other.done:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
		if other.err == nil {
			return "", nil
		}
	}
}

// sendReferrer sends one referrer with everything below it, and sets its digest tag.
func (r *Run) sendReferrer(
	ctx context.Context, c *company, e *end, at place.Repository, doc plan.Referrer,
) (oci.Way, error) {
	to := transfer.End{
		Target: r.session.Shared.Target(at, c.task.there...),
		Back:   r.session.BackOf(at),
		Turn:   r.session.Shared.Turn(at),
	}
	if doc.Tag != "" {
		there, err := r.setsTag(ctx, c, e, at, doc)
		if there || err != nil {
			return oci.Present, err
		}
		to.Tags = []string{doc.Tag}
		to.Target = r.guarding(to.Target, r.digestTag(c, e, doc))
	}
	out := r.session.Base.Engine.Copy(ctx, transfer.Task{
		From:      c.from,
		Root:      oci.Descriptor{MediaType: doc.MediaType, Digest: doc.Digest, Size: doc.Size},
		To:        []transfer.End{to},
		Documents: r.session.Documents,
		Proof:     r.proof(c.task),
		Step:      e.steps[0],
		Observe:   r.session.Observe,
	})[0]
	r.recordBlobs(e, out.Blobs)
	err := cmp.Or(out.Err, out.Accepted.Failed[doc.Tag])
	if fault.Is(err, fault.NotFound) && fault.SideOf(err) == fault.Source {
		c.task.finder.Gone(c.from, doc)
		return "", nil
	}
	return oci.Sent, err
}

// keeping is the error of a digest tag that keeps what it has at the target.
type keeping struct {
	*fault.Fault
	has oci.Digest
}

func (k *keeping) Unwrap() error { return k.Fault }

// setsTag looks at the digest tag that doc gets. there says that it has all that doc has already. The error is a
// Conflict if it must not be moved, and Refused if the end holds no tags.
func (r *Run) setsTag(
	ctx context.Context, c *company, e *end, at place.Repository, doc plan.Referrer,
) (there bool, err error) {
	name := e.repo.Tagged(doc.Tag)
	if !e.repo.HasTags() {
		return false, &fault.Fault{Kind: fault.Refused, Side: fault.Target, Op: "put tag", Name: e.repo.String(),
			Err: noTags(doc.Tag)}
	}
	have, err := at.Resolve(ctx, doc.Tag)
	switch {
	case fault.Is(err, fault.NotFound):
		return false, nil
	case err != nil:
		return false, fault.On(fault.Target, err)
	case have.Digest == doc.Digest:
		return true, nil
	}
	overwrite := r.overwrite(r.Plan.Steps[e.steps[0]])
	if overwrite != plan.Always {
		own, err := referrers.OwnOf(ctx, r.session, c.from, at, referrers.Rivals{
			Tag: doc.Tag, Source: doc.Digest, Target: have.Digest})
		switch {
		case err != nil:
			return false, err
		case own == plan.KeepsAll:
			return true, nil
		case own == plan.KeepsOther:
			return false, keepsOwn(r.Plan.Verb, name, have.Digest, doc.Digest, r.words.Rewrite(r.Plan.Verb))
		case overwrite == plan.Refuse:
			return false, keepsOwn(r.Plan.Verb, name, have.Digest, doc.Digest, r.words.Replace(r.Plan.Verb))
		}
	}
	r.session.Observe(event.Event{Kind: event.Noted, Host: name.Host, Name: name.String(), Digest: string(doc.Digest),
		Count: 1, Text: fmt.Sprintf("the digest tag %s moves: %s -> %s", name, have.Digest, doc.Digest)})
	return false, nil
}

// noTags is why a directory of skopeo does not take a digest tag.
func noTags(tag string) error {
	return fmt.Errorf("a directory of dir: holds no digest tags, as %s", tag)
}

// keepsOwn returns the error of a digest tag that the target keeps as it is.
func keepsOwn(verb string, name ref.Name, has, want oci.Digest, replace string) error {
	return &keeping{has: has, Fault: &fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: verb, Name: name.String(),
		Err:  fmt.Errorf("it is %s, the source is %s", has, want),
		Hint: "to replace it, use " + replace}}
}

// digestTag returns the step of a digest tag, for the guard.
func (r *Run) digestTag(c *company, e *end, doc plan.Referrer) plan.Step {
	from := c.task.from.Tagged(doc.Tag)
	from.Digest = string(doc.Digest)
	return plan.Step{Action: plan.Copy, From: from, To: e.repo.Tagged(doc.Tag), MediaType: doc.MediaType, Size: doc.Size,
		Overwrite: r.overwrite(r.Plan.Steps[e.steps[0]])}
}

// errLost is the cause of the failure of a step that requires what refers to its image.
var errLost = errors.New("what refers to the image is required and is not all there; the image itself arrived")

// lacking returns the error of a step that requires what refers to its image, if the target lacks some of it.
func (r *Run) lacking(e *end) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Plan.ReferrersOf(r.Plan.Steps[e.steps[0]]).Mode != plan.ReferrersRequire ||
		!r.Reports[e.steps[0]].Referrers.Missing() {
		return nil
	}
	return &fault.Fault{Kind: fault.Refused, Side: fault.Target, Op: r.Plan.Verb, Err: errLost,
		Name: r.Plan.Steps[e.steps[0]].To.String(), Hint: "use " + r.words.AnyReferrers() + " to accept that, or " +
			r.words.SomeReferrers() + " to choose what the target takes"}
}

// cannotTake returns the error of an end that requires what refers to its image, if it is known without a request
// that the end cannot take it. It waits for the look.
func (c *company) cannotTake(e *end) error {
	if c == nil || e.repo.HasTags() || c.task.finder.Choice().Mode != plan.ReferrersRequire {
		return nil
	}
	<-c.done
	for _, r := range slices.Concat(c.found...) {
		if r.Tag != "" {
			return &fault.Fault{Kind: fault.Refused, Side: fault.Target, Op: c.run.Plan.Verb,
				Name: e.repo.String(), Err: noTags(r.Tag),
				Hint: "use " + c.run.words.AnyReferrers() + " to leave it behind, or copy to a layout: oci:DIRECTORY"}
		}
	}
	return nil
}
