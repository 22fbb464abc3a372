package out

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// Console is where a command answers and tells, and how.
type Console struct {
	Out, Err io.Writer
	Terminal bool // Err is one: bars can be drawn
	How
	*Relay
}

// How says what stdout and stderr get.
type How struct {
	Format     Format
	Quiet      bool
	Verbose    bool
	Debug      bool
	NoProgress bool
}

// Format is the value of --output. az's spellings are all taken.
type Format string

const (
	FormatText  Format = "text"
	FormatJSON  Format = "json"
	FormatTable Format = "table"
	FormatTSV   Format = "tsv"
	FormatNone  Format = "none"
)

var formats = []Format{FormatText, FormatJSON, FormatTable, FormatTSV, FormatNone}

func (f *Format) String() string { return string(*f) }

func (f *Format) Type() string { return "text|json|table|tsv|none" }

func (f *Format) Set(s string) error {
	if !slices.Contains(formats, Format(s)) {
		return errors.New("not one of " + f.Type())
	}
	*f = Format(s)
	return nil
}

// Fail writes err as one line.
func (c *Console) Fail(err error) { fmt.Fprintln(c.Err, ErrorLine(err)) }

// Warn writes a line that is no error.
func (c *Console) Warn(format string, args ...any) {
	fmt.Fprintln(c.Err, "dray: "+OneLine(fmt.Sprintf(format, args...)))
}

// PrintWord tells on stderr that something was done to id; stdout has no answer.
func (c *Console) PrintWord(done, id string) {
	if !c.Quiet {
		c.Warn("%s %s", done, id)
	}
}
