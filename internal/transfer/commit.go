package transfer

import (
	"context"
	"slices"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// commit puts the documents by digest, the deepest first. It puts the root last, with its tags,
// so that a reader never sees a tag whose content is not there.
func (e *Engine) commit(ctx context.Context, m *mover, end End, found *tree) (oci.Accepted, error) {
	if !m.target.Repo().Same(m.task.From.Repo()) {
		for _, level := range slices.Backward(found.levels[1:]) {
			err := each(ctx, in[oci.Document](e.requests), level, func(ctx context.Context, _ int, doc oci.Document) error {
				_, err := e.putDocument(ctx, m, found, doc)
				return err
			})
			if err != nil {
				return oci.Accepted{}, err
			}
		}
	}
	if err := e.before(ctx, m, end, found); err != nil {
		return oci.Accepted{}, err
	}
	first, last := end.Tags, end.Last
	if len(first) == 0 {
		first, last = last, nil
	}
	accepted, err := e.putDocument(ctx, m, found, found.root(), first...)
	if err == nil && len(last) > 0 {
		var more oci.Accepted
		more, err = e.putDocument(ctx, m, found, found.root(), last...)
		accepted = accepted.And(more)
	}
	for _, tag := range accepted.Tags {
		m.task.tell(event.Event{
			Kind:   event.Tagged,
			Name:   m.target.Repo().Tagged(tag).String(),
			Digest: string(found.root().Digest),
		})
	}
	for tag, cause := range accepted.Failed {
		accepted.Failed[tag] = fault.On(fault.Target, cause)
	}
	return accepted, err
}

// before calls end.Before, and calls it again if it needs the root to be there.
func (e *Engine) before(ctx context.Context, m *mover, end End, found *tree) error {
	if end.Before == nil {
		return nil
	}
	back := found.room.Rest()
	again, err := end.Before(ctx)
	back()
	if err != nil || !again {
		return err
	}
	if _, err := e.putDocument(ctx, m, found, found.root()); err != nil {
		return err
	}
	defer found.room.Rest()()
	_, err = end.Before(ctx)
	return err
}

// putDocument puts doc. While another copy puts the same document, by its digest or under a tag,
// putDocument waits: two requests for one document at a time are a race that some registries lose.
// If the other copy stored it and there are no tags, nothing is left to do.
func (e *Engine) putDocument(
	ctx context.Context, m *mover, found *tree, doc oci.Document, tags ...string,
) (oci.Accepted, error) {
	land, arrived, err := e.turn(ctx, m, doc.Digest)
	if err != nil || arrived && len(tags) == 0 {
		land(err == nil)
		return oci.Accepted{}, err
	}
	accepted, err := e.putNow(ctx, m, found, doc, tags...)
	land(err == nil && (len(tags) == 0 || len(accepted.Tags) > 0))
	return accepted, err
}

// turn claims a document, and waits for the copies that put it now. arrived says that one of them
// stored it. The caller must call land.
func (e *Engine) turn(ctx context.Context, m *mover, d oci.Digest) (land func(arrived bool), arrived bool, err error) {
	for {
		land, others := e.flights.claim(cargo{document, m.target.Repo(), d})
		if others == nil {
			return land, arrived, nil
		}
		select {
		case <-others.landed:
			arrived = arrived || others.arrived
		case <-ctx.Done():
			return func(bool) {}, false, context.Cause(ctx)
		}
	}
}

// putNow puts doc. If the target then answers that it lacks content which it had reported to
// have, putNow sends that content again, once.
func (e *Engine) putNow(
	ctx context.Context, m *mover, found *tree, doc oci.Document, tags ...string,
) (oci.Accepted, error) {
	lacks, err := m.lacks(ctx, doc, tags)
	if err != nil || !lacks {
		return oci.Accepted{}, err
	}
	accepted, err := m.target.PutDocument(ctx, doc, tags...)
	if m.task.Sparse && doc.Digest == m.task.Root.Digest {
		err = refusesSparse(m.target.Repo(), doc.Digest, err)
		for tag, cause := range accepted.Failed {
			accepted.Failed[tag] = refusesSparse(m.target.Repo(), doc.Digest, cause)
		}
	}
	if fault.Is(err, fault.NotFound) && !m.target.Repo().Same(m.task.From.Repo()) && ctx.Err() == nil {
		if err := m.repair(ctx, found, doc); err != nil {
			return oci.Accepted{}, err
		}
		accepted, err = m.target.PutDocument(ctx, doc, tags...)
	}
	if err != nil {
		return accepted, err
	}
	m.task.tell(event.Event{Kind: event.Committed, Name: m.target.Repo().String(), Digest: string(doc.Digest)})
	return accepted, nil
}

// refusesSparse returns err with what to do about a target that refuses an index because it does not have all that
// the index lists.
func refusesSparse(repo ref.Repo, d oci.Digest, err error) error {
	if !fault.Is(err, fault.NotFound) && (!fault.Is(err, fault.Refused) || fault.HintOf(err) != "") {
		return err
	}
	return &fault.Fault{
		Kind: fault.Refused,
		Op:   "put sparse index",
		Name: repo.At(string(d)).String(),
		Hint: "the target accepts an index only with all of its images: leave out sparse, also where a bundle is made; " +
			"then the index is trimmed",
		Err: err,
	}
}

// repair sends everything directly under doc again, no matter what the target reports to have.
func (m *mover) repair(ctx context.Context, found *tree, doc oci.Document) error {
	m.task.tell(event.Event{Kind: event.Noted, Digest: string(doc.Digest),
		Text: "the target lacks content that it reported to have; sending it again"})
	for _, b := range doc.Blobs {
		if err := m.put(ctx, b, nil); err != nil {
			return err
		}
	}
	for _, level := range slices.Backward(found.levels) {
		for _, child := range level {
			if !slices.ContainsFunc(doc.Documents, func(d oci.Descriptor) bool { return d.Digest == child.Digest }) {
				continue
			}
			land, _, err := m.engine.turn(ctx, m, child.Digest)
			if err == nil {
				_, err = m.target.PutDocument(ctx, child)
			}
			land(err == nil)
			if err != nil {
				return err
			}
		}
	}
	return nil
}
