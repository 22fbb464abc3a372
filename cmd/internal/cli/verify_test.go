package cli

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

func TestATagThatIsListedAndNotThereDecidesTheExitCode(t *testing.T) {
	gone := hostile.Error(404, "MANIFEST_UNKNOWN", "").On("", testbed.Manifest).At("gone")
	src, dst := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), gone), testbed.Distribution(t, testbed.Options{})
	for i, name := range []string{"app v1", "app gone", "one gone"} {
		repo, tag, _ := strings.Cut(name, " ")
		testbed.Random(t, src, repo, tag, testbed.RandomOptions{Seed: uint64(i + 1)})
	}
	dir := t.TempDir()
	list, again := filepath.Join(dir, "list.txt"), filepath.Join(dir, "again.txt")
	lines := src.Host + "/app:v1 b:v1\n" + src.Host + "/app:gone b:gone\n"
	if err := os.WriteFile(list, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(want int, args ...string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		args = append(args, "--plain-http", "-q")
		code := Main(t.Context(), args, app.IO{In: strings.NewReader(""), Out: &stdout, Err: &stderr, Env: noEnv})
		if code != want || want != 0 && !strings.Contains(stderr.String(), ":gone") {
			t.Errorf("%q: code %d, want %d\n%s", args, code, want, &stderr)
		}
	}
	left := func(want string) {
		t.Helper()
		if raw, _ := os.ReadFile(again); !strings.Contains(string(raw), want) || want == "" && len(raw) > 0 {
			t.Errorf("%q is left, want %q", raw, want)
		}
	}
	notFound := out.ExitCode(&fault.Fault{Kind: fault.NotFound})
	appAt, oneAt := src.Host+"/app", src.Host+"/one"
	run(out.ExitPartly, "transfer", appAt, dst.Host+"/app", "--failed-to", again)
	left(appAt + ":gone " + dst.Host + "/app:gone")
	run(notFound, "transfer", oneAt, dst.Host+"/one")
	run(out.ExitPartly, "verify", appAt, dst.Host+"/app")
	run(notFound, "verify", oneAt, dst.Host+"/one")
	run(out.ExitPartly, "copy", "--all-tags", appAt, dst.Host+"/copy")
	run(notFound, "copy", "--all-tags", oneAt, dst.Host+"/one")
	run(out.ExitPartly, "batch", "-f", list, "--name", dst.Host, "--failed-to", again)
	left(appAt + ":gone " + dst.Host + "/b:gone")
	run(out.ExitOK, "transfer", appAt, dst.Host+"/app", "--skip-broken", "--failed-to", again)
	left("")
	run(out.ExitOK, "verify", appAt, dst.Host+"/app", "--skip-broken")
	run(out.ExitOK, "copy", "--all-tags", appAt, dst.Host+"/copy", "--skip-broken")
	run(out.ExitOK, "batch", "-f", list, "--name", dst.Host, "--skip-broken", "--failed-to", again)
	left("")
}

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

func TestARepositoryWithoutTagsFailsOnlyIfTheFlagSaysSo(t *testing.T) {
	aborted := hostile.Error(404, "NAME_UNKNOWN", "").On(http.MethodGet, testbed.Tags).In("aborted")
	src := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), aborted)
	dst := testbed.Distribution(t, testbed.Options{})
	for i, repo := range []string{"app", "aborted"} {
		testbed.Random(t, src, repo, "v1", testbed.RandomOptions{Seed: uint64(i + 1)})
	}
	for _, verb := range []string{"transfer", "verify"} {
		for flag, want := range map[string]int{"--strict=false": out.ExitOK, "--strict": out.ExitPartly} {
			var stdout, stderr bytes.Buffer
			args := []string{verb, src.Host, dst.Host, "--plain-http", flag}
			code := Main(t.Context(), args, app.IO{In: strings.NewReader(""), Out: &stdout, Err: &stderr, Env: noEnv})
			if code != want || !strings.Contains(stderr.String(), "/aborted") {
				t.Errorf("%q: code %d, want %d\n%s", args, code, want, &stderr)
			}
		}
	}
}
