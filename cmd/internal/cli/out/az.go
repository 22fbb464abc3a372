package out

import (
	"fmt"
	"io"

	"github.com/drayage/dray/cmd/internal/cli/query"
	"github.com/drayage/dray/fault"
)

// AzList prints a list item by item, in the formats of az.
type AzList struct {
	c      *Console
	format Format
	search *query.Query
	kept   []any // items that are printed at the end, since a table or a query needs all of them
	Shown  int
}

// NewAzList begins a list.
func (c *Console) NewAzList(as Format, search *query.Query) *AzList {
	return &AzList{c: c, format: as, search: search, kept: []any{}}
}

// keeps reports whether the items are printed at the end.
func (l *AzList) keeps() bool {
	return l.search != nil || l.format == FormatTable || l.format == FormatYAML
}

// Show adds one item; text is its line in the format text.
func (l *AzList) Show(item any, text string) error {
	v, err := query.ValueOf(item)
	if err != nil {
		return err
	}
	l.Shown++
	switch {
	case l.keeps():
		l.kept = append(l.kept, v)
		return nil
	case l.format == FormatNone:
		return nil
	case l.format == FormatText:
		_, err = fmt.Fprintln(l.c.Out, OneLine(text))
		return err
	case l.format == FormatTSV:
		_, err = fmt.Fprintln(l.c.Out, azRow(v))
		return err
	}
	before := ",\n  "
	if l.Shown == 1 {
		before = "[\n  "
	}
	_, err = fmt.Fprintf(l.c.Out, "%s%s", before, azJSON(v, "  "))
	return err
}

// End prints the rest of the list. Do not call it if the list broke off, so that half a list is not valid
// JSON.
func (l *AzList) End() error {
	if l.keeps() {
		return l.c.PrintFound(l.format, l.search, l.kept)
	}
	if l.format != FormatJSON {
		return nil
	}
	ending := "\n]\n"
	if l.Shown == 0 {
		ending = "[]\n"
	}
	_, err := io.WriteString(l.c.Out, ending)
	return err
}

// PrintAz prints one value, or what a query finds in it. If the query finds nothing, it prints nothing, and a
// note on stderr says which key nothing has.
func (c *Console) PrintAz(as Format, search *query.Query, value any) error {
	v, err := query.ValueOf(value)
	if err != nil {
		return err
	}
	return c.PrintFound(as, search, v)
}

// PrintFound is PrintAz for a value of package query.
func (c *Console) PrintFound(as Format, search *query.Query, v any) error {
	keys := (*query.Object).Sorted
	if search != nil {
		answer, err := search.Search(v)
		if err != nil {
			return &fault.Fault{Kind: fault.Invalid, Op: "read", Name: "--query", Err: err}
		}
		if answer.Note != "" && !c.Quiet {
			c.Warnf("note: --query: %s", answer.Note)
		}
		v, keys = answer.Value, (*query.Object).Keys
	}
	if v == nil || as == FormatNone {
		return nil
	}
	rows, many := v.([]any)
	if !many {
		rows = []any{v}
	}
	var err error
	switch as {
	case FormatJSON:
		_, err = fmt.Fprintln(c.Out, azJSON(v, ""))
		return err
	case FormatYAML:
		return azYAML(c.Out, v)
	case FormatTable:
		return azTable(c.Out, rows, keys)
	}
	for _, row := range rows {
		if _, err = fmt.Fprintln(c.Out, azRow(row)); err != nil {
			return err
		}
	}
	return nil
}
