//go:build unix

package server_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry"
)

// Each command that works in the data of a server refuses a directory that others may write, as the server does.
func TestEveryCommandRefusesADataDirectoryThatOthersMayWrite(t *testing.T) {
	data := t.TempDir()
	c := server.Config{Data: data, Listen: "127.0.0.1:0"}
	if _, done, err := server.BeginAccess(t.Context(), c); err != nil {
		t.Fatal(err)
	} else if err := done(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(data, "storage"), 0o700); err != nil {
		t.Fatal(err)
	}
	closing := func(done func() error, err error) error {
		if err == nil {
			_ = done()
		}
		return err
	}
	uses := map[string]func() error{
		"tokens":    func() error { _, done, err := server.OpenAccess(t.Context(), c); return closing(done, err) },
		"the first": func() error { _, done, err := server.BeginAccess(t.Context(), c); return closing(done, err) },
		"gc": func() error {
			_, err := server.Collect(t.Context(), c, registry.CollectOptions{DryRun: true})
			return err
		},
		"backup": func() error {
			_, err := server.Backup(t.Context(), c, filepath.Join(t.TempDir(), "copy"))
			return err
		},
		"check": func() error {
			for _, f := range server.Check(t.Context(), c) {
				if f.What == "data directory" && !f.OK {
					return &fault.Fault{Kind: f.Kind}
				}
			}
			return nil
		},
	}
	for mode, want := range map[fs.FileMode]bool{0o777: false, 0o755: true} {
		if err := os.Chmod(data, mode); err != nil {
			t.Fatal(err)
		}
		for what, use := range uses {
			if err := use(); fault.Is(err, fault.Denied) == want || want && err != nil {
				t.Errorf("%s with mode %o: %v", what, mode, err)
			}
		}
	}
}
