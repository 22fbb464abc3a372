package listing

import (
	"bytes"
	"encoding/hex"
	"strings"
	"time"

	"github.com/drayage/dray/oci"
)

// perChunk is how many tags a chunk has. Adding to a list copies no more than one chunk.
const perChunk = 1024

// chunk keeps tags without a pointer for each, so that the garbage collector does not look at them one by one. What no
// tag has takes no memory.
type chunk struct {
	names   strings.Builder // one after another
	ends    []uint32        // where each name ends
	known   [perChunk / 64]uint64
	updated [perChunk / 64]uint64 // whose time is that of the tag, and not of the image
	sums    []sum
	types   []uint16
	sizes   []int64
	seconds []int64 // Unix time
	nanos   []uint32
}

// sum is a digest by SHA-256.
type sum [32]byte

func (s sum) compare(o sum) int { return bytes.Compare(s[:], o[:]) }

const sha256 = "sha256:"

// sumOf returns the sum of a digest. fits is false if it is of another algorithm.
func sumOf(d oci.Digest) (s sum, fits bool) {
	text, ours := strings.CutPrefix(string(d), sha256)
	if !ours || len(text) != 2*len(s) {
		return s, false
	}
	_, err := hex.Decode(s[:], []byte(text))
	return s, err == nil && strings.ToLower(text) == text
}

func digestOf(s sum) oci.Digest {
	var text [len(sha256) + 2*len(s)]byte
	copy(text[:], sha256)
	hex.Encode(text[len(sha256):], s[:])
	return oci.Digest(text[:])
}

// like returns an empty chunk with room for what a full one has.
func like(full *chunk) *chunk {
	c := &chunk{ends: make([]uint32, 0, perChunk)}
	c.names.Grow(full.names.Len() + full.names.Len()/16)
	if full.sums != nil {
		c.sums = make([]sum, 0, perChunk)
	}
	if full.types != nil {
		c.types = make([]uint16, 0, perChunk)
	}
	if full.sizes != nil {
		c.sizes = make([]int64, 0, perChunk)
	}
	if full.seconds != nil {
		c.seconds, c.nanos = make([]int64, 0, perChunk), make([]uint32, 0, perChunk)
	}
	return c
}

func (c *chunk) add(tag string) {
	c.names.WriteString(tag)
	c.ends = append(c.ends, uint32(c.names.Len())) //nolint:gosec // at most perChunk names
}

func (c *chunk) tag(i int) string {
	from := uint32(0)
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.names.String()[from:c.ends[i]]
}

func (c *chunk) has(i int) bool { return c.known[i/64]&(1<<(i%64)) != 0 }

func (c *chunk) set(i int, s sum, kind uint16, size int64) {
	c.known[i/64] |= 1 << (i % 64)
	c.sums = until(c.sums, i)
	c.sums[i] = s
	if kind > 0 || len(c.types) > i {
		c.types = until(c.types, i)
		c.types[i] = kind
	}
	if size != 0 || len(c.sizes) > i {
		c.sizes = until(c.sizes, i)
		c.sizes[i] = size
	}
}

func (c *chunk) get(i int) (s sum, kind uint16, size int64, known bool) {
	if !c.has(i) {
		return s, 0, 0, false
	}
	if i < len(c.types) {
		kind = c.types[i]
	}
	if i < len(c.sizes) {
		size = c.sizes[i]
	}
	return c.sums[i], kind, size, true
}

func (c *chunk) sum(i int) sum {
	if !c.has(i) {
		return sum{}
	}
	return c.sums[i]
}

func (c *chunk) setTime(i int, t time.Time, updated bool) {
	if t.IsZero() {
		return
	}
	zero := time.Time{}.Unix() // so that what was never set is zero
	c.seconds, c.nanos = until(c.seconds, i), until(c.nanos, i)
	c.seconds[i], c.nanos[i] = t.Unix()-zero, uint32(t.Nanosecond()) //nolint:gosec // below a billion
	if updated {
		c.updated[i/64] |= 1 << (i % 64)
	}
}

func (c *chunk) time(i int) (t time.Time, updated bool) {
	if i >= len(c.seconds) || c.seconds[i] == 0 && c.nanos[i] == 0 {
		return time.Time{}, false
	}
	return time.Unix(c.seconds[i]+time.Time{}.Unix(), int64(c.nanos[i])).UTC(), c.updated[i/64]&(1<<(i%64)) != 0
}

// until returns all with an element at i.
func until[T any](all []T, i int) []T {
	if i < len(all) {
		return all
	}
	return append(all, make([]T, i+1-len(all))...)
}
