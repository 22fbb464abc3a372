package app

import (
	"path/filepath"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
)

func TestWhatAPushMayCreateReachesTheClient(t *testing.T) {
	for in, want := range map[config.Create]dray.Create{"": "", config.CreatePrivate: "private", config.CreatePublic: "public"} {
		if got := settings(config.Registry{Create: in}).Create; got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}

func TestTheStateIsKeptWhereTheEnvironmentSays(t *testing.T) {
	home, xdg := filepath.FromSlash("/home/me"), filepath.FromSlash("/xdg")
	if !filepath.IsAbs(xdg) {
		xdg = `C:\xdg`
	}
	for _, row := range []struct{ own, xdg, home, want string }{
		{"", "", home, filepath.Join(home, ".local", "state", "dray")},
		{"", xdg, home, filepath.Join(xdg, "dray")},
		{"", "relative/is/ignored", home, filepath.Join(home, ".local", "state", "dray")},
		{"here", xdg, home, "here"},
		{"off", xdg, home, ""},
		{"", "", "", ""},
	} {
		a := &App{IO: IO{Home: row.home, Env: func(name string) string {
			return map[string]string{"DRAY_STATE_DIR": row.own, "XDG_STATE_HOME": row.xdg}[name]
		}}}
		if got := a.StateDir(); got != row.want {
			t.Errorf("%+v: %q", row, got)
		}
	}
}
