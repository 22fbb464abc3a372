package transfer

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/transfer/fetch"
	"github.com/drayage/dray/oci"
)

// proveBefore returns the blobs that have to be copied to a target that is not trusted. Blobs that
// can be mounted are still mounted; proveAfter proves them.
func (e *Engine) proveBefore(ctx context.Context, m *mover, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	lack, err := m.target.Prove(ctx, blobs)
	if err != nil {
		return nil, err
	}
	there := without(blobs, lack)
	bad, err := e.differing(ctx, m, there)
	if err != nil {
		return nil, err
	}
	m.target.Distrust(bad)
	for _, b := range without(there, bad) {
		m.arrived(b, oci.Arrival{Way: oci.Present})
	}
	return append(lack, bad...), nil
}

// proveAfter checks that the target has the blobs that were copied to it. If the registry accepted
// bytes but serves different ones, the error is Corrupt, and no tag is set on the image.
func (e *Engine) proveAfter(ctx context.Context, m *mover, blobs, copied []oci.Descriptor) error {
	lack, err := m.target.Prove(ctx, copied)
	if err != nil {
		return err
	}
	if len(lack) > 0 {
		return unproven(m, lack[0], errors.New("the target accepted the blob, but does not report it with its size"),
			"check the storage of the target registry; it lost the blob or answers wrongly")
	}
	bad, err := e.differing(ctx, m, copied)
	if err != nil {
		return err
	}
	if len(bad) > 0 {
		return unproven(m, bad[0], errors.New("the target accepted the bytes again, but still serves different bytes"),
			"delete the blob at the target registry, run its garbage collection, then run this command again; "+
				"some registries keep the bytes they have")
	}
	m.proved(len(blobs))
	return nil
}

func unproven(m *mover, b oci.Descriptor, cause error, hint string) error {
	return &fault.Fault{
		Kind: fault.Corrupt,
		Side: fault.Target,
		Op:   "prove blob",
		Name: m.target.Repo().At(string(b.Digest)).String(),
		Err:  cause,
		Hint: hint,
	}
}

// differing reads blobs from the target and returns those whose bytes do not match their digest.
func (e *Engine) differing(ctx context.Context, m *mover, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	if m.task.Proof != oci.Hashed {
		return nil, nil
	}
	var mu sync.Mutex
	var bad []oci.Descriptor
	err := each(ctx, e.blobs, blobs, func(ctx context.Context, _ int, b oci.Descriptor) error {
		err := e.check(ctx, m.back, b)
		if !fault.Is(err, fault.Corrupt) && !fault.Is(err, fault.NotFound) {
			return fault.On(fault.Target, err)
		}
		m.task.tell(event.Event{Kind: event.Noted, Name: m.target.Repo().String(), Digest: string(b.Digest), Err: err,
			Text: "the target does not serve the bytes of this digest: " + m.target.Repo().At(string(b.Digest)).String()})
		mu.Lock()
		defer mu.Unlock()
		bad = append(bad, b)
		return nil
	})
	return bad, err
}

// Check reads all of a blob and checks its size and digest. If back has found the blob correct
// before, Check reads nothing. The error is Corrupt if the size or digest differs, and NotFound
// if the blob is not there. Like a copy, Check resumes after a broken connection, and it counts
// as one of Options.Blobs.
func (e *Engine) Check(ctx context.Context, back *Back, d oci.Descriptor) error {
	err := each(ctx, e.blobs, []oci.Descriptor{d}, func(ctx context.Context, _ int, d oci.Descriptor) error {
		return e.check(ctx, back, d)
	})
	return settle(ctx, err)
}

func (e *Engine) check(ctx context.Context, back *Back, d oci.Descriptor) error {
	if back.knows(d.Digest) {
		return nil
	}
	v, err := oci.NewVerifier(d)
	if err != nil {
		return err
	}
	body, err := e.fetch.Begin(ctx, fetch.Want{From: back.at, Blob: d, Name: back.at.Repo().String()}, 0)
	if err != nil {
		return withoutSide(err)
	}
	defer func() { _ = body.Close() }()
	if _, err := io.Copy(v, body); err != nil {
		return withoutSide(err)
	}
	if err := v.Verify(); err != nil {
		return err
	}
	back.note(d.Digest)
	return nil
}

// withoutSide removes the Side from an error of a download, because here the download may read from
// the source or from a target.
func withoutSide(err error) error {
	var f *fault.Fault
	if !errors.As(err, &f) || f.Side == "" {
		return err
	}
	g := *f
	g.Side = ""
	return &g
}

// lacks reports whether doc has to be put.
func (m *mover) lacks(ctx context.Context, doc oci.Document, tags []string) (bool, error) {
	if m.task.Puts != Lacking || len(tags) > 0 {
		return true, nil
	}
	ask := m.target.Resolve
	if m.back != nil {
		ask = m.back.document // compares the document's bytes, not only the answer to a HEAD request
	}
	have, err := ask(ctx, string(doc.Digest))
	switch {
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Corrupt):
		return true, nil
	case err != nil:
		return false, err
	}
	return have.Digest != doc.Digest || have.Size > 0 && have.Size != doc.Size, nil
}

// without returns the blobs of all that are not in some.
func without(all, some []oci.Descriptor) []oci.Descriptor {
	drop := make(map[oci.Digest]bool, len(some))
	for _, b := range some {
		drop[b.Digest] = true
	}
	var rest []oci.Descriptor
	for _, b := range all {
		if !drop[b.Digest] {
			rest = append(rest, b)
		}
	}
	return rest
}
