//go:build unix

package layout

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

func TestLayoutsBelowADirectoryAreFoundAndNothingInThemOrBehindLinks(t *testing.T) {
	root, away := t.TempDir(), t.TempDir()
	for _, dir := range []string{filepath.Join(root, "team", "web"), filepath.Join(root, "app"), filepath.Join(away, "other")} {
		d, err := Open(ref.Repo{Host: ref.Layout, Dir: dir}, Write)
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
	}
	inside, err := Open(ref.Repo{Host: ref.Layout, Dir: filepath.Join(root, "app", "blobs", "x")}, Write)
	if err != nil {
		t.Fatal(err)
	}
	inside.Close()
	if err := os.Symlink(away, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "empty", "oci-layout"), 0o755); err != nil { // a directory named oci-layout
		t.Fatal(err)
	}
	var got []string
	err = Below(t.Context(), root, func(path string) error { got = append(got, path); return nil })
	if err != nil || strings.Join(got, " ") != "app team/web" {
		t.Errorf("%q %v", got, err)
	}
	stop := errors.New("enough")
	if err := Below(t.Context(), root, func(string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	if err := Below(t.Context(), filepath.Join(root, "none"), nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Below(ctx, root, nil); !fault.Is(err, fault.Canceled) {
		t.Errorf("%v", err)
	}
}
