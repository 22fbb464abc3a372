package trim

import (
	"context"
	"fmt"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Document returns the document that the target gets of an image of which t says what is copied. It reads the
// image from at, by its digest at the source, unless docs has it. For a sparse index, the Documents of the
// result are only those that are copied.
//
// The error is Moved if the image does not become the index that t names.
func Document(
	ctx context.Context, docs *transfer.Documents, at place.Repository, origin oci.Digest, t plan.Trim,
) (oci.Document, error) {
	only, err := t.Only()
	if err != nil {
		return oci.Document{}, err
	}
	doc, err := docs.Read(ctx, at, origin)
	if err != nil {
		return oci.Document{}, err
	}
	part, err := PartOf(ctx, docs, at, doc, only, t.Form)
	if err == nil && t.Digest != "" && part.Digest != t.Digest {
		err = moved(at.Repo(), origin, part.Digest, t)
	}
	return part.Document, err
}

func moved(repo ref.Repo, origin, is oci.Digest, t plan.Trim) error {
	return &fault.Fault{
		Kind: fault.Moved,
		Op:   "trim",
		Name: repo.At(string(origin)).String(),
		Hint: "make the plan again with this version of dray",
		Err:  fmt.Errorf("trimmed to %s, it is %s, and the plan says %s", t.Platforms, is, t.Digest),
	}
}
