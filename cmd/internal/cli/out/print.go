package out

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"

	"github.com/drayage/dray/cmd/internal/cli/query"
	"github.com/drayage/dray/plan"
)

// Answer is what a command prints on stdout: one value, with a function for each format.
type Answer struct {
	JSON   func() error
	Text   func() error
	Header []string                              // of a table
	Rows   func(row func(...string) error) error // calls row for each row of the formats table and tsv
}

// Print writes the answer in the format of --output, or what a query finds in its JSON.
func (c *Console) Print(x Answer) error {
	if c.Search != nil || c.Format == FormatYAML {
		return c.printFound(x.JSON)
	}
	switch c.Format {
	case FormatJSON:
		return x.JSON()
	case FormatTable:
		return c.table(x)
	case FormatTSV:
		return x.Rows(c.PrintRow)
	case FormatNone:
		return nil
	}
	return x.Text()
}

// printFound prints in the formats of az what the query finds in the answer that printJSON prints.
func (c *Console) printFound(printJSON func() error) error {
	w := c.Out
	var b bytes.Buffer
	c.Out = &b
	err := printJSON()
	c.Out = w
	if err != nil {
		return err
	}
	v, err := query.Decode(b.Bytes())
	if err != nil {
		return err
	}
	return c.PrintFound(c.Format, c.Search, v)
}

func (c *Console) table(x Answer) error {
	tab := c.NewTab()
	tab.Add(x.Header...)
	if err := x.Rows(tab.Row); err != nil {
		return err
	}
	return tab.Flush()
}

// PrintList prints all, one per line; in JSON they are an array under name. The format text is the same as
// table, but prints no header for an empty list.
func PrintList[T any](c *Console, all []T, name string, header []string, cells func(T) []string) error {
	x := Answer{
		JSON:   func() error { return c.PrintJSON(map[string][]T{name: append([]T{}, all...)}) },
		Header: header,
		Rows: func(row func(...string) error) error {
			for _, one := range all {
				if err := row(cells(one)...); err != nil {
					return err
				}
			}
			return nil
		},
	}
	x.Text = func() error {
		if len(all) == 0 {
			return nil
		}
		return c.table(x)
	}
	return c.Print(x)
}

// PrintJSON writes v as the answer of a command.
func (c *Console) PrintJSON(v any) error { return WriteJSON(c.Out, v) }

// WriteJSON writes v as indented JSON.
func WriteJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// WithDigest returns "HOST/REPO:TAG@DIGEST"; name may have a digest already.
func WithDigest(name, digest string) string {
	if digest == "" || strings.Contains(name, "@") {
		return name
	}
	return name + "@" + digest
}

// TargetName returns the name of a step's target. A target without a tag has its digest in the name.
func TargetName(s plan.Step) string {
	if s.To.Tag == "" && s.Digest() != "" {
		return s.To.Repo.At(string(s.Digest())).String()
	}
	return s.To.Repo.Tagged(s.To.Tag).String()
}
