package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/internal/testbed/canary"
)

// leaking are tests that leak in each way that this program watches, and one that does not.
const leaking = `package leaking

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, name, text string) {
	if err := os.WriteFile(filepath.Join(t.TempDir(), name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOutput(t *testing.T) { fmt.Println("password", "SECRET") }
func TestLog(t *testing.T)    { t.Log("password", "SECRET") }
func TestError(t *testing.T)  { fmt.Fprintln(os.Stderr, "SECRET") }
func TestFile(t *testing.T)   { write(t, "audit.log", "user:SECRET") }
func TestName(t *testing.T)   { write(t, "SECRET.lock", "") }
func TestBelow(t *testing.T)  { t.Run("a test", func(t *testing.T) { write(t, "plan.json", "SECRET") }) }
func TestLogin(t *testing.T)  { write(t, "config.json", "") }
`

func TestWhatLeaksIsFoundWithoutTheHelpOfTests(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module leaking\n\ngo 1.26\n", "a_test.go": strings.ReplaceAll(leaking, "SECRET", canary.Word)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	var out strings.Builder
	leaks, err := run(t.Context(), []string{"-vet=off", "."}, &out)
	if err != nil || leaks != 6 {
		t.Errorf("%d leaks, %v\n%s", leaks, err, out.String())
	}
	for _, want := range []string{
		"LEAK output of leaking TestOutput: ", "LEAK output of leaking TestLog: ", "LEAK output of leaking TestError: ",
		"audit.log: the canary", "LEAK file leaking.test+TestName+", "LEAK file leaking.test+TestBelow+a_test+",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
