package ends_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

func TestADirectoryIntoWhichNothingCanBeMovedIsRefusedAtOnce(t *testing.T) {
	if os.Geteuid() == 0 { // root may write everywhere
		asNobody(t)
		return
	}
	end := at(t, ref.Directory, "x")
	if err := os.Mkdir(end.Dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := writing(t).Open(t.Context(), end); !fault.Is(err, fault.Denied) || fault.HintOf(err) != "name a directory that can be written" {
		t.Errorf("%v", err)
	}
}

// asNobody runs the test again in a process of a user without rights.
func asNobody(t *testing.T) {
	t.Helper()
	const nobody = 65534
	dir := t.TempDir()
	program := filepath.Join(dir, "test")
	raw, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, raw, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, program} {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}
