package listing

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/drayage/dray/oci"
)

// Times says whether a List keeps when tags were set.
type Times bool

// The Times of a List.
const (
	WithoutTimes Times = false
	WithTimes    Times = true
)

// List is a plan.Listing: after Sort, an index is the place of a tag in the order of names. Of a descriptor it keeps
// digest, media type and size. Reading is safe for concurrent use, and writing is not.
type List struct {
	times  Times
	chunks []*chunk
	added  int
	order  []uint32 // where the tags were added, in the order of names; nil is the order in which they were added
	types  []string
	typeAt map[string]uint16
	odd    map[uint32]oci.Descriptor // what does not fit into a chunk
}

// New returns an empty List.
func New(times Times) *List { return &List{times: times, typeAt: map[string]uint16{}} }

// Add adds a tag. The caller sorts the list after the last one.
func (l *List) Add(t oci.Listed) {
	at := l.added
	if at%perChunk == 0 {
		l.chunks = append(l.chunks, l.nextChunk())
	}
	l.added++
	c := l.chunks[at/perChunk]
	c.add(t.Tag)
	if t.Descriptor.Digest != "" {
		l.keep(at, t.Descriptor)
	}
	if l.times {
		c.setTime(at%perChunk, setAt(t), !t.Updated.IsZero())
	}
}

// nextChunk returns an empty chunk. If there are others, it takes as much memory as the one before.
func (l *List) nextChunk() *chunk {
	if len(l.chunks) == 0 {
		return &chunk{}
	}
	return like(l.chunks[len(l.chunks)-1])
}

func setAt(t oci.Listed) time.Time {
	if t.Updated.IsZero() {
		return t.Created
	}
	return t.Updated
}

// keep keeps the descriptor of the tag that was added at a place.
func (l *List) keep(at int, d oci.Descriptor) {
	sum, fits := sumOf(d.Digest)
	kind, fits2 := l.typeOf(d.MediaType)
	delete(l.odd, uint32(at)) //nolint:gosec // a place in a list
	if !fits || !fits2 {
		if l.odd == nil {
			l.odd = map[uint32]oci.Descriptor{}
		}
		d = oci.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
		l.odd[uint32(at)] = d //nolint:gosec // a place in a list
		return
	}
	l.chunks[at/perChunk].set(at%perChunk, sum, kind, d.Size)
}

// maxTypes is how many media types a list tells apart in two bytes.
const maxTypes = 1 << 12

func (l *List) typeOf(mediaType string) (kind uint16, fits bool) {
	if mediaType == "" {
		return 0, true
	}
	kind, known := l.typeAt[mediaType]
	if !known && len(l.types) < maxTypes {
		l.types = append(l.types, mediaType)
		kind, known = uint16(len(l.types)), true //nolint:gosec // at most maxTypes
		l.typeAt[mediaType] = kind
	}
	return kind, known
}

// Sort puts the list into the order of names. Of a tag that was added twice, it keeps the one that was set last.
func (l *List) Sort() {
	sorted := true
	for i := 1; i < l.added && sorted; i++ {
		sorted = l.tagAt(i-1) < l.tagAt(i)
	}
	if sorted {
		return
	}
	l.order = make([]uint32, l.added)
	for i := range l.order {
		l.order[i] = uint32(i)
	}
	slices.SortFunc(l.order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(l.tagAt(int(a)), l.tagAt(int(b))), l.later(int(a), int(b)))
	})
	l.order = slices.CompactFunc(l.order, func(a, b uint32) bool { return l.tagAt(int(a)) == l.tagAt(int(b)) })
}

// later puts the tag first that was set last. If both were set at one time, any rule does that gives equal lists
// equal results.
func (l *List) later(a, b int) int {
	x, y := l.descriptorAt(a), l.descriptorAt(b)
	return cmp.Or(l.timeAt(b).Compare(l.timeAt(a)), cmp.Compare(y.Digest, x.Digest), cmp.Compare(y.Size, x.Size),
		cmp.Compare(y.MediaType, x.MediaType))
}

// Drop takes the tags out of the sorted list for which gone returns true.
func (l *List) Drop(gone func(tag string) bool) {
	left := make([]uint32, 0, l.Len())
	for i := range l.Len() {
		if at := l.place(i); !gone(l.tagAt(at)) {
			left = append(left, uint32(at)) //nolint:gosec // a place in a list
		}
	}
	l.order = left
}

// Len returns how many tags there are.
func (l *List) Len() int {
	if l == nil {
		return 0
	}
	if l.order != nil {
		return len(l.order)
	}
	return l.added
}

func (l *List) place(i int) int {
	if l.order != nil {
		return int(l.order[i])
	}
	return i
}

// Tag returns the name of a tag.
func (l *List) Tag(i int) string { return l.tagAt(l.place(i)) }

func (l *List) tagAt(at int) string { return l.chunks[at/perChunk].tag(at % perChunk) }

// Known reports whether it is known what a tag points to.
func (l *List) Known(i int) bool {
	at := l.place(i)
	_, odd := l.odd[uint32(at)] //nolint:gosec // a place in a list
	return odd || l.chunks[at/perChunk].has(at%perChunk)
}

// Descriptor returns what a tag points to; the zero Descriptor if that is not known.
func (l *List) Descriptor(i int) oci.Descriptor { return l.descriptorAt(l.place(i)) }

func (l *List) descriptorAt(at int) oci.Descriptor {
	if d, odd := l.odd[uint32(at)]; odd { //nolint:gosec // a place in a list
		return d
	}
	sum, kind, size, known := l.chunks[at/perChunk].get(at % perChunk)
	if !known {
		return oci.Descriptor{}
	}
	d := oci.Descriptor{Digest: digestOf(sum), Size: size}
	if kind > 0 {
		d.MediaType = l.types[kind-1]
	}
	return d
}

// Set says what a tag points to.
func (l *List) Set(i int, d oci.Descriptor) { l.keep(l.place(i), d) }

// Compare compares the digests of two tags.
func (l *List) Compare(i, j int) int {
	a, b := l.place(i), l.place(j)
	if len(l.odd) > 0 {
		return cmp.Compare(l.descriptorAt(a).Digest, l.descriptorAt(b).Digest)
	}
	return l.chunks[a/perChunk].sum(a % perChunk).compare(l.chunks[b/perChunk].sum(b % perChunk))
}

// Time returns when a tag was set; zero if the list does not know it.
func (l *List) Time(i int) time.Time { return l.timeAt(l.place(i)) }

func (l *List) timeAt(at int) time.Time {
	t, _ := l.chunks[at/perChunk].time(at % perChunk)
	return t
}

// SetTime says when the image of a tag was made.
func (l *List) SetTime(i int, made time.Time) {
	at := l.place(i)
	l.chunks[at/perChunk].setTime(at%perChunk, made, false)
}

// At returns all that is known of a tag.
func (l *List) At(i int) oci.Listed {
	at := l.place(i)
	one := oci.Listed{Tag: l.tagAt(at), Descriptor: l.descriptorAt(at)}
	if t, updated := l.chunks[at/perChunk].time(at % perChunk); updated {
		one.Updated = t
	} else {
		one.Created = t
	}
	return one
}

// Get returns what a tag points to; the zero Descriptor if that is not known.
func (l *List) Get(tag string) (d oci.Descriptor, there bool) {
	i, there := l.Find(tag)
	if there {
		d = l.Descriptor(i)
	}
	return d, there
}

// Find returns the index of a tag in the sorted list.
func (l *List) Find(tag string) (i int, found bool) {
	return sort.Find(l.Len(), func(i int) int { return cmp.Compare(tag, l.Tag(i)) })
}
