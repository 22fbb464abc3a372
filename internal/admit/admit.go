package admit

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// atOnce is how many images a gate is asked about at the same time.
const atOnce = 16

// Steps asks the gate of s, and those that a step names, about each image that steps would move. Steps of an image
// that one of them does not admit become Refused. A digest tag, such as that of a signature, goes with the image that
// it belongs to, and so does what moves by its digest alone and refers to an image that moves or is at the target.
// A new name for an image in its own repository is no move: verb tag is not asked. The error is Canceled.
func Steps(ctx context.Context, s *place.Session, verb string, steps []plan.Step) error {
	named := func(s plan.Step) bool { return len(s.Own.Gates) > 0 }
	if s.Gate == nil && !slices.ContainsFunc(steps, named) {
		return nil
	}
	all := questions(ctx, s, verb, steps)
	d := &door{s, referrers.New(s, plan.Referrers{Mode: plan.ReferrersRequire})}
	err := place.Each(ctx, atOnce, all, func(ctx context.Context, q *asked) error {
		q.err = d.ask(ctx, q)
		return givenUp(q.err)
	})
	for _, q := range all {
		switch {
		case err != nil || q.err == nil:
		case q.attached():
			q.err = d.within(ctx, q, steps)
		case q.isNameless(steps):
			q.err = d.alongside(ctx, q, all, steps)
		}
		err = cmp.Or(err, givenUp(q.err))
	}
	if err != nil {
		return err
	}
	for _, q := range all {
		for _, i := range q.steps {
			if q.err != nil {
				steps[i] = refused(steps[i], q.err)
			}
		}
	}
	return nil
}

// givenUp returns err if it says that the caller gave up, and nothing about an image.
func givenUp(err error) error {
	if fault.Is(err, fault.Canceled) {
		return err
	}
	return nil
}

// questions returns the images that steps would move, each once for each choice of gates.
func questions(ctx context.Context, s *place.Session, verb string, steps []plan.Step) []*asked {
	type portion struct {
		judged
		part plan.Trim
	}
	at := map[portion]*asked{}
	there := map[image]bool{}  // at the target already
	own := map[judged]*asked{} // what moves itself
	beside := map[int]judged{} // steps of what belongs to an image, such as digest tags
	var order []*asked
	add := func(q *asked, i int) *asked {
		k := portion{q.judged(), q.part}
		if at[k] == nil {
			at[k] = q
			order = append(order, q)
		}
		at[k].steps = append(at[k].steps, i)
		return at[k]
	}
	for i, step := range steps {
		if step.Action == plan.Skip {
			there[image{step.From.Repo, step.Origin()}] = true
		}
		if !step.Moves() || verb == "tag" && step.From.Repo.Same(step.To.Repo) {
			continue
		}
		q := of(step)
		if subject, ok := belongsTo(ctx, s, step.From); ok && subject != step.Origin() {
			q.digest = subject
			beside[i] = q.judged()
			continue
		}
		q = add(q, i)
		own[q.judged()] = cmp.Or(own[q.judged()], q)
	}
	for _, i := range slices.Sorted(maps.Keys(beside)) {
		subject := beside[i]
		switch {
		case there[subject.image]:
		case own[subject] != nil:
			own[subject].steps = append(own[subject].steps, i)
		default:
			add(&asked{image: subject.image, name: subject.repo.At(string(subject.digest)),
				root: oci.Descriptor{Digest: subject.digest}, gates: steps[i].Own.Gates}, i)
		}
	}
	return order
}

// within returns nil if q is a part of an index that moves or is at the target, since an index is admitted
// with all that it lists. Otherwise it returns the reason why q itself is not admitted.
func (d *door) within(ctx context.Context, q *asked, steps []plan.Step) error {
	at, err := d.Source(ctx, q.repo)
	if err != nil {
		return err
	}
	seen := map[oci.Digest]bool{}
	for _, step := range steps {
		_, attached := belongsTo(ctx, d.Session, step.From)
		if attached || seen[step.Origin()] || step.From.Repo != q.repo || step.Origin() == "" {
			continue
		}
		seen[step.Origin()] = true
		doc, err := d.Documents.Read(ctx, at, step.Origin())
		if fault.Is(err, fault.Canceled) {
			return err
		}
		for _, child := range doc.Documents {
			if child.Digest != q.digest {
				continue
			}
			if step.Action == plan.Skip {
				return nil
			}
			parent := of(step)
			parent.gates = q.gates
			return d.ask(ctx, parent)
		}
	}
	return q.err
}

// isNameless reports whether the image gets no tag.
func (q *asked) isNameless(steps []plan.Step) bool {
	return !slices.ContainsFunc(q.steps, func(i int) bool { return steps[i].To.Tag != "" })
}

// alongside returns nil if q refers to an image that is admitted or at the target, or to what refers to one, as a
// signature does. It would travel with that image. Otherwise it returns the reason why q itself is not admitted.
func (d *door) alongside(ctx context.Context, q *asked, all []*asked, steps []plan.Step) error {
	at, err := d.Source(ctx, q.repo)
	if err != nil {
		return err
	}
	seen := map[oci.Digest]bool{}
	for about := q.digest; !seen[about]; {
		seen[about] = true
		doc, err := d.Documents.Read(ctx, at, about)
		if fault.Is(err, fault.Canceled) {
			return err
		}
		if err != nil || doc.Subject == nil {
			break
		}
		about = doc.Subject.Digest
		subject := &asked{image: image{q.repo, about}, gates: q.gates, err: q.err}
		admitted := slices.ContainsFunc(all, func(o *asked) bool { return o.judged() == subject.judged() && o.err == nil }) ||
			slices.ContainsFunc(steps, func(s plan.Step) bool {
				return s.Action == plan.Skip && image{s.From.Repo, s.Origin()} == subject.image
			})
		if admitted {
			return nil
		}
		if err := d.within(ctx, subject, steps); err == nil || fault.Is(err, fault.Canceled) {
			return err
		}
	}
	return q.err
}

func refused(s plan.Step, err error) plan.Step {
	s.Action, s.Problem = plan.Refused, plan.ProblemOf(err)
	s.Backup, s.Locks = "", oci.Locks{}
	return s
}
