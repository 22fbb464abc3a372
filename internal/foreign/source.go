package foreign

import (
	"context"
	"io"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
)

// Source is a repository whose foreign layers are read like all other blobs: from the repository if it has them, and
// otherwise from their URLs.
type Source struct {
	transfer.Source
	fetcher *Fetcher
}

// Of returns at with its foreign layers.
func (f *Fetcher) Of(at transfer.Source) Source { return Source{at, f} }

// Document is that of the repository, but with the foreign layers among the blobs.
func (s Source) Document(ctx context.Context, reference string) (oci.Document, error) {
	doc, err := s.Source.Document(ctx, reference)
	if err == nil && len(doc.Foreign) > 0 {
		doc.Blobs, doc.Foreign = slices.Concat(doc.Blobs, doc.Foreign), nil
	}
	return doc, err
}

// Blob reads d from the repository. If the repository does not have it and d has URLs, Blob reads it from the first of
// them that answers.
func (s Source) Blob(ctx context.Context, d oci.Descriptor, at, n int64) (io.ReadCloser, int64, error) {
	body, from, err := s.Source.Blob(ctx, d, at, n)
	if len(d.URLs) == 0 || !oci.IsForeign(d.MediaType) || !fault.Is(err, fault.NotFound) {
		return body, from, err
	}
	for _, address := range d.URLs {
		if body, from, err = s.fetcher.open(ctx, d, address, at, n); err == nil {
			return body, from, nil
		}
	}
	return nil, 0, err
}
