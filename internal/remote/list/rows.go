package list

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
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
	share *share
}

func (s *manifestSieve) show(rows []Manifest) (fresh int, err error) {
	for _, m := range rows {
		if m.Digest == "" || s.seen[m.Digest] {
			continue
		}
		if err := s.share.take(len(m.Digest)); err != nil {
			s.stop = named("list manifests of", s.name, err)
			return fresh, s.stop
		}
		s.seen[m.Digest] = true
		fresh++
		if s.stop = s.visit(m); s.stop != nil {
			return fresh, s.stop
		}
	}
	return fresh, nil
}

// named returns err, which share.take returned, with the operation and the name of a list.
func named(op, name string, err error) error {
	return (&wire.Call{Op: op, Name: name}).Named(err)
}

// sieve passes each valid tag to visit once.
type sieve struct {
	visit    func(oci.Listed) error
	seen     *names
	stop     error // what visit returned
	op, name string
	share    *share
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
		if s.seen.has(l.Tag) {
			continue
		}
		if err := s.share.take(len(l.Tag) + len(l.Descriptor.Digest)); err != nil {
			s.stop = named(s.op, s.name, err)
			return fresh, s.stop
		}
		s.seen.add(l.Tag)
		fresh++
		if s.stop = s.visit(l); s.stop != nil {
			return fresh, s.stop
		}
	}
	return fresh, nil
}

// oddities collects the entries of a list that are not valid names, and that the list leaves out.
type oddities struct {
	seen *marks
	some []string // the first ones, in their order
}

const (
	maxOdd   = 10_000 // names that are told apart
	maxNamed = 10     // names that an event has
)

// add reports whether it did not see the entry before.
func (o *oddities) add(name string) bool {
	if o.seen == nil {
		o.seen = newMarks()
	}
	if len(o.seen.seen) == maxOdd || !o.seen.add(name) {
		return false
	}
	if len(o.some) < maxNamed {
		o.some = append(o.some, fmt.Sprintf("%.60q", name))
	}
	return true
}

// tell reports what was left out of a list of what, such as "tags", in one event. Its Count is the
// number of entries.
func (o *oddities) tell(observe event.Watch, host, name, what string) {
	if o.seen == nil {
		return
	}
	n := len(o.seen.seen)
	named := slices.Clone(o.some)
	if more := n - len(named); more > 0 {
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
