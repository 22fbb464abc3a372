package program

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/fault"
)

// program creates an executable file.
func program(t *testing.T, path string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDraydIsFoundBesideDrayBeforeItIsFoundOnThePath(t *testing.T) {
	root := t.TempDir()
	self := program(t, filepath.Join(root, "with spaces", "dray"))
	onPath := filepath.Join(root, "path")
	t.Setenv("PATH", onPath)
	if path, err := find(self); err == nil {
		t.Fatalf("found %s, but no drayd exists", path)
	}
	there := program(t, filepath.Join(onPath, "drayd"))
	if path, err := find(self); err != nil || path != there {
		t.Errorf("on the path: %q, %v", path, err)
	}
	beside := program(t, filepath.Join(root, "with spaces", "drayd"))
	if path, err := find(self); err != nil || path != beside {
		t.Errorf("in the directory of dray: %q, %v", path, err)
	}
	link := filepath.Join(root, "elsewhere", "dray")
	if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(self, link)); err != nil {
		t.Skip(err)
	}
	if path, err := find(link); err != nil || path != beside {
		t.Errorf("in the directory of the file that dray links to: %q, %v", path, err)
	}
}

func TestWhatIsNoProgramOrIsFoundInTheWorkingDirectoryIsNotRun(t *testing.T) {
	root := t.TempDir()
	self := program(t, filepath.Join(root, "bin", "dray"))
	t.Chdir(root)
	program(t, filepath.Join(root, "drayd"))
	t.Setenv("PATH", ".")
	if err := os.WriteFile(filepath.Join(root, "bin", "drayd"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if path, err := find(self); err == nil && runtime.GOOS != "windows" {
		t.Errorf("found %s", path)
	}
}

func TestWhereThereIsNoDraydOneLineSaysHowToInstallIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Drayd(t.Context(), []string{"serve"})
	if !fault.Is(err, fault.Unavailable) || err.Error() != "run drayd: unavailable: drayd is neither in the directory of dray nor on PATH" || fault.HintOf(err) != "install it with go install github.com/drayage/dray/cmd/...@latest" {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}

func TestACommandThatIsInterruptedIsNotHandedOver(t *testing.T) {
	dir := t.TempDir()
	program(t, filepath.Join(dir, "drayd"))
	t.Setenv("PATH", dir)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if _, err := Drayd(ctx, []string{"serve"}); !fault.Is(err, fault.Canceled) {
		t.Error(err)
	}
}

func TestDraydIsToldWhoCallsIt(t *testing.T) {
	env := []string{"A=b", app.CalledBy + "=v0.1.0"}
	got := calling(env, "v0.2.0")
	if !slices.Equal(got, []string{"A=b", app.CalledBy + "=v0.2.0"}) || !strings.HasSuffix(env[1], "v0.1.0") {
		t.Errorf("%q, of %q", got, env)
	}
}
