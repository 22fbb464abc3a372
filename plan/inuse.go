package plan

import (
	"slices"

	"github.com/drayage/dray/internal/kube"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// MaxInUse is the maximum size of a list of images in bytes. Programs check it, and [ParseInUse] does not.
const MaxInUse = 256 << 20

// InUse is a list of images that run somewhere, for example in a cluster: each by its digest, or by its tag if
// the digest is not known. The zero InUse is not a rule, so it drops nothing.
type InUse struct {
	Images []ref.Name // sorted, each once; a name has a digest or a tag, never both
	Local  int        // number of image IDs that are known only to the node that has the image, and that no registry knows
}

// ParseInUse reads a list of images in a form that kubectl prints:
//   - JSON (-o json) of pods, or of objects that contain a template for pods, such as deployments and cron
//     jobs, or a JSON list of words;
//   - words separated by spaces, commas or line ends (-o jsonpath, custom-columns).
//
// A word is the name of an image or an image ID, with or without "docker-pullable://" before it. For a
// container that runs, ParseInUse uses the image ID, which contains the digest; for another container, the
// name of the image. In a list of words, comments begin with "#". The error is [fault.Invalid]: a word is
// not an image, or there is no image at all.
func ParseInUse(raw []byte) (InUse, error) {
	images, local, err := kube.Images(raw)
	if err != nil {
		return InUse{}, invalid("read images in use", "", err,
			"give the output of kubectl get pods -A -o json, or one image per line")
	}
	return InUse{Images: images, Local: local}, nil
}

// Running holds the images of one repository that are in use.
type Running struct {
	Digests map[oci.Digest]bool
	Tags    map[string]bool // for images whose digest is not known
}

// Of returns the images of repo that are in use. It returns nil if u is not a rule.
func (u InUse) Of(repo ref.Repo) *Running {
	if len(u.Images) == 0 {
		return nil
	}
	r := &Running{Digests: map[oci.Digest]bool{}, Tags: map[string]bool{}}
	i, _ := slices.BinarySearchFunc(u.Images, repo.Tagged(""), ref.Name.Compare)
	for ; i < len(u.Images) && u.Images[i].Repo == repo; i++ {
		if n := u.Images[i]; n.Digest != "" {
			r.Digests[oci.Digest(n.Digest)] = true
		} else {
			r.Tags[n.Tag] = true
		}
	}
	return r
}

// why reports whether a listed tag is in use, with the reason for an explanation. A tag whose digest is
// not known may be in use, so it is kept.
func (r *Running) why(t oci.Listed) (bool, string, error) {
	switch d := t.Descriptor.Digest; {
	case r.Digests[d]:
		return true, "in use by digest", nil
	case r.Tags[t.Tag]:
		return true, "in use by name", nil
	case d == "" && len(r.Digests) > 0:
		return true, "may be in use: its digest is not known", nil
	}
	return false, "not in use", nil
}
