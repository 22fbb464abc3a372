package list

import (
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/oci"
)

// ecrBulk returns ECR's own API, DescribeImages. It needs AWS credentials; a docker login is not
// enough. Its host may be unreachable while the registry is not. The registry itself uses the same
// data, so the list does not lag behind it.
func (r *Lister) ecrBulk() *bulk {
	b := &bulk{name: "the image list of ECR's API", elsewhere: true}
	b.manifests = func(ctx context.Context, show func([]Manifest) (int, error)) (bool, error) {
		var stop error
		err := r.taught.ecr.Images(ctx, r.Repo, func(images []credential.ECRImage) error {
			_, stop = show(ecrManifests(images))
			return stop
		})
		if err == nil || stop != nil {
			return false, stop
		}
		return fault.Is(err, fault.NotFound), r.Call("list images of", "", "", r.Repo.String()).Named(err)
	}
	b.tags = fromRows(b.manifests)
	return b
}

// ecrManifests converts the images that ECR lists. ECR does not report the size of the manifest
// itself.
func ecrManifests(images []credential.ECRImage) []Manifest {
	all := make([]Manifest, len(images))
	for i, m := range images {
		all[i] = Manifest{Descriptor: oci.Descriptor{Digest: digestOf(m.Digest), MediaType: reason.Clean(m.MediaType)},
			Tags: m.Tags, Total: max(m.Total, 0), Updated: m.Pushed}
	}
	return all
}
