package serve

import (
	"fmt"
	"net"

	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
)

// addWorkTo adds the flags of all that works on jobs.
func addWorkTo(f *app.ServeFlags, flags *pflag.FlagSet) {
	flags.StringVar(&f.Ops, "ops", "", "show /healthz, /readyz and /metrics at `HOST:PORT` too, without TLS and to everybody")
	flags.IntVar(&f.Slots, "slots", 0, "`N` jobs at a time in this process; -1 is none (default 4)")
	flags.DurationVar(&f.Keep, "keep", 0, "forget jobs that ended this `DURATION` ago (default 720h)")
}

// printAddress is the answer of serve, printed when it is ready, so that a script can wait for it.
func printAddress(a *app.App, addr net.Addr, dir string) {
	value := struct {
		Address string `json:"address"`
		Data    string `json:"data"`
	}{addr.String(), dir}
	// Who reads stdout may have gone; the registry runs on.
	_ = a.Print(out.Answer{
		JSON:   func() error { return a.PrintJSON(value) },
		Text:   func() error { _, err := fmt.Fprintln(a.Out, value.Address); return err },
		Header: []string{"ADDRESS", "DATA"},
		Rows:   func(row func(...string) error) error { return row(value.Address, value.Data) },
	})
}

func addPlaceTo(f *app.PlaceFlags, flags *pflag.FlagSet) {
	flags.StringVar(&f.Data, "data", "", "`DIR` of the content (default $XDG_DATA_HOME/dray/registry, else ~/.local/share/dray/registry)")
	flags.StringVar(&f.Database, "database", "", "jobs and tokens in this database, a `URL` like postgres://USER@HOST/NAME or sqlite:PATH (default $DRAY_DATABASE, else dray.db in --data)")
}

// given reports whether a flag says where.
func given(f app.PlaceFlags) bool { return f.Data+f.Database != "" }
