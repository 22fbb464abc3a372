package transfer

import (
	"context"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// maxKept is how many bytes of documents are kept in case that an image needs them: 8 MiB, some
// thousand manifests. Read in their parts, they take two to three times that.
const maxKept = 8 << 20

// Documents holds the documents that one run has read from its sources. Each is read once, even if
// many images refer to it. If there are too many, those that were read first are dropped, and read
// again if they are needed. The zero value is ready for use, and nil keeps nothing. It is safe for
// concurrent use.
type Documents struct {
	mu      sync.Mutex
	all     map[oci.Digest]oci.Document
	order   []oci.Digest // those of all that may be dropped, the oldest first
	bytes   int          // of those
	reading map[oci.Digest]*reading
}

// reading is a read in progress. Read doc and err only after done is closed.
type reading struct {
	from ref.Repo
	done chan struct{}
	doc  oci.Document
	err  error
}

// Keep stores a document that will be needed. It is not dropped.
func (k *Documents) Keep(doc oci.Document) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.store(doc)
}

// store stores a document. It reports whether the document was not there. The caller holds k.mu.
func (k *Documents) store(doc oci.Document) bool {
	if k.all == nil {
		k.all = map[oci.Digest]oci.Document{}
	}
	_, have := k.all[doc.Digest]
	k.all[doc.Digest] = doc
	return !have
}

// remember stores a document that was read, and drops others for it. The caller holds k.mu.
func (k *Documents) remember(doc oci.Document) {
	if len(doc.Raw) > maxKept || !k.store(doc) {
		return
	}
	k.order = append(k.order, doc.Digest)
	for k.bytes += len(doc.Raw); k.bytes > maxKept; k.order = k.order[1:] {
		k.bytes -= len(k.all[k.order[0]].Raw)
		delete(k.all, k.order[0])
	}
}

// Read returns the document with the digest d. It reads the document from its source if nobody has
// read it yet. If somebody is reading it, Read waits for that. An error of that read counts for all
// who wait for the same repository.
func (k *Documents) Read(ctx context.Context, from Source, d oci.Digest) (oci.Document, error) {
	if k == nil {
		return from.Document(ctx, string(d))
	}
	for {
		doc, other, mine := k.claim(from.Repo(), d)
		switch {
		case mine != nil:
			mine.doc, mine.err = from.Document(ctx, string(d))
			k.ended(d, mine)
			return mine.doc, mine.err
		case other == nil:
			return doc, nil
		}
		select {
		case <-other.done:
		case <-ctx.Done():
			return oci.Document{}, context.Cause(ctx)
		}
		if other.err == nil || other.from == from.Repo() && !fault.Is(other.err, fault.Canceled) {
			return other.doc, other.err
		}
	}
}

// claim returns the document, or the read in progress of another caller, or a new read that the
// caller has to do.
func (k *Documents) claim(from ref.Repo, d oci.Digest) (doc oci.Document, other, mine *reading) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if doc, have := k.all[d]; have {
		return doc, nil, nil
	}
	if other := k.reading[d]; other != nil {
		return oci.Document{}, other, nil
	}
	if k.reading == nil {
		k.reading = map[oci.Digest]*reading{}
	}
	mine = &reading{from: from, done: make(chan struct{})}
	k.reading[d] = mine
	return oci.Document{}, nil, mine
}

// ended tells those who wait how a read ended.
func (k *Documents) ended(d oci.Digest, r *reading) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.reading, d)
	if r.err == nil {
		k.remember(r.doc)
	}
	close(r.done)
}
