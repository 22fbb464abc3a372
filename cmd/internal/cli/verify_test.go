package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/internal/testbed"
)

func TestVerifyFailsInEveryFormatIfStdoutIsFull(t *testing.T) {
	src, dst := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Seed: 1})
	testbed.Random(t, dst, "app", "v1", testbed.RandomOptions{Seed: 2})
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, format := range []string{"text", "table", "tsv", "json"} {
		var stderr bytes.Buffer
		args := []string{"verify", src.Host, dst.Host, "--plain-http", "-o", format}
		code := Main(t.Context(), args, app.IO{In: strings.NewReader(""), Out: full, Err: &stderr, Env: noEnv})
		if code != out.ExitFailed || !strings.Contains(stderr.String(), "no space left on device") {
			t.Errorf("-o %s: code %d, want %d\n%s", format, code, out.ExitFailed, &stderr)
		}
	}
}
