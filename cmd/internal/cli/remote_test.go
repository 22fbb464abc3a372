package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/database"
)

// ulid is the form of a job's id.
var ulid = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{26}$`)

// served is a server in its own process.
type served struct {
	*exec.Cmd
	host string
}

// startServer runs dray serve as a process.
func startServer(t *testing.T, data, listen string, more ...string) served {
	t.Helper()
	cmd := exec.Command(executable(t), append([]string{"serve", "--listen", listen, "--data", data, "--egress", "127.0.0.0/8"}, more...)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "DRAY_CONFIG=", "DRAY_DATABASE=")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := served{Cmd: cmd}
	t.Cleanup(s.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	s.host = strings.TrimSpace(line)
	return s
}

// executable returns this test as the program dray.
func executable(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "dray")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	return program
}

// kill is kill -9.
func (s served) kill() {
	if s.ProcessState == nil {
		s.Process.Kill()
		s.Wait()
	}
}

// slow holds the first blob back until the test continues, and reports when it was requested.
func slow(asked chan<- struct{}, goOn <-chan struct{}) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && testbed.Parse(r.URL.Path).Kind == testbed.Blob {
				select {
				case asked <- struct{}{}:
				default:
				}
				select {
				case <-goOn:
				case <-r.Context().Done():
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

func TestWaitingOutlivesAServerThatWasKilled(t *testing.T) {
	asked, goOn := make(chan struct{}, 1), make(chan struct{})
	src := testbed.Distribution(t, testbed.Options{Front: slow(asked, goOn)})
	dst := testbed.Distribution(t, testbed.Options{})
	image := testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Size: 4096})
	data := filepath.Join(t.TempDir(), "data")
	first := startServer(t, data, "127.0.0.1:0")

	type result struct {
		code     int
		out, err string
	}
	ended := make(chan result, 1)
	go func() {
		var out, err bytes.Buffer
		code := program(context.Background(), []string{"copy", src.Host + "/app:v1", dst.Host + "/app:v1", "--server", "http://" + first.host},
			app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv})
		ended <- result{code, out.String(), err.String()}
	}()
	<-asked
	first.kill()
	close(goOn)
	startServer(t, data, first.host)
	r := <-ended
	if want := dst.Host + "/app:v1@" + image.Digest() + "\n"; r.code != 0 || r.out != want || !strings.Contains(r.err, "copied 1 tag") {
		t.Errorf("code %d, stdout %q, stderr %q", r.code, r.out, r.err)
	}
}

func TestAServerThatDoesNotAnswerAnyMoreIsSaidAtOnce(t *testing.T) {
	asked, goOn := make(chan struct{}, 1), make(chan struct{})
	defer close(goOn)
	src := testbed.Distribution(t, testbed.Options{Front: slow(asked, goOn)})
	dst := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Size: 4096})
	data := filepath.Join(t.TempDir(), "data")
	server := startServer(t, data, "127.0.0.1:0")
	ctx, interrupt := context.WithCancel(t.Context())
	said, err := io.Pipe()
	left := make(chan int, 1)
	go func() {
		left <- program(ctx, []string{"copy", src.Host + "/app:v1", dst.Host + "/app:v1", "--server", "http://" + server.host},
			app.IO{In: strings.NewReader(""), Out: io.Discard, Err: err, Env: noEnv})
		err.Close()
	}()
	<-asked
	server.kill()
	lines := bufio.NewScanner(said)
	next := func(want string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		t.Fatalf("not said: %s", want)
	}
	start := time.Now()
	next("dray: the server does not answer since ")
	if took := time.Since(start); took > 8*time.Second { // before the first line of progress
		t.Errorf("it was said after %s", took)
	}
	server = startServer(t, data, server.host)
	next("dray: the server answers again")
	server.kill()
	next("dray: the server does not answer since ")
	interrupt()
	next("dray: interrupted: the server does not answer; job ")
	if !strings.Contains(lines.Text(), " continues when it is back; to see it: ") {
		t.Error(lines.Text())
	}
	for lines.Scan() { // lets the program write the rest
	}
	if code := <-left; code != 130 {
		t.Error(code)
	}
}

func TestAnInterruptLeavesTheJobToTheServerAndSaysHowToFindIt(t *testing.T) {
	asked, goOn := make(chan struct{}, 1), make(chan struct{})
	src := testbed.Distribution(t, testbed.Options{Front: slow(asked, goOn)})
	dst := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Size: 4096})
	server := startServer(t, filepath.Join(t.TempDir(), "data"), "127.0.0.1:0")
	url := "http://" + server.host
	for _, format := range []string{"text", "json"} {
		ctx, interrupt := context.WithCancel(t.Context())
		var out, err bytes.Buffer
		world := app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv}
		left := make(chan int, 1)
		go func() {
			left <- program(ctx, []string{"copy", src.Host + "/app:v1", dst.Host + "/app:" + format, "--server", url, "-o", format}, world)
		}()
		<-asked
		interrupt()
		code := <-left
		_, id, _ := strings.Cut(err.String(), "job ")
		id, _, _ = strings.Cut(id, " ")
		if code != 130 || !ulid.MatchString(id) || !strings.Contains(err.String(), "dray jobs cancel "+id) {
			t.Fatalf("code %d, stdout %q, stderr %q", code, out.String(), err.String())
		}
		var told struct{ ID string }
		if format == "json" && (json.Unmarshal(out.Bytes(), &told) != nil || told.ID != id) {
			t.Errorf("%s: %q", id, out.String())
		}
		world.Out, world.Err = io.Discard, io.Discard
		if format == "text" {
			if code := program(t.Context(), []string{"jobs", "cancel", id, "--server", url}, world); code != 0 {
				t.Errorf("cancel: %d", code)
			}
			if code := program(t.Context(), []string{"jobs", "wait", id, "--server", url}, world); code != 130 {
				t.Errorf("wait for a canceled job: %d", code)
			}
			continue
		}
		close(goOn)
		if code := program(t.Context(), []string{"jobs", "watch", id, "--server", url}, world); code != 0 {
			t.Errorf("watch: %d", code)
		}
	}
}

func TestAServerThatIsNotThereIsSaidInOneLine(t *testing.T) {
	var out, err bytes.Buffer
	code := program(t.Context(), []string{"jobs", "list", "--server", "http://127.0.0.1:1"}, app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv})
	if code != 1 || strings.Count(err.String(), "\n") != 1 || !strings.Contains(err.String(), "hint: check that a dray server is running there") {
		t.Errorf("code %d, stderr %q", code, err.String())
	}
}

func TestAWorkerDoesWhatAServerAccepts(t *testing.T) {
	src, dst := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	image := testbed.Random(t, src, "app", "v1", testbed.RandomOptions{})
	dir := t.TempDir()
	config := filepath.Join(dir, "dray.yaml")
	if err := os.WriteFile(config, []byte("server: {database-env: THE_DATABASE, secrets: {key-file: key}, egress: {allow: [127.0.0.0/8]}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	database, engine := database.Postgres(t), engines.Namespace(t)
	env := func(name string) string {
		return map[string]string{"THE_DATABASE": database, "DRAY_ENGINE": engine}[name]
	}
	run := func(args ...string) (address string) {
		ctx, stop := context.WithCancel(context.Background())
		out, pipe := io.Pipe()
		ended := make(chan int, 1)
		var said bytes.Buffer
		go func() {
			code := program(ctx, append(args, "--config", config), app.IO{In: strings.NewReader(""), Out: pipe, Err: &said, Env: env})
			pipe.Close()
			ended <- code
		}()
		t.Cleanup(func() {
			stop()
			if code := <-ended; code != 0 {
				t.Errorf("%s: code %d, stderr %s", args[0], code, said.String())
			}
		})
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(args[0], err)
		}
		return strings.TrimSpace(line)
	}
	host := run("serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "server"), "--slots", "-1")
	run("worker", "--ops", "127.0.0.1:0", "--data", filepath.Join(dir, "worker"))
	var out, err bytes.Buffer
	code := program(t.Context(), []string{"copy", src.Host + "/app:v1", dst.Host + "/app:v1", "--server", "http://" + host},
		app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv})
	if want := dst.Host + "/app:v1@" + image.Digest() + "\n"; code != 0 || out.String() != want {
		t.Errorf("code %d, stdout %q, stderr %q", code, out.String(), err.String())
	}
}

func TestAJobThatIsCanceledSaysWhatIsNotFinished(t *testing.T) {
	list := filepath.Join(t.TempDir(), "again.txt")
	for words, want := range map[string]string{
		"copy":                         "dray: canceled: 0 of 1 step done, 1 not finished; to continue: dray jobs retry ",
		"transfer --failed-to " + list: "dray: canceled: 0 tags done, 1 not finished; to continue: dray jobs retry ",
	} {
		asked, goOn := make(chan struct{}, 9), make(chan struct{})
		src := testbed.Distribution(t, testbed.Options{Front: slow(asked, goOn)})
		dst := testbed.Distribution(t, testbed.Options{})
		testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Size: 4096})
		url := "http://" + startServer(t, filepath.Join(t.TempDir(), "data"), "127.0.0.1:0").host
		var out, err, listed bytes.Buffer
		world := app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv}
		ended := make(chan int, 1)
		args := append(strings.Fields(words), src.Host+"/app:v1", dst.Host+"/app:v1", "--server", url)
		if args[0] == "transfer" {
			args = append(strings.Fields(words), src.Host+"/app", dst.Host+"/app", "--server", url)
		}
		go func() { ended <- program(t.Context(), args, world) }()
		<-asked
		world.Out, world.Err = &listed, io.Discard
		program(t.Context(), []string{"jobs", "list", "--server", url, "-o", "tsv"}, world)
		id, _, _ := strings.Cut(listed.String(), "\t")
		if code := program(t.Context(), []string{"jobs", "cancel", id, "--server", url}, world); code != 0 {
			t.Errorf("cancel %q: %d", id, code)
		}
		code := <-ended
		close(goOn)
		if code != 130 || !strings.HasSuffix(err.String(), want+id+" --server "+url+"\n") || strings.Contains(err.String(), "failed") {
			t.Errorf("%s: code %d, stderr %s", words, code, err.String())
		}
		listed.Reset()
		program(t.Context(), []string{"jobs", "show", id, "--server", url}, world)
		if !strings.Contains(listed.String(), "0 of 1 step done, 1 not finished") {
			t.Errorf("%s: jobs show: %s", words, listed.String())
		}
		listed.Reset()
		program(t.Context(), []string{"jobs", "logs", id, "--server", url}, world)
		if !strings.Contains(listed.String(), " canceled: ") {
			t.Errorf("%s: jobs logs: %q", words, listed.String())
		}
		if args[0] == "transfer" && !strings.Contains(err.String(), "1 image left to do, listed in ") {
			t.Errorf("%s", err.String())
		}
	}
}
