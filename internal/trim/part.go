package trim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// PartOf returns the part of doc that is for the platforms in only. The config of a single manifest says what
// it is for, and is read from at; so are indexes in an index, unless docs has them.
func PartOf(
	ctx context.Context, docs *transfer.Documents, at place.Repository, doc oci.Document, only []oci.Platform,
	form plan.Form,
) (oci.Subset, error) {
	if !doc.IsIndex() {
		p, err := platformOf(ctx, at, doc)
		return oci.SubsetOf(doc, p, only), err
	}
	nested, err := nestedIn(ctx, docs, at, doc)
	switch {
	case err != nil:
		return oci.Subset{}, err
	case form == plan.Sparse:
		return oci.Sparse(doc, only, nested), nil
	}
	return oci.Trim(doc, only, nested)
}

// platformOf returns the platform of a single manifest. It is zero for what is no container image, and for an
// image whose config names none.
func platformOf(ctx context.Context, at place.Repository, doc oci.Document) (oci.Platform, error) {
	if doc.Config == nil {
		return oci.Platform{}, nil
	}
	switch doc.Config.MediaType {
	case v1.MediaTypeImageConfig, "application/vnd.docker.container.image.v1+json":
	default:
		return oci.Platform{}, nil
	}
	raw, err := place.ReadSmall(ctx, at, *doc.Config)
	if err != nil {
		return oci.Platform{}, err
	}
	var config v1.Image
	if json.Unmarshal(raw, &config) != nil {
		return oci.Platform{}, nil // it names no platform that anybody could read
	}
	return config.Platform, nil
}

// Missing returns the error for an image that does not have all of the platforms that were asked for.
func Missing(op string, n ref.Name, lacks, has []oci.Platform, hint string) error {
	return &fault.Fault{
		Kind: fault.NotFound,
		Op:   op,
		Name: n.String(),
		Hint: hint,
		Err:  fmt.Errorf("it has no %s; it has %w", oci.PlatformsString(lacks), errors.New(platformsOf(has))),
	}
}

// platformsOf lists the platforms of an image for a person.
func platformsOf(has []oci.Platform) string {
	if len(has) == 0 {
		return "no platforms"
	}
	return oci.PlatformsString(has)
}
