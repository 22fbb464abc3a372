package read

import (
	"sync"

	"github.com/drayage/dray/oci"
)

// kept caches the documents that counted as pulls, so that no document is pulled twice.
type kept struct {
	mu    sync.Mutex
	docs  map[oci.Digest]oci.Document
	bytes int
}

// maxKept is the size limit of the documents that one Repository caches: 16 MiB.
const maxKept = 16 << 20

func (k *kept) get(d string) (oci.Document, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	doc, ok := k.docs[oci.Digest(d)]
	return doc, ok
}

func (k *kept) put(doc oci.Document) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.docs == nil {
		k.docs = map[oci.Digest]oci.Document{}
	}
	if _, have := k.docs[doc.Digest]; !have && k.bytes+len(doc.Raw) <= maxKept {
		k.docs[doc.Digest] = doc
		k.bytes += len(doc.Raw)
	}
}
