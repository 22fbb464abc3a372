package out

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/drayage/dray/plan"
)

// Answer is what a command prints on stdout, in each format from the same value.
type Answer struct {
	JSON   func() error
	Text   func() error
	Header []string                              // of a table
	Rows   func(row func(...string) error) error // of table and tsv, one after the other
}

// Print writes the answer in the format that was asked for.
func (c *Console) Print(x Answer) error {
	switch c.Format {
	case FormatJSON:
		return x.JSON()
	case FormatTable:
		return table(c.Out, x)
	case FormatTSV:
		return x.Rows(func(cells ...string) error {
			_, err := fmt.Fprintln(c.Out, strings.Join(cells, "\t"))
			return err
		})
	case FormatNone:
		return nil
	}
	return x.Text()
}

func table(w io.Writer, x Answer) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) error {
		_, err := fmt.Fprintln(tab, strings.Join(cells, "\t"))
		return err
	}
	if err := row(x.Header...); err != nil {
		return err
	}
	if err := x.Rows(row); err != nil {
		return err
	}
	return tab.Flush()
}

// PrintList prints all, a line each. What people read is the table; without lines there is none.
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
		return table(c.Out, x)
	}
	return c.Print(x)
}

// PrintJSON writes v as the one answer of a command.
func (c *Console) PrintJSON(v any) error { return WriteJSON(c.Out, v) }

// WriteJSON writes v on lines of its own, for people and programs.
func WriteJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// WithDigest writes "HOST/REPO:TAG@DIGEST".
func WithDigest(name, digest string) string {
	if digest == "" || strings.Contains(name, "@") {
		return name
	}
	return name + "@" + digest
}

// TargetName is what a step's target is called; without a tag, by its digest.
func TargetName(s plan.Step) string {
	if s.To.Tag == "" && s.Digest() != "" {
		return s.To.Repo.At(string(s.Digest())).String()
	}
	return s.To.Repo.Tagged(s.To.Tag).String()
}
