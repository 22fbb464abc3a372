package volume

import (
	"slices"

	"github.com/drayage/dray/oci"
)

// Attached are names of a bundle, and which of them travel with others: what refers to an image travels with each name
// in its repository that has the image.
type Attached struct {
	Names []Name
	With  [][]int // for each name, the names that it travels with
}

// Attached finds out which of names travel with others.
func (s *Set) Attached(names []Name) (Attached, error) {
	a := Attached{Names: names, With: make([][]int, len(names))}
	subjects := map[int]oci.Digest{}
	for i, n := range names {
		subject, err := s.subjectOf(n)
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
	type held struct {
		repo   string
		digest oci.Digest
	}
	having := map[held][]int{} // the names that have a document below them
	for i, n := range names {
		all, err := s.Needs(n.Digest)
		if err != nil {
			return a, err
		}
		for d := range all {
			having[held{n.Repo, d}] = append(having[held{n.Repo, d}], i)
		}
	}
	for i, subject := range subjects {
		a.With[i] = having[held{names[i].Repo, subject}]
	}
	return a, nil
}

// subjectOf returns what a name refers to: by the digest tag that it is, or by what the document says.
func (s *Set) subjectOf(n Name) (oci.Digest, error) {
	if subject, _ := oci.TaggedFor(n.Tag); subject != "" && slices.Contains(oci.DigestTags(subject), n.Tag) {
		return subject, nil
	}
	if n.Tag != "" || n.Subject == "" {
		return "", nil
	}
	doc, err := s.Read(n.Digest)
	if err != nil || doc.Subject == nil {
		return "", err
	}
	return doc.Subject.Digest, nil
}

// rooted reports, for each name, whether it is an image, or travels with one. Documents that only refer to each other
// are not.
func (a Attached) rooted() []bool {
	known := make([]bool, len(a.Names))
	for again := true; again; {
		again = false
		for i, with := range a.With {
			if !known[i] && (len(with) == 0 || slices.ContainsFunc(with, func(k int) bool { return known[k] })) {
				known[i], again = true, true
			}
		}
	}
	return known
}

// Alone returns the names that a load copies by themselves: the images, and what refers to an image that is not among
// the names. The others travel with these.
func (a Attached) Alone() []Name {
	var out []Name
	rooted := a.rooted()
	for i, n := range a.Names {
		if len(a.With[i]) == 0 || !rooted[i] {
			out = append(out, n)
		}
	}
	return out
}

// Spread makes a name wait if what refers to it waits, since an image arrives with that. What refers to images that
// all wait, waits with them. waits has the names, by their place.
func (a Attached) Spread(waits map[int]bool) {
	for before := -1; before != len(waits); {
		before = len(waits)
		for i, with := range a.With {
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
