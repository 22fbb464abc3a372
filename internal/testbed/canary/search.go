package canary

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"sync"
	"testing"
)

// shapes are secrets that cannot contain Word, because a program makes them: tokens of dray, and signatures in the
// addresses of object stores. Each begins with a text that is searched for first, since that is fast.
var shapes = []struct {
	name, begins string
	whole        *regexp.Regexp
}{
	{"a token of dray", "dray_", regexp.MustCompile(`dray_[a-z2-7]{10}_[a-z2-7]{59}`)},
	{"the signature of an address", "X-Amz-Signature=", regexp.MustCompile(`X-Amz-Signature=[0-9a-f]{64}`)},
	{"the signature of an address", "X-Goog-Signature=", regexp.MustCompile(`X-Goog-Signature=[0-9a-f]{64}`)},
	{"the signature of an address", "sig=", regexp.MustCompile(`[?&]sig=[A-Za-z0-9%+/_-]{40}`)},
}

// Search returns the secrets in some data, one of each form.
func Search(data []byte) []Finding {
	var found []Finding
	for _, m := range marks() {
		if at := bytes.Index(data, []byte(m.text)); at >= 0 {
			found = append(found, Finding{m.name, around(data, at, at+len(m.text))})
		}
	}
	for _, s := range shapes {
		if !bytes.Contains(data, []byte(s.begins)) {
			continue
		}
		if at := s.whole.FindIndex(data); at != nil {
			found = append(found, Finding{s.name, around(data, at[0], at[1])})
		}
	}
	return found
}

// around returns data from begin to end with some of what is before and after.
func around(data []byte, begin, end int) string {
	return string(data[max(0, begin-60):min(len(data), end+30)])
}

// overlap is more than the longest secret, so that one that two pieces of a stream share is found.
const overlap = 256

// searchStream searches a stream piece by piece, up to limit bytes.
func searchStream(r io.Reader, limit int64) ([]Finding, error) {
	r = io.LimitReader(r, limit)
	seen := map[string]bool{}
	var all []Finding
	piece := make([]byte, 0, 1<<20+overlap)
	for {
		n, err := io.ReadFull(r, piece[len(piece):cap(piece)])
		piece = piece[:len(piece)+n]
		for _, f := range Search(piece) {
			if !seen[f.Form] {
				seen[f.Form] = true
				all = append(all, f)
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		piece = append(piece[:0], piece[len(piece)-overlap:]...)
	}
}

// Tap passes everything on and searches it. It is safe for concurrent use.
type Tap struct {
	To io.Writer // nil drops what is written

	mu    sync.Mutex
	tail  []byte
	found []Finding
}

// Write writes to To.
func (t *Tap) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := slices.Concat(t.tail, p)
	if len(t.found) == 0 {
		t.found = Search(text)
	}
	t.tail = text[max(0, len(text)-overlap):]
	if t.To == nil {
		return len(p), nil
	}
	return t.To.Write(p)
}

// Check fails the test, when it ends, if what was written contains a secret.
func (t *Tap) Check(tb testing.TB, what string) {
	tb.Helper()
	tb.Cleanup(func() {
		for _, f := range t.Found() {
			tb.Errorf("%s: %s", what, f)
		}
	})
}

// Found returns what the first write that contained a secret contained.
func (t *Tap) Found() []Finding {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.found
}
