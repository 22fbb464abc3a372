package list

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Manifest is one manifest or index of a repository, as a list describes it.
type Manifest struct {
	// Descriptor always has the Digest, and the other fields if the list has them. Size is the size
	// of the document.
	oci.Descriptor

	Tags    []string  // all tags that point to it
	Total   int64     // bytes of the image, as the registry counts them; 0 if unknown
	Created time.Time // zero if unknown
	Updated time.Time // zero if unknown
}

// manifestSieve passes each manifest to visit once.
type manifestSieve struct {
	visit func(Manifest) error
	seen  map[oci.Digest]bool
	stop  error // the error that visit returned
	name  string
}

func (s *manifestSieve) show(rows []Manifest) (fresh int, err error) {
	for _, m := range rows {
		if m.Digest == "" || s.seen[m.Digest] {
			continue
		}
		if len(s.seen) == maxListed {
			return fresh, &fault.Fault{
				Kind: fault.TooLarge,
				Op:   "list manifests of",
				Name: s.name,
				Err:  fmt.Errorf("more than %d manifests", maxListed),
			}
		}
		s.seen[m.Digest] = true
		fresh++
		if s.stop = s.visit(m); s.stop != nil {
			return fresh, s.stop
		}
	}
	return fresh, nil
}

// maxListed is the largest number of tags or manifests of one repository that are listed.
const maxListed = 10 << 20

// sieve passes each valid tag to visit once.
type sieve struct {
	visit    func(oci.Listed) error
	seen     map[string]bool
	stop     error // what visit returned
	op, name string
	odd      oddities
}

func (s *sieve) ended() error { return s.stop }

// show visits the tags of rows that are new, and returns their number.
func (s *sieve) show(rows []oci.Listed) (fresh int, err error) {
	for _, l := range rows {
		if ref.Tag(l.Tag) != nil {
			s.odd.add(l.Tag)
			continue
		}
		if s.seen[l.Tag] {
			continue
		}
		if len(s.seen) == maxListed {
			return fresh, &fault.Fault{
				Kind: fault.TooLarge,
				Op:   s.op,
				Name: s.name,
				Err:  fmt.Errorf("more than %d tags", maxListed),
			}
		}
		s.seen[l.Tag] = true
		fresh++
		if s.stop = s.visit(l); s.stop != nil {
			return fresh, s.stop
		}
	}
	return fresh, nil
}

// oddities collects the entries of a list that are not valid names, and that the list leaves out.
type oddities struct {
	seen map[string]bool
	some []string // the first ones, in their order
}

const (
	maxOdd   = 10_000 // names that are told apart
	maxNamed = 10     // names that an event has
)

// add reports whether it did not see the entry before.
func (o *oddities) add(name string) bool {
	if o.seen[name] || len(o.seen) == maxOdd {
		return false
	}
	if o.seen == nil {
		o.seen = map[string]bool{}
	}
	o.seen[name] = true
	if len(o.some) < maxNamed {
		o.some = append(o.some, fmt.Sprintf("%.60q", name))
	}
	return true
}

// tell reports what was left out of a list of what, such as "tags", in one event. Its Count is the
// number of entries.
func (o *oddities) tell(observe event.Watch, host, name, what string) {
	n := len(o.seen)
	if n == 0 {
		return
	}
	named := slices.Clone(o.some)
	if more := len(o.seen) - len(named); more > 0 {
		named = append(named, fmt.Sprintf("and %d more", more))
	}
	text := fmt.Sprintf("the list of %s of %s has entries that are not valid names, and dray leaves them out: %d: %s",
		what, name, n, strings.Join(named, ", "))
	observe.Tell(event.Event{Kind: event.Noted, Host: host, Name: name, Count: n, Text: text})
}

// moment parses a time as registries write it: RFC 3339, RFC 1123, or milliseconds in a string. It
// returns the zero time for anything else.
func moment(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, time.RFC1123Z, time.RFC1123} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil && ms > 0 {
		return time.UnixMilli(ms).UTC()
	}
	return time.Time{}
}

// digestOf returns s if it is a digest, and "" otherwise.
func digestOf(s string) oci.Digest {
	if ref.Digest(s) != nil {
		return ""
	}
	return oci.Digest(s)
}

// number parses a number of bytes. It returns 0 for anything else.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func platform(os, arch string) *oci.Platform {
	if os == "" && arch == "" {
		return nil
	}
	return &oci.Platform{OS: reason.Clean(os), Architecture: reason.Clean(arch)}
}
