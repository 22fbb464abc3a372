package push

import (
	"sync"

	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/oci"
)

// inventory is what was seen of a repository's blobs. A claim can be taken back.
type inventory struct {
	mu     sync.Mutex
	blobs  map[oci.Digest]bool // there or not, as last seen
	doubt  map[oci.Digest]bool // said to be there and then missed: only sending it proves anything
	proven map[oci.Digest]bool // asked for since it was put: see Prove
	settle limit.Gate          // one question about emptiness at a time
	empty  bool                // the repository did not exist: what was not put since is not there
	asked  bool                // whether it is empty was asked
	hidden bool                // and the answer does not tell
	open   int                 // how many blobs Missing left to Put at once, at most
	trail  bool                // it is on record as being filled, for it has no tags
}

func (i *inventory) has(d oci.Digest) (there, known bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	there, known = i.blobs[d]
	return there, known || i.empty || i.doubt[d]
}

func (i *inventory) note(d oci.Digest, there bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.blobs == nil {
		i.blobs = map[oci.Digest]bool{}
	}
	i.blobs[d] = there
}

// leave notes that it is left to Put whether n blobs are there.
func (i *inventory) leave(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.open = max(i.open, n)
}

// left is how many blobs were left so.
func (i *inventory) left() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.open
}

// disown takes back that blobs are there.
func (i *inventory) disown(blobs []oci.Descriptor) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.doubt == nil {
		i.doubt = map[oci.Digest]bool{}
	}
	for _, d := range blobs {
		delete(i.blobs, d.Digest)
		delete(i.proven, d.Digest)
		i.doubt[d.Digest] = true
	}
}

// proof notes what the registry itself says of a blob. One that is doubted stays so until
// it was put: its size was right before, too.
func (i *inventory) proof(d oci.Digest, there bool) {
	if there && i.doubted(d) {
		return
	}
	i.note(d, there)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.proven == nil {
		i.proven = map[oci.Digest]bool{}
	}
	i.proven[d] = there
}

func (i *inventory) unproven(blobs []oci.Descriptor) []oci.Descriptor {
	i.mu.Lock()
	defer i.mu.Unlock()
	var list []oci.Descriptor
	for _, d := range blobs {
		if !i.proven[d.Digest] {
			list = append(list, d)
		}
	}
	return list
}

// doubted reports whether only sending the blob proves anything.
func (i *inventory) doubted(d oci.Digest) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.doubt[d] && !i.blobs[d]
}

// tended notes that an earlier process was at work in the repository.
func (i *inventory) tended() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked, i.empty = true, false
}
