package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// MaxInUse is how many bytes a list of images in use may have.
const MaxInUse = 256 << 20

// InUse are images that run somewhere: by digest, or by tag where that is all that is known.
// The zero InUse is no rule.
type InUse struct {
	Images []ref.Name // sorted, each once; with a digest or a tag, never both
	Local  int        // IDs that only the node knows which has the image: they name nothing in a registry
}

// ParseInUse reads what kubectl prints: JSON of pods or of whatever makes them (-o json),
// or words with blanks, commas or line ends between them (-o jsonpath, custom-columns):
// image names and image IDs, also with "docker-pullable://" before them. Of a container that
// runs the ID counts, which is a digest; else its image's name. Comments begin with #. The
// error is Invalid: a word is no image, or there is none at all.
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
		return InUse{}, &fault.Fault{Kind: fault.Invalid, Op: "read images in use", Err: err, Hint: "as kubectl get pods -A -o json prints them, or one image a line"}
	}
	var images []ref.Name
	for n := range u.images {
		images = append(images, n)
	}
	slices.SortFunc(images, ref.Name.Compare)
	return InUse{Images: images, Local: u.local}, nil
}

// using is an InUse in the making.
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
		if slices.ContainsFunc(words, func(w string) bool { return strings.ToUpper(w) != w || strings.ContainsAny(w, "/:.") }) || len(u.images) > 0 {
			for _, word := range words {
				if err := u.add(word); err != nil {
					return fmt.Errorf("line %d: %w", n, err)
				}
			}
		} // else it is the heading of columns
	}
	return nil
}

// object is what is read of an object of Kubernetes, or of a list of them.
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
		for _, word := range words {
			if err := u.add(word); err != nil {
				return err
			}
		}
		return nil
	}
	var all []object
	if text[0] == '[' {
		if err := json.Unmarshal(text, &all); err != nil {
			return err
		}
	} else {
		var one object
		if err := json.Unmarshal(text, &one); err != nil {
			return err
		}
		all = []object{one}
	}
	for _, o := range all {
		if err := u.object(o); err != nil {
			return err
		}
	}
	return nil
}

func (u *using) object(o object) error {
	runs := map[string]bool{} // containers whose digest is known
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

// add reads one image or image ID.
func (u *using) add(word string) error {
	text := strings.TrimPrefix(word, "docker-pullable://")
	local, isLocal := strings.CutPrefix(text, "docker://")
	if text == "<none>" {
		return nil
	}
	if isLocal || ref.Digest(local) == nil || ref.Digest("sha256:"+local) == nil {
		u.local++
		return nil
	}
	n, err := ref.Parse(text)
	if err == nil && n.IsLayout() {
		err = fmt.Errorf("%s is a layout", n)
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
	return nil
}

// Running is what runs of one repository.
type Running struct {
	Digests map[oci.Digest]bool
	Tags    map[string]bool // where no digest is known
}

// Of returns what runs of repo; nil where u is no rule.
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

// why says whether a listed tag runs. One whose digest nobody knows may.
func (r *Running) why(t oci.Listed) (bool, string, error) {
	switch d := t.Descriptor.Digest; {
	case r.Digests[d]:
		return true, "in use by digest", nil
	case r.Tags[t.Tag]:
		return true, "in use by name", nil
	case d == "" && len(r.Digests) > 0:
		return true, "in use: its digest is not known", nil
	}
	return false, "in use: it is not", nil
}
