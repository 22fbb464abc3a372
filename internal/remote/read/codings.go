package read

import (
	"strings"
	"sync"

	"github.com/drayage/dray/oci"
)

// codings remembers how to read blobs of which it is unknown whether they are compressed once more
// for the transfer: as they are, or decoded. The zero value remembers nothing.
type codings struct {
	mu    sync.Mutex
	blobs map[oci.Digest]bool // whether this blob is read as it is, after it was misread
	kinds map[bool]bool       // the same for blobs that are stored compressed, or that are not
}

// asIs reports whether the bytes of d are to be used without decoding. At first this holds for blobs
// whose media type says that they are stored compressed.
func (c *codings) asIs(d oci.Descriptor) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if asIs, known := c.blobs[d.Digest]; known {
		return asIs
	}
	if asIs, known := c.kinds[compressed(d)]; known {
		return asIs
	}
	return compressed(d)
}

// misread records that reading d as it is, or decoded, gave other bytes.
func (c *codings) misread(d oci.Descriptor, asIs bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blobs == nil {
		c.blobs, c.kinds = map[oci.Digest]bool{}, map[bool]bool{}
	}
	c.blobs[d.Digest], c.kinds[compressed(d)] = !asIs, !asIs
}

// compressed reports whether the media type of d says that its stored bytes are compressed.
func compressed(d oci.Descriptor) bool {
	return strings.Contains(d.MediaType, "gzip") || strings.Contains(d.MediaType, "zstd")
}
