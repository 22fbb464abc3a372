package bundle

import (
	"maps"
	"slices"

	"github.com/drayage/dray/internal/volume"
	"github.com/drayage/dray/oci"
)

// attach completes the names of a bundle: what refers to an image refers to it in each repository that has the
// image, also if the list of the bundle does not say so.
func attach(set *volume.Set) error {
	referring := map[oci.Digest][]oci.Digest{}
	for _, d := range set.Contents.Documents {
		doc, err := set.Document(d)
		if err != nil {
			return err
		}
		if doc.Subject != nil {
			referring[doc.Subject.Digest] = append(referring[doc.Subject.Digest], doc.Digest)
		}
	}
	if len(referring) == 0 {
		return nil
	}
	c := set.Contents
	has := map[held]bool{}
	for _, n := range c.Names {
		if _, err := hold(set, has, n); err != nil {
			return err
		}
	}
	for i := 0; i < len(c.Names); i++ { // c.Names grows: a referrer may have referrers
		n := c.Names[i]
		below, err := hold(set, has, n)
		if err != nil {
			return err
		}
		for _, subject := range below {
			for _, d := range referring[subject] {
				if !has[held{n.Repo, d}] {
					has[held{n.Repo, d}] = true
					c.Names = append(c.Names, volume.Name{Repo: n.Repo, Digest: d, Subject: subject, From: n.From})
				}
			}
		}
	}
	return nil
}

// hold notes in has that the repository of n has its documents, and returns them.
func hold(set *volume.Set, has map[held]bool, n volume.Name) ([]oci.Digest, error) {
	all, err := set.Needs(n.Digest)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(all, func(d oci.Digest, _ bool) bool { return !set.IsDocument(d) })
	for d := range all {
		has[held{n.Repo, d}] = true
	}
	return slices.Sorted(maps.Keys(all)), nil
}
