package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// version is the version of the file form. A reader refuses any other.
const version = 1

// maxLine is the longest line of a plan file, in bytes.
const maxLine = 1 << 20

// header is the first line of a plan file.
type header struct {
	Version   int       `json:"plan"`
	Verb      string    `json:"verb"`
	Overwrite Overwrite `json:"overwrite"`
	Hold      Hold      `json:"hold,omitempty"`
	Backup    Backup    `json:"backup,omitzero"`
	Notes     []string  `json:"notes,omitempty"`
}

// Write writes p as JSON Lines: a header, then one line a step. Equal plans give equal bytes.
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

// Read reads what Write wrote. A line that is not a step, an unknown field or a name that
// is no name is Invalid, with its line number.
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

func (p *Plan) readHeader(line []byte) error {
	var h header
	if err := strict(line, &h); err != nil {
		return err
	}
	if h.Version != version {
		return fmt.Errorf("a plan of version %d; this dray reads version %d", h.Version, version)
	}
	p.Verb, p.Overwrite, p.Hold, p.Backup, p.Notes = h.Verb, h.Overwrite, h.Hold, h.Backup, h.Notes
	if !p.Overwrite.known() || p.Verb == "" {
		return fmt.Errorf("not a plan: verb %q, overwrite %q", p.Verb, p.Overwrite)
	}
	if !slices.Contains([]Hold{"", Each, All}, p.Hold) {
		return fmt.Errorf("unknown hold %q", p.Hold)
	}
	return p.Backup.Check()
}

func (p *Plan) readStep(line []byte) error {
	var s Step
	if err := strict(line, &s); err != nil {
		return err
	}
	if !slices.Contains([]Action{Copy, Replace, Retag, Skip, Conflict, Broken}, s.Action) {
		return fmt.Errorf("unknown action %q", s.Action)
	}
	switch {
	case s.Action == Broken && s.Problem == nil:
		return errors.New("a broken step needs its problem")
	case s.Action != Broken && (s.From.Digest == "" || s.To.Repo == (ref.Repo{})):
		return errors.New("a step needs a source with its digest and a target")
	}
	if s.Overwrite != "" && !s.Overwrite.known() {
		return fmt.Errorf("unknown overwrite %q", s.Overwrite)
	}
	if s.Size < 0 || s.Size > oci.MaxDocument {
		return fmt.Errorf("size %d", s.Size)
	}
	if s.Replaces != "" {
		if err := ref.Digest(string(s.Replaces)); err != nil {
			return err
		}
	}
	if s.Locks != (oci.Locks{}) && (s.To.Tag == "" || s.To.IsLayout()) {
		return errors.New("only a tag of a registry can be locked")
	}
	if s.Backup != "" {
		if err := ref.Tag(s.Backup); err != nil {
			return err
		}
		if s.Replaces == "" || s.To.Tag == "" || s.Backup == s.To.Tag {
			return errors.New("a backup needs a tag that is replaced, and a name of its own")
		}
	}
	p.Steps = append(p.Steps, s)
	return nil
}

func strict(line []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("text after the object")
	}
	return nil
}

func badLine(n int, err error) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read plan", Name: fmt.Sprintf("line %d", n), Err: err}
}

// String says the plan to a person, a line a step.
func (p Plan) String() string {
	var b strings.Builder
	for _, s := range p.Steps {
		b.WriteString(s.Describe() + "\n")
	}
	return b.String()
}
