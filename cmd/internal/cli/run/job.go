package run

import (
	"regexp"
	"sync"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/wire"
)

// jobForm is the form of a job's id, which is a ULID.
var jobForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{26}$`) })

// IsJobID reports whether s looks like the id of a job.
func IsJobID(s string) bool { return jobForm().MatchString(s) }

// leftOn is the error of a verb whose job continues at the server after an interrupt.
type leftOn struct {
	job  wire.Job
	gone bool // whether the server does not answer
}

func (g *leftOn) Error() string {
	if g.gone {
		return "the server does not answer; job " + g.job.ID + " continues when it is back"
	}
	return "job " + g.job.ID + " continues at the server"
}

// tellGoesOn prints that a job continues, and how to watch or stop it.
func tellGoesOn(a *app.App, g *leftOn) error {
	id := g.job.ID
	a.Warnf("interrupted: %s; to see it: %s; to stop it: %s",
		g.Error(), a.Next("jobs", "watch", id), a.Next("jobs", "cancel", id))
	if a.Format == out.FormatJSON {
		if err := PrintJobID(a, g.job); err != nil {
			return err
		}
	}
	return out.Ended(out.ExitInterrupted)
}

// PrintJobID prints the answer of --no-wait, which is one line.
func PrintJobID(a *app.App, j wire.Job) error {
	j.Request = nil
	return a.Print(out.Answer{
		JSON:   func() error { return a.PrintJSON(j) },
		Text:   func() error { return a.Println(j.ID) },
		Header: []string{"ID", "STATE"},
		Rows:   func(row func(...string) error) error { return row(j.ID, string(j.State)) },
	})
}
