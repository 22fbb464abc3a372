package out

import (
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
		return l.c.Println(OneLine(text))
	case l.format == FormatTSV:
		return l.c.PrintText(azRow(v) + "\n")
	}
	before := ",\n  "
	if l.Shown == 1 {
		before = "[\n  "
	}
	return l.c.PrintText(before + azJSON(v, "  "))
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
	return l.c.PrintText(ending)
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
	switch as {
	case FormatJSON:
		return c.PrintText(azJSON(v, "") + "\n")
	case FormatYAML:
		return azYAML(c.Out, v)
	case FormatTable:
		return azTable(c.Out, rows, keys)
	}
	for _, row := range rows {
		if err := c.PrintText(azRow(row) + "\n"); err != nil {
			return err
		}
	}
	return nil
}
