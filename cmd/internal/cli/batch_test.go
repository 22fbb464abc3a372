package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/internal/testbed"
)

func TestAListOfTwoThousandLinesIsFast(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{})
	dst := testbed.Distribution(t, testbed.Options{})
	const images, lines = 40, 2000
	for i := range images {
		testbed.Random(t, src, fmt.Sprintf("app-%d", i), "v1", testbed.RandomOptions{Seed: uint64(i + 1)})
	}
	var list strings.Builder
	for i := range lines {
		fmt.Fprintf(&list, "%s/app-%d:v1 app-%d:build-%d # line %d\n", src.Host, i%images, i%images, i, i+1)
	}
	run := func() (took time.Duration, out string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		began := time.Now()
		code := Main(t.Context(), []string{"batch", "--name", dst.Host, "-f", "-"},
			app.IO{In: strings.NewReader(list.String()), Out: &stdout, Err: &stderr, Env: noEnv})
		if code != 0 || strings.Count(stdout.String(), "\n") != lines {
			t.Fatalf("code %d, %d lines, %s", code, strings.Count(stdout.String(), "\n"), stderr.String())
		}
		return time.Since(began), stderr.String()
	}
	took, out := run()
	t.Logf("%s: %s", took, strings.TrimSpace(out))
	if took > 2*time.Minute { // it takes a few seconds on an idle machine
		t.Errorf("it took %s", took)
	}
	if n := src.Count(http.MethodGet, testbed.Blob); n != 2*images {
		t.Errorf("%d blobs were read of %d", n, 2*images)
	}
	src.Reset()
	dst.Reset()
	took, out = run()
	t.Logf("again, %s: %s", took, strings.TrimSpace(out))
	if n := src.Count(http.MethodGet, "") + dst.Count(http.MethodPut, ""); n != 0 {
		t.Errorf("%d requests besides one HEAD request for each name", n)
	}
}

func TestWhatAnInterruptLeavesIsAListAgain(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	src := testbed.Distribution(t, testbed.Options{Front: stuck(interrupt)})
	dst := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Size: 4096})
	testbed.Random(t, src, "app", "v2", testbed.RandomOptions{Size: 4096, Seed: 2})
	testbed.Random(t, dst, "app", "v2", testbed.RandomOptions{Size: 4096, Seed: 2})
	rest := filepath.Join(t.TempDir(), "rest.txt")
	list := src.Host + "/app:v1\n" + src.Host + "/app:v2\n" + src.Host + "/app:v1 other/app:v3\n"
	var out, err bytes.Buffer
	code := Main(ctx, []string{"batch", "--name", dst.Host, "-f", "-", "--failed-to", rest},
		app.IO{In: strings.NewReader(list), Out: &out, Err: &err, Env: noEnv})
	if code != 130 || !strings.Contains(err.String(), "dray: interrupted: 1 of 3 steps done, 2 not finished; run the same command again to continue\n") {
		t.Errorf("code %d, stderr %s", code, err.String())
	}
	f, oerr := os.Open(rest)
	if oerr != nil {
		t.Fatal(oerr)
	}
	defer f.Close()
	left, rerr := config.ReadList(f, rest)
	want := fmt.Sprintf("[{%[1]s/app:v1 [%[2]s/app:v1]  2} {%[1]s/app:v1 [%[2]s/other/app:v3]  4}]", src.Host, dst.Host)
	var got []string
	for _, e := range left.Entries {
		got = append(got, fmt.Sprintf("{%s %v %s %d}", e.Source, e.Targets, e.Overwrite, e.Line))
	}
	if got := fmt.Sprint(got); rerr != nil || got != want {
		t.Errorf("%s %v\nwant %s", got, rerr, want)
	}
}

func TestAnInterruptBeforeThereIsAPlanLeavesTheWholeList(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	src := testbed.Distribution(t, testbed.Options{Front: func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { interrupt(); <-r.Context().Done() })
	}})
	rest := filepath.Join(t.TempDir(), "rest.txt")
	var out, err bytes.Buffer
	code := Main(ctx, []string{"batch", "--name", "reg.example", "-f", "-", "--failed-to", rest},
		app.IO{In: strings.NewReader(src.Host + "/app:v1\nnginx@nonsense\n"), Out: &out, Err: &err, Env: noEnv})
	b, rerr := os.ReadFile(rest)
	if code != 130 || rerr != nil || !strings.Contains(string(b), "\n"+src.Host+"/app:v1 reg.example/app:v1\n") || !strings.HasSuffix(string(b), "\nnginx@nonsense\n") {
		t.Errorf("code %d, %v, stderr %s\n%s", code, rerr, err.String(), b)
	}
}

func TestAnInterruptEndsTheReadingOfStdin(t *testing.T) {
	for _, words := range []string{
		"batch --name reg.example -f -",
		"login reg.example -u me --password-stdin",
		"import --name reg.example --source other.example/app:v1 -u me --password-stdin",
		"apply -",
		"transfer reg.example other.example --in-use -",
		"verify reg.example other.example --in-use -",
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		in, open := pipe(t)
		time.AfterFunc(10*time.Millisecond, interrupt)
		var out, err bytes.Buffer
		code := Main(ctx, strings.Fields(words), app.IO{In: in, Out: &out, Err: &err, Env: noEnv, Home: t.TempDir()})
		open()
		if code != 130 || !strings.HasPrefix(err.String(), "dray: interrupted") {
			t.Errorf("%s: code %d, %s", words, code, err.String())
		}
	}
}

// pipe returns a stdin to which nobody writes.
func pipe(t *testing.T) (*os.File, func()) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, func() { w.Close(); r.Close() }
}

func TestWhereWhatIsLeftCanNotBeWrittenTheCodeSaysSo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	src := testbed.Distribution(t, testbed.Options{Front: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { os.RemoveAll(dir); next.ServeHTTP(w, r) })
	}})
	var out, err bytes.Buffer
	code := Main(t.Context(), []string{"batch", "--name", "reg.example", "-f", "-", "--failed-to", filepath.Join(dir, "rest.txt")},
		app.IO{In: strings.NewReader(src.Host + "/gone:v1 oci:" + t.TempDir() + "/x:v1\n"), Out: &out, Err: &err, Env: noEnv})
	if code != 3 || !strings.Contains(err.String(), "dray: write "+dir) {
		t.Errorf("code %d, stderr %s", code, err.String())
	}
}
