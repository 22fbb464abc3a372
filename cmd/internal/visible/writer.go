package visible

import (
	"bytes"
	"io"
	"sync"
	"unicode/utf8"
)

// Writer passes on what is written to it, with the hidden characters but tabs and line ends as escapes. In valid JSON
// these are only within strings, so that it stays the same JSON. It is safe for concurrent use.
type Writer struct {
	to io.Writer

	mu   sync.Mutex
	part []byte // the beginning of a character, whose rest has not come yet
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

// Write writes p. If the last character of p is not whole, its bytes wait for the next call, or for Flush.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := p
	if len(w.part) > 0 {
		all = append(bytes.Clone(w.part), p...)
		w.part = nil
	}
	whole := len(all) - unfinished(all)
	w.part = append(w.part, all[whole:]...)
	shown := all[:whole]
	if len(shown) == 0 {
		return len(p), nil
	}
	if !isPlain(shown, "\n\t") {
		shown = []byte(Text(string(shown)))
	}
	if _, err := w.to.Write(shown); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes the beginning of a character whose rest did not come.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := w.part
	w.part = nil
	if len(rest) == 0 {
		return nil // even an empty write may wait for a reader
	}
	_, err := io.WriteString(w.to, Text(string(rest)))
	return err
}

// Under returns the stream under w if it is a Writer, else w. It is for progress bars, which move the cursor, and
// escape what they show themselves.
func Under(w io.Writer) io.Writer {
	if v, ok := w.(*Writer); ok {
		return v.to
	}
	return w
}

// unfinished returns how many bytes at the end of p begin a character that is not whole.
func unfinished(p []byte) int {
	for n := 1; n < min(utf8.UTFMax, len(p)+1); n++ {
		last := p[len(p)-n:]
		if utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}
