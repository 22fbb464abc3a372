package read

import (
	"sync"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// asked remembers which tag resolved to a digest. Some caches keep a manifest by its tag and answer
// 404 to its digest. The zero value remembers nothing.
type asked struct {
	mu   sync.Mutex
	tags map[oci.Digest]string
}

// maxAsked is the number of tags that one Reader remembers.
const maxAsked = 4096

func (a *asked) note(d oci.Digest, reference string) {
	if ref.Digest(reference) == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tags == nil {
		a.tags = map[oci.Digest]string{}
	}
	if len(a.tags) < maxAsked {
		a.tags[d] = reference
	}
}

// tag returns the tag that resolved to a digest, or "".
func (a *asked) tag(digest string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tags[oci.Digest(digest)]
}
