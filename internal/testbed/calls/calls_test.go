package calls_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/drayage/dray/internal/testbed/calls"
)

// TestMain is the program that is traced if it gets the name of a file: it writes the file and gives it another name.
func TestMain(m *testing.M) {
	file := os.Getenv("DRAY_TEST_WRITE")
	if file == "" {
		os.Exit(m.Run())
	}
	err := os.WriteFile(file, []byte("0123456789"), 0o600)
	if err == nil {
		err = os.Rename(file, file+"-whole")
	}
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
}

// run runs the program until the first call of this name, with which it does act, and returns what is in its directory.
func run(t *testing.T, name string, act calls.Act) (files string, code int, killed bool, seen []string) {
	t.Helper()
	dir := t.TempDir()
	p := calls.Start(t, calls.Command{
		Args: []string{os.Args[0]}, Env: append(os.Environ(), "DRAY_TEST_WRITE="+filepath.Join(dir, "file")), Below: []string{dir},
		On: func(c calls.Call) calls.Act {
			seen = append(seen, c.Name)
			if c.Name == name {
				return act
			}
			return calls.Act{}
		}})
	code, killed = p.Wait(t)
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files += e.Name() + "=" + string(raw) + " "
	}
	return strings.TrimSpace(files), code, killed, seen
}

func TestAProgramIsKilledBeforeWithinAndAfterACall(t *testing.T) {
	for _, c := range []struct {
		name string
		when calls.Moment
		want string
	}{
		{"create", calls.Before, ""},
		{"create", calls.After, "file="},
		{"write", calls.Before, "file="},
		{"write", calls.Within, "file=01234"},
		{"write", calls.After, "file=0123456789"},
		{"rename", calls.Before, "file=0123456789"},
		{"rename", calls.After, "file-whole=0123456789"},
	} {
		files, _, killed, _ := run(t, c.name, calls.Act{Kill: c.when})
		if files != c.want || !killed {
			t.Errorf("%s %s: %q, killed %v", c.when, c.name, files, killed)
		}
	}
}

func TestACallFailsAndDoesNothing(t *testing.T) {
	files, code, killed, seen := run(t, "write", calls.Act{Fail: syscall.EDQUOT})
	if files != "file=" || code != 1 || killed {
		t.Errorf("%q, exit code %d, killed %v", files, code, killed)
	}
	if got := strings.Join(seen, " "); got != "create write" {
		t.Error(got)
	}
	files, code, _, seen = run(t, "", calls.Act{})
	if got := strings.Join(seen, " "); got != "create write rename" || code != 0 || files != "file-whole=0123456789" {
		t.Error(got, code, files)
	}
}
