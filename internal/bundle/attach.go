package bundle

import (
	"slices"

	"github.com/drayage/dray/internal/volume"
	"github.com/drayage/dray/oci"
)

// attached are names of a bundle, and which of them travel with others: what refers to an image travels with each name
// in its repository that has the image.
type attached struct {
	names []volume.Name
	with  [][]int // for each name, the names that it travels with
}

// attach finds out which of names travel with others.
func attach(set *volume.Set, names []volume.Name) (attached, error) {
	a := attached{names: names, with: make([][]int, len(names))}
	subjects := map[int]oci.Digest{}
	for i, n := range names {
		subject, err := subjectOf(set, n)
		if err != nil {
			return a, err
		}
		if subject != "" {
			subjects[i] = subject
		}
	}
	if len(subjects) == 0 {
		return a, nil
	}
	having := map[held][]int{} // the names that have a document below them
	for i, n := range names {
		all, err := set.Needs(n.Digest)
		if err != nil {
			return a, err
		}
		for d := range all {
			having[held{n.Repo, d}] = append(having[held{n.Repo, d}], i)
		}
	}
	for i, subject := range subjects {
		a.with[i] = having[held{names[i].Repo, subject}]
	}
	return a, nil
}

// subjectOf returns what a name refers to: by the digest tag that it is, or by what the document says.
func subjectOf(set *volume.Set, n volume.Name) (oci.Digest, error) {
	if subject, _ := oci.TaggedFor(n.Tag); subject != "" && slices.Contains(oci.DigestTags(subject), n.Tag) {
		return subject, nil
	}
	if n.Tag != "" || n.Subject == "" {
		return "", nil
	}
	doc, err := set.Read(n.Digest)
	if err != nil || doc.Subject == nil {
		return "", err
	}
	return doc.Subject.Digest, nil
}

// rooted reports, for each name, whether it is an image, or travels with one. Documents that only refer to each other
// are not.
func (a attached) rooted() []bool {
	known := make([]bool, len(a.names))
	for again := true; again; {
		again = false
		for i, with := range a.with {
			if !known[i] && (len(with) == 0 || slices.ContainsFunc(with, func(k int) bool { return known[k] })) {
				known[i], again = true, true
			}
		}
	}
	return known
}

// alone returns the names that a load copies by themselves: the images, and what refers to an image that is not among
// the names. The others travel with these.
func (a attached) alone() []volume.Name {
	var out []volume.Name
	rooted := a.rooted()
	for i, n := range a.names {
		if len(a.with[i]) == 0 || !rooted[i] {
			out = append(out, n)
		}
	}
	return out
}

// spread makes a name wait if what refers to it waits, since an image arrives with that. What refers to images that
// all wait, waits with them. waits has the names, by their place.
func (a attached) spread(waits map[int]bool) {
	for before := -1; before != len(waits); {
		before = len(waits)
		for i, with := range a.with {
			if waits[i] {
				for _, k := range with {
					waits[k] = true
				}
			}
			if len(with) > 0 && !slices.ContainsFunc(with, func(k int) bool { return !waits[k] }) {
				waits[i] = true
			}
		}
	}
}
