package push

import (
	"context"
	"sync"

	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/oci"
)

// inventory is what is known about a repository's blobs. The knowledge that a blob exists can be
// withdrawn, see disown.
type inventory struct {
	mu    sync.Mutex
	blobs map[oci.Digest]bool // whether each blob existed when it was last checked
	// doubt holds blobs that were reported to exist and then turned out to be missing. Only an
	// upload proves that they exist.
	doubt  map[oci.Digest]bool
	proven map[oci.Digest]bool // what Prove found; a put blob is not proven by its put
	// settle lets one caller at a time ask whether the repository is empty.
	settle limit.Gate
	// empty means that the repository did not exist, so a blob that was not put since does not
	// exist.
	empty  bool
	asked  bool // it was asked whether the repository is empty
	hidden bool // the answer to that did not tell
	open   int  // the most blobs that Missing left to Put in one call
	trail  bool // the repository is recorded as being filled, because it has no tags
	// mounted is what a 201 to a mount from the repository itself is worth.
	mounted word
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

// leave records that Missing left n blobs to Put.
func (i *inventory) leave(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.open = max(i.open, n)
}

// left returns the most blobs that Missing left to Put in one call.
func (i *inventory) left() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.open
}

// disown withdraws that blobs exist, and marks them as doubted.
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

// proof records what the registry answered about a blob. A doubted blob stays doubted until it is
// put, because the registry reported the right size for it before, too.
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

// doubted reports whether only an upload proves that the blob exists.
func (i *inventory) doubted(d oci.Digest) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.doubt[d] && !i.blobs[d]
}

// tended records that an earlier process put content into the repository, so it is not assumed to
// be empty.
func (i *inventory) tended() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked, i.empty = true, false
}

// word is whether a registry has the blobs of which it says that it has them now. It is believed once
// one of them was looked for and found.
type word struct {
	turn limit.Gate // one caller at a time looks
	mu   sync.Mutex
	kept bool
}

// isKept reports whether the word is believed without looking.
func (w *word) isKept() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kept
}

// holds reports whether a blob exists. It calls look only if no earlier blob was found.
func (w *word) holds(ctx context.Context, look func(context.Context) (bool, error)) (bool, error) {
	if w.isKept() {
		return true, nil
	}
	if err := w.turn.Enter(ctx); err != nil {
		return false, err
	}
	defer w.turn.Leave()
	if w.isKept() {
		return true, nil
	}
	there, err := look(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = there && err == nil
	return there, err
}
