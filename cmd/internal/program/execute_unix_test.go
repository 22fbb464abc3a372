//go:build unix

package program

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/cli/app"
)

// TestMain acts as dray if the test program is called "dray".
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "dray" {
		os.Exit(m.Run())
	}
	code, err := Drayd(context.Background(), os.Args[1:])
	fmt.Fprintln(os.Stderr, code, err)
	os.Exit(99)
}

// pair returns a command of dray, with a drayd in the same directory that runs script.
func pair(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "with spaces")
	drayd := program(t, filepath.Join(dir, "drayd"))
	if err := os.WriteFile(drayd, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(self) // a copy and not a link, because Drayd also searches the directory of the link's target
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "dray"), raw, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), filepath.Join(dir, "dray"), args...)
}

func TestDraydHasTheArgumentsTheStreamsAndTheExitCode(t *testing.T) {
	cmd := pair(t, `for a in "$@"; do echo "<$a>"; done; cat; echo "called by $`+app.CalledBy+`" >&2; exit 6`, "serve", "--data", "a b", "")
	var out, err bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("stdin\n"), &out, &err
	cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 6 || out.String() != "<serve>\n<--data>\n<a b>\n<>\nstdin\n" || err.String() != "called by "+app.Version()+"\n" {
		t.Errorf("code %d, stdout %q, stderr %q", code, out.String(), err.String())
	}
}

func TestASignalIsDraydsOwn(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		cmd := pair(t, `trap 'echo caught; exit 5' TERM INT HUP; echo ready; while :; do sleep 0.05; done`)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		said := make([]byte, len("ready\n"))
		if _, err := io.ReadFull(out, said); err != nil {
			t.Fatal(err)
		}
		cut := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
		cmd.Process.Signal(sig)
		rest, _ := io.ReadAll(out)
		cmd.Wait()
		cut.Stop()
		if code := cmd.ProcessState.ExitCode(); code != 5 || string(rest) != "caught\n" {
			t.Errorf("%s: code %d, %q", sig, code, rest)
		}
	}
	cmd := pair(t, `kill -KILL $$`)
	cmd.Run()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Errorf("drayd was killed, but dray ended with %v", cmd.ProcessState)
	}
}
