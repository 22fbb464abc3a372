// Package needs reads what a manifest or an index of any kind lists.
package needs

import (
	"encoding/json"
	"slices"

	"github.com/opencontainers/go-digest"
)

// List is what a manifest lists.
type List struct {
	Config                   *entry
	Layers, Manifests, Blobs entries
}

type entry struct {
	Digest digest.Digest `json:"digest"`
}

type entries []entry

// Of reads the bytes of a manifest. An error means that they are damaged.
func Of(raw []byte) (List, error) {
	var l List
	err := json.Unmarshal(raw, &l)
	return l, err
}

// All returns the digests of the config, the layers, the manifests and the blobs.
func (l List) All() []digest.Digest {
	out := slices.Concat(l.Layers, l.Manifests, l.Blobs).digests()
	if l.Config != nil {
		out = append(out, l.Config.Digest)
	}
	return out
}

// Below returns the digests of the manifests.
func (l List) Below() []digest.Digest { return l.Manifests.digests() }

func (e entries) digests() []digest.Digest {
	var out []digest.Digest
	for _, one := range e {
		out = append(out, one.Digest)
	}
	return out
}
