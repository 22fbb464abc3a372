//go:build unix

package cli_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/internal/testbed"
)

func TestACopyGoesOnWithoutAStateDirectoryOfOthersAndSaysHowToMendIt(t *testing.T) {
	open := testbed.Options{Content: testbed.Open}
	src, dst := testbed.Distribution(t, open), testbed.Distribution(t, open)
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Seed: 1, Size: 17 << 20}) // smaller uploads are not recorded
	state := filepath.Join(t.TempDir(), "state")
	if err := os.MkdirAll(filepath.Join(state, "uploads"), 0o700); err != nil {
		t.Fatal(err)
	}
	mail := filepath.Join(state, "uploads", "mail")
	write(t, filepath.Dir(mail), "mail", "precious")
	long := time.Now().Add(-365 * 24 * time.Hour)
	if err := os.Chtimes(mail, long, long); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(state, 0o777); err != nil {
		t.Fatal(err)
	}
	env := func(name string) string { return map[string]string{"DRAY_STATE_DIR": state}[name] }
	var told bytes.Buffer
	args := strings.Fields("copy " + src.Host + "/app:v1 " + dst.Host + "/app:v1 --plain-http")
	code := program(t.Context(), args, app.IO{In: strings.NewReader(""), Out: io.Discard, Err: &told, Env: env, Home: t.TempDir()})
	want := "everybody may write it (hint: if its content can be trusted, mend it: chmod go-w " + state + "; or use a directory below it)"
	if code != 0 || !strings.Contains(told.String(), want) {
		t.Errorf("exit code %d: %s\nwant %s", code, &told, want)
	}
	if _, err := os.Stat(mail); err != nil {
		t.Error(err)
	}
}
