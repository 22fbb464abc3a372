package list

import (
	"slices"

	"github.com/drayage/dray/ref"
)

// bulks maps the registry's kind to the function that returns the own list of a repository. The
// function returns nil if this repository has none.
var bulks = map[string]func(*Lister) *bulk{
	"acr": (*Lister).acrBulk, "dockerhub": (*Lister).hubBulk, "quay": (*Lister).quayBulk,
	"harbor": (*Lister).harborBulk, "ghcr": (*Lister).ghcrBulk, "ecr": (*Lister).ecrBulk,
}

// bulk returns the registry's own list, or nil if it has none.
func (r *Lister) bulk() *bulk {
	if !r.taught.hasBulk() {
		return nil
	}
	return bulks[r.Host.Kind()](r)
}

// hasBulk reports whether the registry is expected to have a list of its own. A list at a separate
// host covers only that registry, whatever the configured kind.
func (m *Lessons) hasBulk() bool {
	h := m.host
	kind := h.Kind()
	switch {
	case bulks[kind] == nil || m.withoutBulk():
		return false
	case kind == "dockerhub":
		return h.Name == ref.DockerHub
	case kind == "ghcr":
		return h.Name == "ghcr.io"
	case kind == "ecr": // the list of the public registry is available only to its owner
		return m.ecr.Lists(h.Name)
	}
	return true
}

// Tells reports, from what is known so far, whether lists of tags are expected to contain digests,
// and whether a tag that is not listed does not exist (complete). The list of a service other than
// the registry itself may lag behind the registry.
func (m *Lessons) Tells() (digests, complete bool) {
	if !m.hasBulk() {
		digests = m.tellsDigests()
		return digests, digests
	}
	return true, !slices.Contains([]string{"dockerhub", "ghcr"}, m.host.Kind())
}
