package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	u := &using{images: map[ref.Name]bool{}}
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	var err error
	if text := bytes.TrimSpace(raw); len(text) > 0 && (text[0] == '{' || text[0] == '[') {
		err = u.objects(text)
	} else {
		err = u.lines(string(raw))
	}
	if err == nil && len(u.images) == 0 {
		err = errors.New("it names no image of a registry")
	}
	if err != nil {
		return InUse{}, invalid("read images in use", "", err,
			"give the output of kubectl get pods -A -o json, or one image per line")
	}
	var images []ref.Name
	for n := range u.images {
		images = append(images, n)
	}
	slices.SortFunc(images, ref.Name.Compare)
	return InUse{Images: images, Local: u.local}, nil
}

// using collects the images for an InUse.
type using struct {
	images map[ref.Name]bool
	local  int
}

func (u *using) lines(text string) error {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
		image := func(w string) bool { return strings.ToUpper(w) != w || strings.ContainsAny(w, "/:.") }
		if len(u.images) > 0 || slices.ContainsFunc(words, image) {
			if err := u.add(words...); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		} // otherwise the line is the heading of the columns
	}
	return nil
}

// object holds the fields that are read of a Kubernetes object, or of a list of objects.
type object struct {
	Items []object `json:"items"`
	Spec  struct {
		Containers []container `json:"containers"`
		Init       []container `json:"initContainers"`
		Ephemeral  []container `json:"ephemeralContainers"`
		Template   *object     `json:"template"`
		Job        *object     `json:"jobTemplate"`
	} `json:"spec"`
	Status struct {
		Containers []container `json:"containerStatuses"`
		Init       []container `json:"initContainerStatuses"`
		Ephemeral  []container `json:"ephemeralContainerStatuses"`
	} `json:"status"`
}

type container struct {
	Name  string `json:"name"`
	Image string `json:"image"`
	ID    string `json:"imageID"`
}

func (u *using) objects(text []byte) error {
	var words []string
	if json.Unmarshal(text, &words) == nil {
		return u.add(words...)
	}
	var o object
	into := any(&o)
	if text[0] == '[' {
		into = &o.Items
	}
	if err := json.Unmarshal(text, into); err != nil {
		return err
	}
	return u.object(o)
}

func (u *using) object(o object) error {
	runs := map[string]bool{} // the containers whose digest is known, by name
	for _, c := range slices.Concat(o.Status.Containers, o.Status.Init, o.Status.Ephemeral) {
		if c.ID == "" {
			continue
		}
		before := u.local
		if err := u.add(c.ID); err != nil {
			return err
		}
		runs[c.Name] = u.local == before
	}
	for _, c := range slices.Concat(o.Spec.Containers, o.Spec.Init, o.Spec.Ephemeral) {
		if !runs[c.Name] && c.Image != "" {
			if err := u.add(c.Image); err != nil {
				return err
			}
		}
	}
	below := o.Items
	for _, t := range []*object{o.Spec.Template, o.Spec.Job} {
		if t != nil {
			below = append(below, *t)
		}
	}
	for _, b := range below {
		if err := u.object(b); err != nil {
			return err
		}
	}
	return nil
}

// add adds images and image IDs.
func (u *using) add(words ...string) error {
	for _, word := range words {
		text := strings.TrimPrefix(word, "docker-pullable://")
		local, isLocal := strings.CutPrefix(text, "docker://")
		if text == "<none>" {
			continue
		}
		if isLocal || ref.Digest(local) == nil || ref.Digest("sha256:"+local) == nil {
			u.local++
			continue
		}
		n, err := ref.Parse(text)
		if err == nil && n.IsLayout() {
			err = fmt.Errorf("%s is an image layout", n)
		}
		if err != nil {
			return err
		}
		switch {
		case n.Digest != "":
			n.Tag = ""
		case n.Tag == "":
			n.Tag = "latest"
		}
		u.images[n] = true
	}
	return nil
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
