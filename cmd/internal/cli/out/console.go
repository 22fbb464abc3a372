package out

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/drayage/dray/cmd/internal/cli/query"
	"github.com/drayage/dray/event"
)

// Console holds the streams on which a command prints, and how it prints.
type Console struct {
	Out, Err    io.Writer // of a run, a visible.Writer, as the last guard; see shown.go
	OutTerminal bool      // whether Out is a terminal, so that even exact bytes are escaped
	Terminal    bool      // whether Err is a terminal, so that progress bars can be drawn
	How
	*Relay
}

// How holds the flags that say what is printed on stdout and stderr.
type How struct {
	Format     Format
	Quiet      bool
	Verbose    bool
	Debug      bool
	NoProgress bool
	Search     *query.Query // of a command whose answer is not one of az's; nil means no query
}

// Format is the value of --output. The names are those of az where az has the format.
type Format string

// These are the formats.
const (
	FormatText  Format = "text"
	FormatJSON  Format = "json"
	FormatTable Format = "table"
	FormatTSV   Format = "tsv"
	FormatYAML  Format = "yaml" // only of the commands that have --query
	FormatNone  Format = "none"
)

func (f *Format) String() string { return string(*f) }

// Type returns what the help shows as the value of the flag.
func (f *Format) Type() string { return "text|json|table|tsv|yaml|none" }

// Set reads the value of the flag. az's names of the formats with colors mean those without, because dray prints
// no colors.
func (f *Format) Set(s string) error {
	name := strings.ToLower(s)
	if name == "jsonc" || name == "yamlc" {
		name = strings.TrimSuffix(name, "c")
	}
	if !slices.Contains(strings.Split(f.Type(), "|"), name) {
		return errors.New("not one of " + f.Type())
	}
	*f = Format(name)
	return nil
}

// Fail writes err on stderr as one line.
func (c *Console) Fail(err error) { fmt.Fprintln(c.Err, ErrorLine(err)) }

// Warnf writes a line on stderr that is not an error.
func (c *Console) Warnf(format string, args ...any) {
	fmt.Fprintln(c.Err, "dray: "+OneLine(fmt.Sprintf(format, args...)))
}

// Note writes a note that has no Story to write it, unless --quiet is given. It is an event.Observer.
func (c *Console) Note(e event.Event) {
	if !c.Quiet && e.Kind == event.Noted {
		c.Warnf("note: %s", e.Text)
	}
}

// PrintWord writes on stderr what was done to id, such as "removed prod". There is no answer on stdout.
func (c *Console) PrintWord(done, id string) {
	if !c.Quiet {
		c.Warnf("%s %s", done, id)
	}
}
