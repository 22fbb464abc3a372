package list

import (
	"slices"

	"github.com/drayage/dray/ref"
)

// bulks make the list of a repository by the registry's kind; nil where this repository has none.
var bulks = map[string]func(*Lister) *bulk{
	"acr": (*Lister).acrBulk, "hub": (*Lister).hubBulk, "quay": (*Lister).quayBulk,
	"harbor": (*Lister).harborBulk, "ghcr": (*Lister).ghcrBulk, "ecr": (*Lister).ecrBulk,
}

func (r *Lister) bulk() *bulk {
	if !r.taught.hasBulk() {
		return nil
	}
	return bulks[r.Host.Kind()](r)
}

// hasBulk reports whether repositories of h are expected to have such a list.
// Where it is at a host of its own, that one lists no other registry's.
func (m *Lessons) hasBulk() bool {
	h := m.host
	kind := h.Kind()
	switch {
	case bulks[kind] == nil || m.withoutBulk():
		return false
	case kind == "hub":
		return h.Name == ref.DockerHub
	case kind == "ghcr":
		return h.Name == "ghcr.io"
	case kind == "ecr": // its public registry's list is its owner's alone
		return m.ecr.Lists(h.Name)
	}
	return true
}

// Tells reports whether lists of tags are expected to tell digests, from what is known so
// far, and whether a tag that is not listed is not there: the list of another service
// than the registry may lag behind it.
func (m *Lessons) Tells() (digests, complete bool) {
	if !m.hasBulk() {
		digests = m.tellsDigests()
		return digests, digests
	}
	return true, !slices.Contains([]string{"hub", "ghcr"}, m.host.Kind())
}
