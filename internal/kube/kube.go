// Package kube reads which images run in a cluster from what kubectl prints. It asks no cluster.
package kube

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drayage/dray/ref"
)

// Images reads the forms that plan.ParseInUse documents. It returns the images in order, each once, and the number of
// image IDs that only a node knows.
func Images(raw []byte) (images []ref.Name, local int, err error) {
	u := &using{images: map[ref.Name]bool{}}
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	if text := bytes.TrimSpace(raw); len(text) > 0 && (text[0] == '{' || text[0] == '[') {
		err = u.objects(text)
	} else {
		err = u.lines(string(raw))
	}
	if err == nil && len(u.images) == 0 {
		err = errors.New("it names no image of a registry")
	}
	if err != nil {
		return nil, 0, err
	}
	return slices.SortedFunc(maps.Keys(u.images), ref.Name.Compare), u.local, nil
}

// using collects images.
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
