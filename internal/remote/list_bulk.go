package remote

import (
	"slices"

	"github.com/drayage/dray/ref"
)

// bulks make the list of a repository by the registry's kind; nil where this repository has none.
var bulks = map[string]func(*lister) *bulk{
	"acr": (*lister).acrBulk, "hub": (*lister).hubBulk, "quay": (*lister).quayBulk,
	"harbor": (*lister).harborBulk, "ghcr": (*lister).ghcrBulk, "ecr": (*lister).ecrBulk,
}

func (r *lister) bulk() *bulk {
	if !r.taught.hasBulk() {
		return nil
	}
	return bulks[r.host.kind()](r)
}

// hasBulk reports whether repositories of h are expected to have such a list.
// Where it is at a host of its own, that one lists no other registry's.
func (m *listLessons) hasBulk() bool {
	h := m.host
	kind := h.kind()
	switch {
	case bulks[kind] == nil || m.withoutBulk():
		return false
	case kind == "hub":
		return h.name == ref.DockerHub
	case kind == "ghcr":
		return h.name == "ghcr.io"
	case kind == "ecr": // its public registry's list is its owner's alone
		return m.ecr.Lists(h.name)
	}
	return true
}

// tells reports whether lists of tags are expected to tell digests, from what is known so
// far, and whether a tag that is not listed is not there: the list of another service
// than the registry may lag behind it.
func (m *listLessons) tells() (digests, complete bool) {
	if !m.hasBulk() {
		digests = m.tellsDigests()
		return digests, digests
	}
	return true, !slices.Contains([]string{"hub", "ghcr"}, m.host.kind())
}
