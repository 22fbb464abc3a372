package trim

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// FillSparse looks below the indexes that steps would skip, because the target has them already: those that are to be
// sparse, and those that an earlier run sent there sparse. The digest does not tell which of their images the target
// has. If it lacks one that is to be copied, the step becomes a Replace of the same digest. FillSparse sends a GET for
// each of these indexes, and a HEAD for each image that is copied.
func FillSparse(ctx context.Context, s *place.Session, steps []plan.Step) error {
	known := map[ref.Repo]map[oci.Digest]bool{}
	var at []int
	for i, step := range steps {
		if step.Action == plan.Skip && maySparse(s, known, step.To.Repo, step.Digest(), step.Trim) {
			at = append(at, i)
		}
	}
	return place.Each(ctx, place.Lookups, at, func(ctx context.Context, i int) error {
		lacks, err := Lacking(ctx, s, steps[i].To.Repo, steps[i].Digest(), steps[i].Trim)
		switch {
		case fault.Is(err, fault.NotFound): // the target names the index, and does not have it at hand, as a bundle
			steps[i].Action = plan.Replace
			return nil
		case len(lacks) > 0:
			steps[i].Action = plan.Replace
		case err == nil && !steps[i].Trim.Partial(): // somebody else has sent the rest
			_ = s.Base.Sparse.Note(steps[i].To.Repo, nil, []oci.Digest{steps[i].Digest()})
		}
		return err
	})
}

// maySparse reports whether the index d in repo may lack images that t says are to be copied. known has what earlier
// runs left sparse, as far as it was read.
func maySparse(
	s *place.Session, known map[ref.Repo]map[oci.Digest]bool, repo ref.Repo, d oci.Digest, t plan.Trim,
) bool {
	if t.Partial() {
		return t.Form == plan.Sparse
	}
	if _, read := known[repo]; !read {
		known[repo] = s.Base.Sparse.Of(repo)
	}
	return known[repo][d]
}

// Lacking returns the images of the index d that the target repository lacks, of those that t says are to be copied.
func Lacking(
	ctx context.Context, s *place.Session, repo ref.Repo, d oci.Digest, t plan.Trim,
) ([]oci.Descriptor, error) {
	at, err := s.Target(ctx, repo, layout.Read)
	if err != nil {
		return nil, err
	}
	var doc oci.Document
	if t.Partial() {
		doc, err = Document(ctx, s.Documents, at, d, t)
	} else {
		doc, err = s.Documents.Read(ctx, at, d)
	}
	if err != nil {
		return nil, fault.On(fault.Target, err)
	}
	var lacks []oci.Descriptor
	for _, child := range doc.Documents {
		switch _, err := at.Resolve(ctx, string(child.Digest)); {
		case fault.Is(err, fault.NotFound):
			lacks = append(lacks, child)
		case err != nil:
			return nil, fault.On(fault.Target, err)
		}
	}
	return lacks, nil
}
