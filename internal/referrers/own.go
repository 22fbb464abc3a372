package referrers

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// KeepOwn turns the steps that would replace a digest tag into a Skip, if the target would lose something by it,
// or has all of it already. It reads the manifests of such a tag at both sides. A step with [plan.Always] replaces
// whatever is there.
func KeepOwn(ctx context.Context, s *place.Session, steps []plan.Step, overwrite plan.Overwrite) error {
	var at []int
	for i, step := range steps {
		belongs, list := oci.TaggedFor(step.To.Tag)
		always := overwrite == plan.Always || step.Overwrite == plan.Always
		replaces := step.Action == plan.Replace || step.Action == plan.Conflict
		if replaces && belongs != "" && !list && !always {
			at = append(at, i)
		}
	}
	return place.Each(ctx, place.Lookups, at, func(ctx context.Context, i int) error {
		step := &steps[i]
		from, err := s.Source(ctx, step.From.Repo)
		if err != nil {
			return err
		}
		to, err := s.Target(ctx, step.To.Repo, layout.Read)
		if err != nil {
			return err
		}
		own, err := OwnOf(ctx, s, from, to, Rivals{step.To.Tag, step.Digest(), step.Replaces})
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && fault.Is(err, fault.Canceled):
			return err
		case err != nil:
			step.Action, step.Problem = plan.Broken, plan.ProblemOf(err)
		case own != "":
			step.Action, step.Keeps = plan.Skip, own
		}
		return nil
	})
}

// Rivals are two documents for one digest tag.
type Rivals struct {
	Tag    string
	Source oci.Digest
	Target oci.Digest
}

// OwnOf compares what a target has under a digest tag with what the source has under it, if that is something
// else. It reads both. The layers of such a manifest are a list: cosign adds a signature as another layer. A
// document that has none is replaced by no other. What the target has from the same source is not its own.
func OwnOf(ctx context.Context, s *place.Session, from, at place.Repository, tag Rivals) (plan.Keeps, error) {
	theirs, err := s.Documents.Read(ctx, from, tag.Source)
	if err != nil {
		return "", fault.On(fault.Source, err)
	}
	own, err := at.Document(ctx, string(tag.Target))
	switch {
	case fault.Is(err, fault.NotFound):
		return "", nil // the tag points to nothing
	case err != nil:
		return "", fault.On(fault.Target, err)
	}
	a, b := entries(theirs), entries(own)
	switch {
	case within(a, b):
		return plan.KeepsAll, nil
	case within(b, a):
		return "", nil
	case s.Base.Carried.Has(at.Repo(), ledger.Copied{From: from.Repo(), Tag: tag.Tag, Digest: tag.Target}):
		return "", nil // the source has replaced it since
	}
	return plan.KeepsOther, nil
}

// IsRefusal reports whether err says that a target will not take a document, however often it is sent.
func IsRefusal(err error) bool {
	if fault.SideOf(err) != fault.Target {
		return false
	}
	switch fault.KindOf(err) {
	case fault.Refused, fault.Denied, fault.Conflict, fault.Invalid, fault.TooLarge, fault.NotFound:
		return true
	}
	return false
}

// entry is a layer of a document under a digest tag. Two signatures may have the same blob: the annotations have
// what differs.
type entry struct {
	MediaType   string            `json:"mediaType"`
	Digest      oci.Digest        `json:"digest"`
	Annotations map[string]string `json:"annotations"`
}

// entries returns the layers of a document as texts that can be compared. A document without layers is an entry
// itself.
func entries(doc oci.Document) []string {
	var in struct {
		Layers []entry `json:"layers"`
	}
	_ = json.Unmarshal(doc.Raw, &in) // it was parsed before
	if len(in.Layers) == 0 {
		return []string{string(doc.Digest)}
	}
	var all []string
	for _, l := range in.Layers {
		text, _ := json.Marshal(l) // the names of annotations are sorted
		all = append(all, string(text))
	}
	return all
}

func within(a, b []string) bool {
	return !slices.ContainsFunc(a, func(e string) bool { return !slices.Contains(b, e) })
}
