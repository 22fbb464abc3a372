package plan

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
)

// End is the last line of a plan file. A file without it was cut, or its plan could not be
// made whole.
const End = `{"end":true}`

// Writer writes a plan step by step in the form of Plan.Write, so that a plan may be
// longer than memory. Close it when the last step is written.
type Writer struct {
	out *bufio.Writer
	enc *json.Encoder
}

// NewWriter writes the header of p, whose Steps do not count.
func NewWriter(w io.Writer, p Plan) (*Writer, error) {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return &Writer{out, enc}, enc.Encode(header{version, p.Verb, p.Overwrite, p.Hold, p.Backup, p.Notes})
}

// Step writes one step.
func (w *Writer) Step(s Step) error { return w.enc.Encode(s) }

// Flush writes what is buffered. A file that ends there is no whole plan.
func (w *Writer) Flush() error { return w.out.Flush() }

// Close writes the End and what is buffered. It does not close the writer below.
func (w *Writer) Close() error {
	if _, err := w.out.WriteString(End + "\n"); err != nil {
		return err
	}
	return w.out.Flush()
}

// Reader reads a plan file step by step. It holds one line at a time.
type Reader struct {
	head  Plan
	lines *bufio.Scanner
	line  int  // number of the line read last
	ended bool // by the End
}

// NewReader reads the header. The error is Invalid.
func NewReader(r io.Reader) (*Reader, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	in := &Reader{lines: lines}
	raw, err := in.next()
	if errors.Is(err, io.EOF) {
		return nil, badLine(1, errors.New("empty"))
	}
	if err != nil {
		return nil, err
	}
	if err := in.head.readHeader(raw); err != nil {
		return nil, badLine(1, err)
	}
	return in, nil
}

// Header is the plan without its steps.
func (r *Reader) Header() Plan { return r.head }

// Next returns the next step, or io.EOF after the last. Any other error is Invalid and
// names the line.
func (r *Reader) Next() (Step, error) {
	raw, err := r.next()
	switch {
	case errors.Is(err, io.EOF) && !r.ended:
		return Step{}, badLine(r.line, errors.New("the plan is not whole: its last line is missing"))
	case err != nil:
		return Step{}, err
	case r.ended:
		return Step{}, badLine(r.line, errors.New("text after the end of the plan"))
	case string(raw) == End:
		r.ended = true
		return r.Next()
	}
	var p Plan
	if err := p.readStep(raw); err != nil {
		return Step{}, badLine(r.line, err)
	}
	return p.Steps[0], nil
}

func (r *Reader) next() ([]byte, error) {
	r.line++
	if r.lines.Scan() {
		return r.lines.Bytes(), nil
	}
	if err := r.lines.Err(); err != nil {
		return nil, badLine(r.line, err)
	}
	return nil, io.EOF
}
