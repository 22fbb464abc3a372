package admit

import (
	"cmp"
	"context"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// atOnce is how many images a gate is asked about at the same time.
const atOnce = 16

// image is an image of a source repository.
type image struct {
	repo   ref.Repo
	digest oci.Digest
}

// asked is an image that a gate is asked about, and the steps that its answer counts for.
type asked struct {
	image
	name  ref.Name
	root  oci.Descriptor
	steps []int
	err   error // the answer
}

// Steps asks the gate of s about each image that steps would move. Steps of an image that it does not
// admit become Refused. A digest tag, such as that of a signature, goes with the image that it belongs to, and
// so does what moves by its digest alone and refers to an image that moves or is at the target.
// A new name for an image in its own repository is no move: verb tag is not asked. The error is Canceled.
func Steps(ctx context.Context, s *place.Session, verb string, steps []plan.Step) error {
	if s.Gate == nil {
		return nil
	}
	all := questions(ctx, s, verb, steps)
	err := place.Each(ctx, atOnce, all, func(ctx context.Context, q *asked) error {
		q.err = s.Verdicts.Once(ctx, q.repo, q.digest, func() error { return ask(ctx, s, q) })
		return givenUp(q.err)
	})
	for _, q := range all {
		switch {
		case err != nil || q.err == nil:
		case q.attached():
			q.err = within(ctx, s, q, steps)
		case q.isNameless(steps):
			q.err = alongside(ctx, s, q, all, steps)
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

// questions returns the images that steps would move, each once.
func questions(ctx context.Context, s *place.Session, verb string, steps []plan.Step) []*asked {
	there := map[image]bool{} // at the target already
	for _, step := range steps {
		if step.Action == plan.Skip {
			there[image{step.From.Repo, step.Digest()}] = true
		}
	}
	at := map[image]*asked{}
	var order []*asked
	for i, step := range steps {
		if !step.Moves() || verb == "tag" && step.From.Repo.Same(step.To.Repo) {
			continue
		}
		q := &asked{image: image{step.From.Repo, step.Digest()}, name: step.From, root: step.Root()}
		if subject, ok := belongsTo(ctx, s, step.From); ok {
			q.image.digest = subject
			q.name, q.root = step.From.Repo.At(string(subject)), oci.Descriptor{Digest: subject}
			if there[q.image] {
				continue
			}
		}
		if known := at[q.image]; known != nil {
			q = known
		} else {
			at[q.image] = q
			order = append(order, q)
		}
		if q.root.Size == 0 && step.Digest() == q.digest {
			q.name, q.root = step.From, step.Root()
		}
		q.steps = append(q.steps, i)
	}
	return order
}

// attached reports whether only digest tags of the image move, and not the image itself.
func (q *asked) attached() bool { return q.root.Size == 0 && q.name.Tag == "" }

// ask asks the gate about an image.
func ask(ctx context.Context, s *place.Session, q *asked) error {
	at, err := s.Source(ctx, q.repo)
	if err != nil {
		return err
	}
	return s.Gate.Admit(ctx, gate.NewImage(q.name, q.root, source{at, s}))
}

// within returns nil if q is a part of an index that moves or is at the target, since an index is admitted
// with all that it lists. Otherwise it returns the reason why q itself is not admitted.
func within(ctx context.Context, s *place.Session, q *asked, steps []plan.Step) error {
	at, err := s.Source(ctx, q.repo)
	if err != nil {
		return err
	}
	seen := map[oci.Digest]bool{}
	for _, step := range steps {
		_, attached := belongsTo(ctx, s, step.From)
		if attached || seen[step.Digest()] || step.From.Repo != q.repo || step.Digest() == "" {
			continue
		}
		seen[step.Digest()] = true
		doc, err := s.Documents.Read(ctx, at, step.Digest())
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
			parent := &asked{image: image{q.repo, step.Digest()}, name: step.From, root: step.Root()}
			return s.Verdicts.Once(ctx, q.repo, step.Digest(), func() error { return ask(ctx, s, parent) })
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
func alongside(ctx context.Context, s *place.Session, q *asked, all []*asked, steps []plan.Step) error {
	at, err := s.Source(ctx, q.repo)
	if err != nil {
		return err
	}
	seen := map[oci.Digest]bool{}
	for of := q.digest; !seen[of]; {
		seen[of] = true
		doc, err := s.Documents.Read(ctx, at, of)
		if fault.Is(err, fault.Canceled) {
			return err
		}
		if err != nil || doc.Subject == nil {
			break
		}
		of = doc.Subject.Digest
		subject := &asked{image: image{q.repo, of}, err: q.err}
		admitted := slices.ContainsFunc(all, func(o *asked) bool { return o.image == subject.image && o.err == nil }) ||
			slices.ContainsFunc(steps, func(s plan.Step) bool {
				return s.Action == plan.Skip && image{s.From.Repo, s.Digest()} == subject.image
			})
		if admitted {
			return nil
		}
		if err := within(ctx, s, subject, steps); err == nil || fault.Is(err, fault.Canceled) {
			return err
		}
	}
	return q.err
}

// source is a source repository that shares the documents of the session: the copy does not read again
// what the gate has read.
type source struct {
	place.Repository
	session *place.Session
}

// Document reads a document from what the session has read. A tag is always asked for.
func (r source) Document(ctx context.Context, reference string) (oci.Document, error) {
	if ref.Digest(reference) != nil {
		return r.Repository.Document(ctx, reference)
	}
	return r.session.Documents.Read(ctx, r.Repository, oci.Digest(reference))
}

func refused(s plan.Step, err error) plan.Step {
	s.Action, s.Problem = plan.Refused, plan.ProblemOf(err)
	s.Backup, s.Locks = "", oci.Locks{}
	return s
}
