package run

import (
	"fmt"
	"regexp"
	"sync"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/wire"
)

// jobForm is a job's id: a ULID.
var jobForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{26}$`) })

// IsJobID reports whether s looks like the id of a job.
func IsJobID(s string) bool { return jobForm().MatchString(s) }

// leftOn says that a job was not waited for.
type leftOn struct{ job wire.Job }

func (g *leftOn) Error() string { return "job " + g.job.ID + " goes on" }

// tellGoesOn says what becomes of a job that nobody waits for any more.
func tellGoesOn(a *app.App, g *leftOn) error {
	id := g.job.ID
	a.Warn("interrupted: job %s goes on at the server: dray jobs watch %s shows it, dray jobs cancel %s stops it", id, id, id)
	if a.Format == out.FormatJSON {
		if err := PrintJobID(a, g.job); err != nil {
			return err
		}
	}
	return out.Ended(out.ExitInterrupted)
}

// PrintJobID is the answer of --no-wait: one line.
func PrintJobID(a *app.App, j wire.Job) error {
	j.Request = nil
	return a.Print(out.Answer{
		JSON:   func() error { return a.PrintJSON(j) },
		Text:   func() error { _, err := fmt.Fprintln(a.Out, j.ID); return err },
		Header: []string{"ID", "STATE"},
		Rows:   func(row func(...string) error) error { return row(j.ID, string(j.State)) },
	})
}
