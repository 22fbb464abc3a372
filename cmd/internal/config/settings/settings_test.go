package settings

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/drayage/dray/cmd/internal/config"
)

// write writes a configuration, and returns its path.
func write(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "dray.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSettingsSayWhereEachValueStands(t *testing.T) {
	path := write(t, t.TempDir(), "default-registry: a\nreferrers: {mode: sync, types: [x, y], annotations: {k: v}}\nregistries:\n  a:\n    mirrors: [m.example, N.example]\n    host: A.example\n    limits: {chunk-size: 4KiB, first-byte-timeout: 2m}\n")
	c, err := config.Loader{}.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Of(c)
	want := []Setting{{"default-registry", "a", 1}, {"registries.a.host", "a.example", 6}, {"registries.a.mirrors", "m.example, n.example", 5}, {"registries.a.limits.chunk-size", "4096", 7}, {"registries.a.limits.first-byte-timeout", "2m0s", 7},
		{"referrers.mode", "sync", 2}, {"referrers.types", "x, y", 2}, {"referrers.annotations.k", "v", 2}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
	c, err = config.Loader{}.Load(write(t, t.TempDir(), "platforms: [linux/arm64/v8, linux/amd64]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Of(c); len(got) != 1 || got[0] != (Setting{"platforms", "linux/amd64,linux/arm64", 1}) || err != nil {
		t.Errorf("%+v %v", got, err)
	}
	c, err = config.Loader{}.Load(write(t, t.TempDir(), "include-foreign: true\n"))
	if err != nil || !c.IncludeForeign {
		t.Fatal(c, err)
	}
	if got, err := Of(c); len(got) != 1 || got[0] != (Setting{"include-foreign", "true", 1}) || err != nil {
		t.Errorf("%+v %v", got, err)
	}
	c, err = config.Loader{}.Load(write(t, t.TempDir(), "referrers: false\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Of(c); len(got) != 1 || got[0] != (Setting{"referrers", "false", 1}) || err != nil {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := Of(config.Config{}); got != nil || err != nil {
		t.Error(got, err)
	}
}

func TestTheFilesOfAllPartsAreNamed(t *testing.T) {
	dir := t.TempDir()
	c, err := config.Loader{}.Load(write(t, dir, "gates:\n  g: {signature: {key: [k.pub]}}\n"+
		"registries:\n  a: {host: a.example, ca-file: ca.pem}\n"+
		"server: {tls: {cert: s.pem, key: s.key}, auth: {htpasswd: users}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var want []Setting
	for _, f := range [][2]string{
		{"gates.g.signature.key", "k.pub"}, {"registries.a.ca-file", "ca.pem"},
		{"server.tls.cert", "s.pem"}, {"server.tls.key", "s.key"}, {"server.auth.htpasswd", "users"},
	} {
		want = append(want, Setting{Key: f[0], Value: filepath.Join(dir, f[1])})
	}
	if got := Files(c); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}
