package serve

import (
	"net"

	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/pool"
)

// egressText is the text of --egress.
const egressText = "also let jobs connect to addresses in this private `NET`, such as 10.20.0.0/16; repeatable"

// addWorkTo adds the flags of the commands that work on jobs. pools says which pools a process without --pool serves.
func addWorkTo(f *app.ServeFlags, flags *pflag.FlagSet, pools string) {
	flags.StringVar(&f.Engine, "engine", "",
		"many machines: share the jobs over the engine at `URL`, such as temporal://HOST:7233/NAMESPACE; requires a "+
			"PostgreSQL database (default $DRAY_ENGINE, else this process runs its jobs alone)")
	flags.StringArrayVar(&f.Serves, "pool", nil,
		"run the jobs of pool `NAME`, as server.pools of the configuration defines it; "+pool.Default+
			" means the jobs of no pool; repeatable (default "+pools+")")
	flags.StringVar(&f.Ops, "ops", "",
		"also serve /healthz, /readyz and /metrics at `HOST:PORT`, without TLS and without a login")
	flags.IntVar(&f.Slots, "slots", 0, "run at most `N` jobs at once in this process; -1 means none (default 4)")
	flags.DurationVar(&f.Keep, "keep", 0, "remove jobs `DURATION` after they have ended (default 720h)")
}

// printAddress prints the answer of serve when the server is ready, so that a script can wait for it.
func printAddress(a *app.App, addr net.Addr, dir string) {
	value := struct {
		Address string `json:"address"`
		Data    string `json:"data"`
	}{addr.String(), dir}
	// The reader of stdout may have gone. The server runs on without it.
	_ = a.Print(out.Answer{
		JSON:   func() error { return a.PrintJSON(value) },
		Text:   func() error { return a.Println(value.Address) },
		Header: []string{"ADDRESS", "DATA"},
		Rows:   func(row func(...string) error) error { return row(value.Address, value.Data) },
	})
}

// addPlaceTo adds the flags of the commands that use the data of a server.
func addPlaceTo(f *app.PlaceFlags, flags *pflag.FlagSet) {
	addPlaceAs(f, flags, "the server's data directory is", "the server's database is at")
}

// addPlaceAs adds --data and --database; data and database say what they name.
func addPlaceAs(f *app.PlaceFlags, flags *pflag.FlagSet, data, database string) {
	flags.StringVar(&f.Data, "data", "",
		data+" `DIR` (default $XDG_DATA_HOME/dray/registry, else ~/.local/share/dray/registry)")
	flags.StringVar(&f.Database, "database", "",
		database+" `URL`, such as postgres://USER@HOST/NAME or sqlite:PATH "+
			"(default $DRAY_DATABASE, else dray.db in the directory of --data)")
}

// given reports whether a flag names the directory or the database.
func given(f app.PlaceFlags) bool { return f.Data+f.Database != "" }
