package cli

import (
	"path/filepath"
	"testing"
)

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
		a := &app{IO: IO{Home: row.home, Env: func(name string) string {
			return map[string]string{"DRAY_STATE_DIR": row.own, "XDG_STATE_HOME": row.xdg}[name]
		}}}
		if got := a.stateDir(); got != row.want {
			t.Errorf("%+v: %q", row, got)
		}
	}
}
