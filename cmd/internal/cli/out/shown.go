package out

import (
	"fmt"
	"io"
	"reflect"
	"text/tabwriter"

	"github.com/drayage/dray/cmd/internal/visible"
)

// What a command prints for people goes through this file: values are escaped as they enter a line, so that a value
// cannot end its line, and the streams of a Console escape the rest. A test of package archtest holds the rooms of the
// command line to it.

// Sprintf is fmt.Sprintf, with each argument that is text on one line, and what is not seen in it escaped.
func Sprintf(format string, args ...any) string { return fmt.Sprintf(format, shown(args)...) }

// Printf writes on stdout what Sprintf returns.
func (c *Console) Printf(format string, args ...any) error {
	_, err := io.WriteString(c.Out, Sprintf(format, args...))
	return err
}

// Println writes a line on stdout, as fmt.Println does, with its arguments escaped as those of Sprintf.
func (c *Console) Println(args ...any) error {
	_, err := fmt.Fprintln(c.Out, shown(args)...)
	return err
}

// PrintText writes a text of several lines on stdout. Its lines are dray's own, and their values came through Sprintf.
func (c *Console) PrintText(text string) error {
	_, err := io.WriteString(c.Out, text)
	return err
}

// PrintExact writes raw on stdout, byte for byte, since it has a digest or a signature. On a terminal, what is not seen
// in it is escaped.
func (c *Console) PrintExact(raw []byte) error {
	_, err := c.exact().Write(raw)
	return err
}

// Flush writes what an output that broke off has left: the beginning of a character.
func (c *Console) Flush() {
	for _, w := range []io.Writer{c.Out, c.Err} {
		if v, ok := w.(*visible.Writer); ok {
			_ = v.Flush() // the write before it has failed, too, and its error was told
		}
	}
}

func (c *Console) exact() io.Writer {
	if c.OutTerminal {
		return c.Out
	}
	return visible.Under(c.Out)
}

// PrintRow writes a row of the format tsv on stdout.
func (c *Console) PrintRow(cells ...string) error { return writeCells(c.Out, cells) }

// Prompt writes a question to a person, or a line end, on stderr.
func (c *Console) Prompt(text string) {
	_, _ = io.WriteString(c.Err, text) // who does not see the question answers nothing
}

func shown(args []any) []any {
	all := make([]any, len(args))
	for i, a := range args {
		all[i] = a
		switch v := a.(type) {
		case nil:
		case error:
			all[i] = visible.Line(v.Error())
		case fmt.Stringer:
			all[i] = visible.Cell(v.String())
		default:
			if text := reflect.ValueOf(a); text.Kind() == reflect.String {
				all[i] = visible.Cell(text.String())
			}
		}
	}
	return all
}

// Tab writes columns of text with two blanks between them.
type Tab struct{ tab *tabwriter.Writer }

// NewTab returns a Tab that writes on stdout. Call Flush at the end.
func (c *Console) NewTab() Tab { return Tab{tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)} }

// Row adds a row. What is not seen in a cell is escaped.
func (t Tab) Row(cells ...string) error { return writeCells(t.tab, cells) }

// Add is Row; Flush returns its error.
func (t Tab) Add(cells ...string) { _ = t.Row(cells...) }

// Flush writes the rows since the last call. Each group of rows has its own widths.
func (t Tab) Flush() error { return t.tab.Flush() }

// writeCells writes cells with tabs between them.
func writeCells(w io.Writer, cells []string) error {
	line := make([]byte, 0, 128)
	for i, cell := range cells {
		if i > 0 {
			line = append(line, '\t')
		}
		line = append(line, visible.Cell(cell)...)
	}
	_, err := w.Write(append(line, '\n'))
	return err
}
