package moving

import (
	"io"
	"testing"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/internal/testbed/tricks"
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
	showing(t, "plan cost", printCost)
	showing(t, "plan show", printSummary)
	showing(t, "rm", func(a *app.App, r removed) error {
		for i := range r.Images {
			tricks.Fill(&r.Images[i].plan, 8)
		}
		return printRemoved(a, r)
	})
	showing(t, "rm, before it asks", func(a *app.App, all []removedImage) error {
		tricks.Fill(&all[0].plan, 8)
		all[0].State = "planned"
		tellRemovals(a, all)
		return nil
	})
}
