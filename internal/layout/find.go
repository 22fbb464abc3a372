package layout

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// find returns the entry for a tag in the repository path, or for "", which is the only entry there. In the
// repository "", a tag also finds the only image with that tag in any repository. In a layout opened with Read,
// "latest" also finds the only entry, if that has no name.
func (x *index) find(path, tag string, mode Mode) (entry, error) {
	x.once.Do(x.sort)
	switch {
	case tag == "" && path == "":
		return x.only(x.entries, "the layout has several entries, and no tag was given")
	case tag == "":
		in := func(e entry) bool { return slices.ContainsFunc(e.labels, func(l label) bool { return l.path == path }) }
		return x.only(slices.DeleteFunc(slices.Clone(x.entries), func(e entry) bool { return !in(e) }),
			"the repository has several images, and no tag was given")
	}
	if list := x.at(x.labeled[label{path, tag}]); len(list) > 0 {
		return x.only(list, "several entries have this name")
	}
	if path != "" {
		return entry{}, x.unknown()
	}
	list := x.at(x.tagged[tag])
	if len(list) == 0 && mode == Read && tag == "latest" && len(x.entries) == 1 && !x.entries[0].isNamed() {
		return x.entries[0], nil
	}
	return x.only(list, "several images have this tag")
}

// sort arranges the entries by their labels.
func (x *index) sort() {
	x.labeled, x.tagged = map[label][]int{}, map[string][]int{}
	for i, e := range x.entries {
		for _, l := range e.labels {
			x.labeled[l] = append(x.labeled[l], i)
			x.tagged[l.tag] = append(x.tagged[l.tag], i)
		}
		// The tag that docker writes beside a whole reference.
		if t := e.Annotations.Ref; len(e.labels) > 0 && ref.Tag(t) == nil && e.labels[0] != (label{"", t}) && e.tag() != t {
			x.tagged[t] = append(x.tagged[t], i)
		}
	}
}

func (x *index) at(list []int) []entry {
	var all []entry
	for _, i := range list {
		all = append(all, x.entries[i])
	}
	return all
}

// only returns the first entry of list. All entries must have the same digest.
func (x *index) only(list []entry, why string) (entry, error) {
	if len(list) == 0 {
		return entry{}, x.unknown()
	}
	for _, e := range list[1:] {
		if e.Digest == list[0].Digest {
			continue
		}
		f := &fault.Fault{
			Kind: fault.Refused,
			Op:   "choose",
			Hint: "use a digest: " + list[0].Digest + " or " + e.Digest,
			Err:  errors.New(why),
		}
		if some := shown(list); len(list[0].labels) > 0 && len(e.labels) > 0 && list[0].labels[0] != e.labels[0] {
			f.Err = fmt.Errorf("%s: %s", why, some)
			f.Hint = "write the whole name of one, such as " + list[0].labels[0].String() + ", or u" + f.Hint[1:]
		}
		return entry{}, f
	}
	return list[0], nil
}

// unknown returns the error for a name that no entry has. It lists those that there are.
func (x *index) unknown() error {
	some := shown(x.entries)
	if some == "" {
		return fs.ErrNotExist
	}
	return &unknown{"the layout has " + some}
}

type unknown struct{ text string }

func (u *unknown) Error() string   { return u.text }
func (*unknown) Is(err error) bool { return err == fs.ErrNotExist }

// shown returns the names of entries for a message, up to ten.
func shown(list []entry) string {
	const most = 10
	var names []string
	for _, e := range list {
		if len(e.labels) > 0 && !slices.Contains(names, e.labels[0].String()) {
			if names = append(names, e.labels[0].String()); len(names) > most {
				names[most] = "and others"
				break
			}
		}
	}
	return strings.Join(names, ", ")
}

// tags returns every tag of the repository path once, sorted. In the repository "", these are the tags of all
// repositories.
func (x *index) tags(path string) []string {
	var out []string
	for _, e := range x.entries {
		for _, l := range e.labels {
			if path == "" || l.path == path {
				out = append(out, l.tag)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
