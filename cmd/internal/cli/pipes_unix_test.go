//go:build unix

package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/drayage/dray/internal/testbed"
)

func TestAnArchiveThatNobodyReadsToItsEndFailsAndLeavesNoTemporaryFiles(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Size: 1 << 20})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "dray")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	temp, said := t.TempDir(), &bytes.Buffer{}
	cmd := exec.CommandContext(t.Context(), program, "copy", "--plain-http", src.Host+"/app:v1", "oci-archive:-")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "DRAY_CONFIG=", "TMPDIR="+temp)
	cmd.Stdout, cmd.Stderr = w, said
	if cmd.Run() == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v\n%s", cmd.ProcessState, said)
	}
	if !bytes.Contains(said.Bytes(), []byte("check the program that reads the standard output")) {
		t.Error(said)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}
