package looking

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
	showing(t, "inspect", printImage)
	showing(t, "referrers", printTree)
	showing(t, "check", printCheck)
}
