//go:build unix

package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

func TestAHelperThatTheFileNamesMustHaveTheLogin(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\nread host\ncase $host in a.example) echo '{\"Username\":\"u\",\"Secret\":\"p\"}';; *) echo credentials not found in native keychain; exit 1;; esac\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-box"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	c, err := Loader{}.Load(write(t, dir, "registries:\n  a: {host: a.example, credentials: {helper: box}}\n  b: {host: b.example, credentials: {helper: box}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	chain := c.Lookups(os.Getenv)
	if l, err := chain.For(t.Context(), ref.Repo{Host: "a.example", Path: "x"}); l.User != "u" || err != nil {
		t.Error(l, err)
	}
	if _, err := chain.For(t.Context(), ref.Repo{Host: "b.example", Path: "x"}); !fault.Is(err, fault.Denied) || fault.HintOf(err) == "" {
		t.Error(err)
	}
}
