package list

import (
	"fmt"
	"strconv"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Manifest is one manifest or index of a repository, as a listing tells of it.
type Manifest struct {
	// Descriptor has the Digest always; the rest where the listing tells it. Size is that of the document.
	oci.Descriptor

	Tags    []string  // all that point to it
	Total   int64     // bytes of the image below it, as the registry counts them; 0 where that is not told
	Created time.Time // zero where that is not told
	Updated time.Time // zero where that is not told
}

// manifestSieve lets each manifest through once.
type manifestSieve struct {
	visit func(Manifest) error
	seen  map[oci.Digest]bool
	stop  error // what visit returned
	name  string
}

func (s *manifestSieve) show(rows []Manifest) (fresh int, err error) {
	for _, m := range rows {
		if m.Digest == "" || s.seen[m.Digest] {
			continue
		}
		if len(s.seen) == maxListed {
			return fresh, &fault.Fault{Kind: fault.TooLarge, Op: "list manifests of", Name: s.name, Err: fmt.Errorf("more than %d manifests", maxListed)}
		}
		s.seen[m.Digest] = true
		fresh++
		if s.stop = s.visit(m); s.stop != nil {
			return fresh, s.stop
		}
	}
	return fresh, nil
}

// maxListed is how many tags or manifests of one repository are listed.
const maxListed = 10 << 20

// sieve lets each valid tag through once.
type sieve struct {
	visit    func(oci.Listed) error
	seen     map[string]bool
	stop     error // what visit returned
	op, name string
}

func (s *sieve) ended() error { return s.stop }

// show visits what is new of rows.
func (s *sieve) show(rows []oci.Listed) (fresh int, err error) {
	for _, l := range rows {
		if ref.Tag(l.Tag) != nil || s.seen[l.Tag] {
			continue
		}
		if len(s.seen) == maxListed {
			return fresh, &fault.Fault{Kind: fault.TooLarge, Op: s.op, Name: s.name, Err: fmt.Errorf("more than %d tags", maxListed)}
		}
		s.seen[l.Tag] = true
		fresh++
		if s.stop = s.visit(l); s.stop != nil {
			return fresh, s.stop
		}
	}
	return fresh, nil
}

// moment reads a time as registries write it: RFC 3339, RFC 1123, or
// milliseconds in a text. What is none of these is no time.
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

// digestOf keeps a digest, and only that.
func digestOf(s string) oci.Digest {
	if ref.Digest(s) != nil {
		return ""
	}
	return oci.Digest(s)
}

// number reads a count of bytes out of a text; what is none is 0.
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
	return &oci.Platform{OS: wire.Clean(os), Architecture: wire.Clean(arch)}
}
