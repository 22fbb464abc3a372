package plan

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Write writes p as JSON Lines: a header, one line for each step, and the [End]. Equal plans give equal
// bytes.
func (p Plan) Write(w io.Writer) error {
	out, err := NewWriter(w, p)
	if err != nil {
		return err
	}
	for _, s := range p.Steps {
		if err := out.Step(s); err != nil {
			return err
		}
	}
	return out.Close()
}

// Read reads a plan that [Plan.Write] wrote. The error is [fault.Invalid] and names the line: it is not a
// step, it has an unknown field or a name that cannot be parsed, or the End is missing.
func Read(r io.Reader) (Plan, error) {
	in, err := NewReader(r)
	if err != nil {
		return Plan{}, err
	}
	p := in.Header()
	for {
		s, err := in.Next()
		if errors.Is(err, io.EOF) {
			return p, nil
		}
		if err != nil {
			return Plan{}, err
		}
		p.Steps = append(p.Steps, s)
	}
}

// String returns the plan for a person, step by step; see [Step.Lines].
func (p Plan) String() string {
	var b strings.Builder
	for _, s := range p.Steps {
		for _, line := range s.Lines() {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// End is the last line of a plan file. If it is missing, the file was cut off, or the plan could not be
// completed.
const End = `{"end":true}`

// Writer writes a plan step by step in the form of [Plan.Write], so that the plan can be larger than memory.
// Call Close after the last step. A Writer is not safe for concurrent use.
type Writer struct {
	out *bufio.Writer
	enc *json.Encoder
}

// NewWriter returns a Writer to w and writes the header of p. It ignores p.Steps.
func NewWriter(w io.Writer, p Plan) (*Writer, error) {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return &Writer{out, enc}, enc.Encode(header{version, p.Verb, p.Overwrite, p.Hold, p.Backup, p.Referrers, p.Platforms,
		p.Notes})
}

// Step writes one step.
func (w *Writer) Step(s Step) error { return w.enc.Encode(s) }

// Flush writes the buffered lines. It does not write the End, so a file that ends there is not complete.
func (w *Writer) Flush() error { return w.out.Flush() }

// Close writes the End and the buffered lines. It does not close the underlying writer.
func (w *Writer) Close() error {
	if _, err := w.out.WriteString(End + "\n"); err != nil {
		return err
	}
	return w.out.Flush()
}

// Reader reads a plan file step by step, one line at a time. It is not safe for concurrent use.
type Reader struct {
	head  Plan
	lines *bufio.Scanner
	line  int  // number of the last line that was read
	ended bool // the End was read
}

// NewReader returns a Reader from r and reads the header. The error is [fault.Invalid].
func NewReader(r io.Reader) (*Reader, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	in := &Reader{lines: lines}
	raw, err := in.next()
	if errors.Is(err, io.EOF) {
		return nil, badLine(1, errors.New("the file is empty"))
	}
	if err != nil {
		return nil, err
	}
	if err := in.head.readHeader(raw); err != nil {
		return nil, badLine(1, err)
	}
	return in, nil
}

// Header returns the plan without its steps.
func (r *Reader) Header() Plan { return r.head }

// Next returns the next step. After the last step the error is [io.EOF]. Any other error is
// [fault.Invalid] and names the line.
func (r *Reader) Next() (Step, error) {
	raw, err := r.next()
	switch {
	case errors.Is(err, io.EOF) && !r.ended:
		return Step{}, badLine(r.line, errors.New("the plan is not complete: its last line is missing"))
	case err != nil:
		return Step{}, err
	case r.ended:
		return Step{}, badLine(r.line, errors.New("there is text after the end of the plan"))
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

// version is the version of the file format. A Reader refuses any other.
const version = 1

// maxLine is the maximum length of a line of a plan file in bytes. A step may list thousands of referrers.
const maxLine = 16 << 20

// header is the first line of a plan file.
type header struct {
	Version   int       `json:"plan"`
	Verb      string    `json:"verb"`
	Overwrite Overwrite `json:"overwrite"`
	Hold      Hold      `json:"hold,omitempty"`
	Backup    Backup    `json:"backup,omitzero"`
	Referrers Referrers `json:"referrers,omitzero"`
	Platforms Platforms `json:"platforms,omitzero"`
	Notes     []string  `json:"notes,omitempty"`
}

func (p *Plan) readHeader(line []byte) error {
	var h header
	if err := strict(line, &h, "plan"); err != nil {
		return err
	}
	if h.Version == 0 {
		return errors.New("not a plan of dray")
	}
	if h.Version != version {
		return fmt.Errorf("a plan of version %d; this dray reads version %d", h.Version, version)
	}
	p.Verb, p.Overwrite, p.Hold, p.Notes = h.Verb, h.Overwrite, h.Hold, h.Notes
	p.Backup, p.Referrers, p.Platforms = h.Backup, h.Referrers, h.Platforms
	if !p.Overwrite.known() || p.Verb == "" {
		return fmt.Errorf("not a plan of dray: verb %q, overwrite %q", p.Verb, p.Overwrite)
	}
	if !slices.Contains([]Hold{"", Each, All}, p.Hold) {
		return fmt.Errorf("unknown hold %q", p.Hold)
	}
	return cmp.Or(p.Backup.Check(), p.Referrers.Check(), p.Platforms.Check())
}

func (p *Plan) readStep(line []byte) error {
	var s Step
	if err := strict(line, &s, "step"); err != nil {
		return err
	}
	if !slices.Contains([]Action{Copy, Replace, Retag, Skip, Conflict, Broken, Refused}, s.Action) {
		return fmt.Errorf("unknown action %q", s.Action)
	}
	switch {
	case s.Impossible() && s.Problem == nil:
		return errors.New("a step that is broken or refused needs a problem")
	case s.Action != Broken && (s.From.Digest == "" || s.To.Repo == (ref.Repo{})):
		return errors.New("a step needs a source with its digest and a target")
	}
	if s.Overwrite != "" && !s.Overwrite.known() {
		return fmt.Errorf("unknown overwrite %q", s.Overwrite)
	}
	if s.Size < 0 || s.Size > oci.MaxDocument {
		return fmt.Errorf("size %d is out of range", s.Size)
	}
	if !s.Keeps.known() || s.Keeps != "" && (s.Action != Skip || s.Replaces == "" || s.To.Tag == "") {
		return fmt.Errorf("a step that keeps %q needs the action skip and a tag that is there", s.Keeps)
	}
	if err := cmp.Or(s.Trim.check(), s.Own.Check()); err != nil {
		return err
	}
	if s.Replaces != "" {
		if err := ref.Digest(string(s.Replaces)); err != nil {
			return err
		}
	}
	if s.Locks != (oci.Locks{}) && (s.To.Tag == "" || s.To.IsLayout()) {
		return errors.New("only a tag of a registry can be locked")
	}
	for _, r := range s.Referrers {
		if err := r.check(); err != nil {
			return err
		}
	}
	if s.Backup != "" {
		if err := ref.Tag(s.Backup); err != nil {
			return err
		}
		if s.Replaces == "" || s.To.Tag == "" || s.Backup == s.To.Tag {
			return errors.New("a backup needs a tag that is replaced, and a name that differs from it")
		}
	}
	p.Steps = append(p.Steps, s)
	return nil
}

func badLine(n int, err error) error {
	return invalid("read plan", fmt.Sprintf("line %d", n), err, "make the plan again, with --dry-run -o json")
}
