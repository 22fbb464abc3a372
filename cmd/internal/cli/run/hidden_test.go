package run

import (
	"errors"
	"io"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/internal/testbed/tricks"
	"github.com/drayage/dray/plan"
)

// showing calls show with a value full of tricks, in each form.
func showing[T any](t *testing.T, what string, show func(*app.App, T) error) {
	t.Helper()
	tricks.Forms(t, what, func(form string, stdout, stderr io.Writer) error {
		a := app.New(nil, app.IO{Out: stdout, Err: stderr})
		a.Format = out.Format(form)
		var v T
		tricks.Fill(&v, 8)
		return show(a, v)
	})
}

func TestNothingThatOthersHaveHiddenIsPrinted(t *testing.T) {
	showing(t, "copy", func(a *app.App, r dray.Report) error {
		r.Steps[0].State = dray.Done
		return printReport(a, r, errors.New(tricks.Text))
	})
	showing(t, "copy --dry-run", func(a *app.App, p plan.Plan) error { return showPlan(a, p, Writing{}) })
	showing(t, "what failed", func(a *app.App, r dray.Report) error {
		tellFailures(a, Writing{}, r, errors.New(tricks.Text), false)
		return nil
	})
}
