package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/drayage/dray"
)

// answer is what a command prints on stdout, in each format from the same value.
type answer struct {
	json   func() error
	text   func() error
	header []string                              // of a table
	rows   func(row func(...string) error) error // of table and tsv, one after the other
}

func (c *console) print(x answer) error {
	switch c.format {
	case formatJSON:
		return x.json()
	case formatTable:
		return table(c.out, x)
	case formatTSV:
		return x.rows(func(cells ...string) error {
			_, err := fmt.Fprintln(c.out, strings.Join(cells, "\t"))
			return err
		})
	case formatNone:
		return nil
	}
	return x.text()
}

func table(w io.Writer, x answer) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) error {
		_, err := fmt.Fprintln(tab, strings.Join(cells, "\t"))
		return err
	}
	if err := row(x.header...); err != nil {
		return err
	}
	if err := x.rows(row); err != nil {
		return err
	}
	return tab.Flush()
}

// printList prints all, a line each. What people read is the table; without lines there is none.
func printList[T any](c *console, all []T, name string, header []string, cells func(T) []string) error {
	x := answer{
		json:   func() error { return c.printJSON(map[string][]T{name: append([]T{}, all...)}) },
		header: header,
		rows: func(row func(...string) error) error {
			for _, one := range all {
				if err := row(cells(one)...); err != nil {
					return err
				}
			}
			return nil
		},
	}
	x.text = func() error {
		if len(all) == 0 {
			return nil
		}
		return table(c.out, x)
	}
	return c.print(x)
}

// printJSON writes v as the one answer of a command.
func (c *console) printJSON(v any) error { return writeJSON(c.out, v) }

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// reportJSON is a dray.Report with the error that belongs to no step.
type reportJSON struct {
	dray.Report
	Error *dray.Problem `json:"error,omitempty"`
}

// printReport prints the targets that hold what they should, or the whole report as JSON.
func (a *app) printReport(r dray.Report, err error) error {
	good := func(each func(name string, s dray.StepReport) error) error {
		for _, s := range r.Steps {
			if s.State != dray.Done && s.State != dray.Unchanged {
				continue
			}
			if err := each(targetName(s.Step), s); err != nil {
				return err
			}
		}
		return nil
	}
	return a.print(answer{
		json: func() error {
			out := reportJSON{Report: r}
			if err != nil && r.Err() == nil {
				p := dray.ProblemOf(err)
				out.Error = &p
			}
			return a.printJSON(out)
		},
		text: func() error {
			return good(func(name string, s dray.StepReport) error {
				_, err := fmt.Fprintln(a.out, withDigest(name, string(s.Digest())))
				return err
			})
		},
		header: []string{"TARGET", "DIGEST", "STATE"},
		rows: func(row func(...string) error) error {
			return good(func(name string, s dray.StepReport) error { return row(name, string(s.Digest()), string(s.State)) })
		},
	})
}

// withDigest writes "HOST/REPO:TAG@DIGEST".
func withDigest(name, digest string) string {
	if digest == "" || strings.Contains(name, "@") {
		return name
	}
	return name + "@" + digest
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// size writes bytes for people: "45 MiB", "1.5 GiB", "512 B".
func size(bytes int64) string {
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	v, unit := float64(bytes), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v /= 1024; v < 999.5 {
			break
		}
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

// seconds writes a duration for people: "40 ms", "2.1 s", "3m20s", "2h05m".
func seconds(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
