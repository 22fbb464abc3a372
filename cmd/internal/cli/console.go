package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// console is where a command answers and tells, and how.
type console struct {
	out, err io.Writer
	terminal bool // err is one: bars can be drawn
	how
}

// how says what stdout and stderr get.
type how struct {
	format     format
	quiet      bool
	verbose    bool
	debug      bool
	noProgress bool
}

// format is the value of --output. az's spellings are all taken.
type format string

const (
	formatText  format = "text"
	formatJSON  format = "json"
	formatTable format = "table"
	formatTSV   format = "tsv"
	formatNone  format = "none"
)

var formats = []format{formatText, formatJSON, formatTable, formatTSV, formatNone}

func (f *format) String() string { return string(*f) }
func (f *format) Type() string   { return "text|json|table|tsv|none" }

func (f *format) Set(s string) error {
	if !slices.Contains(formats, format(s)) {
		return errors.New("not one of " + f.Type())
	}
	*f = format(s)
	return nil
}

// fail writes err as one line.
func (c *console) fail(err error) { fmt.Fprintln(c.err, errorLine(err)) }

// warn writes a line that is no error.
func (c *console) warn(format string, args ...any) {
	fmt.Fprintln(c.err, "dray: "+oneLine(fmt.Sprintf(format, args...)))
}

// printWord tells on stderr that something was done to id; stdout has no answer.
func (c *console) printWord(done, id string) {
	if !c.quiet {
		c.warn("%s %s", done, id)
	}
}
