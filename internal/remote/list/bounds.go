package list

import (
	"fmt"
	"hash/maphash"
	"io"
	"sync"

	"github.com/drayage/dray/fault"
)

const (
	maxDepth  = 64      // arrays and objects inside each other
	maxText   = 1 << 20 // bytes of one string, one number, or the space between them
	maxEntry  = 4 << 20 // bytes of one entry of a list
	maxValues = 4 << 20 // strings, arrays and objects in a page
	maxName   = 256     // bytes of a name that are kept; no valid name is so long
)

// bounded passes a page on while it has the measure of a list. json.Decoder keeps every bracket that is open,
// every string and every entry in memory, so bounded fails before the decoder sees them.
type bounded struct {
	from io.Reader

	depth, values int
	quoted        bool // inside a string
	escaped       bool // after a backslash in a string
	text          int  // bytes since the last sign that ends a string, a number or a space
	entry         int  // bytes since the entry of the list began
	err           error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.from.Read(p)
	for _, c := range p[:n] {
		b.sign(c)
	}
	switch {
	case b.depth > maxDepth:
		b.err = fmt.Errorf("arrays and objects are nested deeper than %d levels", maxDepth)
	case b.text > maxText:
		b.err = fmt.Errorf("a string is longer than %d bytes", maxText)
	case b.entry > maxEntry:
		b.err = fmt.Errorf("an entry is longer than %d bytes", maxEntry)
	case b.values > maxValues:
		b.err = fmt.Errorf("more than %d values in a page", maxValues)
	default:
		return n, err
	}
	return 0, b.err
}

// sign counts one byte. The entries of a list are at the second level: in {"tags": [ … ]}.
func (b *bounded) sign(c byte) {
	b.text++
	b.entry++
	switch {
	case b.escaped:
		b.escaped = false
		return
	case b.quoted && c == '\\':
		b.escaped = true
		return
	case c == '"':
		b.quoted = !b.quoted
	case b.quoted:
		return
	case c == '[', c == '{':
		b.depth++
		b.values++
	case c == ']', c == '}':
		b.depth--
	case c == ',':
		b.values++
	case c != ':':
		return
	}
	b.text = 0
	if b.depth <= 2 && !b.quoted {
		b.entry = 0
	}
}

// Names is the memory that all lists of a process take together for the names that they have shown. The zero
// value is empty and ready. It is safe for concurrent use.
type Names struct {
	mu   sync.Mutex
	held int
}

const (
	maxHeld  = 256 << 20 // bytes of all lists that are read at the same time: a million short names
	freely   = 16 << 20  // bytes that each list may take, however much the others have
	perEntry = 256       // bytes that a name takes besides its letters, here and where it is planned
)

// share is what one list takes of Names.
type share struct {
	of   *Names
	held int
}

// take adds a name of n bytes. The error says that there is no room for it. It has no name.
func (s *share) take(n int) error {
	n += perEntry
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if s.held+n > freely && s.of.held+n > maxHeld {
		return &fault.Fault{
			Kind: fault.TooLarge,
			Hint: "name the repositories and tags, or list fewer repositories at a time",
			Err:  fmt.Errorf("the lists that are read at this time need more than %d MiB of memory", maxHeld>>20),
		}
	}
	s.held += n
	s.of.held += n
	return nil
}

// leave gives back what the list took.
func (s *share) leave() {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.held -= s.held
	s.held = 0
}

// marks remembers which strings it was given, in a few bytes for each, whatever their length. Two strings may be
// taken for one, which is very unlikely.
type marks struct {
	seed maphash.Seed
	seen map[uint64]struct{}
}

func newMarks() *marks { return &marks{maphash.MakeSeed(), map[uint64]struct{}{}} }

// add reports whether s is new.
func (m *marks) add(s string) bool {
	sum := maphash.String(m.seed, s)
	_, had := m.seen[sum]
	m.seen[sum] = struct{}{}
	return !had
}

// names remembers tags like marks, in twice the bytes: a list never shows two tags of which it takes one for the other.
type names struct {
	one, two maphash.Seed
	seen     map[[2]uint64]struct{}
}

func newNames() *names {
	return &names{maphash.MakeSeed(), maphash.MakeSeed(), map[[2]uint64]struct{}{}}
}

func (n *names) sum(s string) [2]uint64 {
	return [2]uint64{maphash.String(n.one, s), maphash.String(n.two, s)}
}

func (n *names) has(s string) bool { _, has := n.seen[n.sum(s)]; return has }

func (n *names) add(s string) { n.seen[n.sum(s)] = struct{}{} }

// clip returns a name that is longer than any valid one as a shorter one that is not valid either.
func clip(name string) string {
	if len(name) <= maxName {
		return name
	}
	return string([]byte(name[:maxName])) // a copy: it does not keep the rest in memory
}
