package apply_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/testbed"
)

// childCopy names the variable with the errand of a child process: this test binary, which copies
// until it is killed.
const childCopy = "DRAY_TEST_COPY"

func TestMain(m *testing.M) {
	if raw := os.Getenv(childCopy); raw != "" {
		os.Exit(runErrand(raw))
	}
	os.Exit(m.Run())
}

// errand says what a child process does.
type errand struct {
	State, Source, Target string
	FileLimit             uint64 // the largest file that it may write; 0 does not limit it
}

func runErrand(raw string) int {
	var e errand
	if err := json.Unmarshal([]byte(raw), &e); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := e.limit(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	d, err := dray.New(dray.Config{StateDir: e.State, Settings: dray.Settings{PlainHTTP: true}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer d.Close()
	watch := func(v event.Event) {
		if v.Kind == event.Noted {
			fmt.Println(v.Text)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p, err := d.PlanCopy(ctx, dray.CopyRequest{Source: e.Source, Targets: []string{e.Target}}, watch)
	if err == nil {
		_, err = d.Apply(ctx, p, watch)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child is a copy that runs in its own process.
type child struct {
	cmd  *exec.Cmd
	out  strings.Builder
	done chan error
}

func send(t *testing.T, e errand) *child {
	t.Helper()
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(os.Args[0]), done: make(chan error, 1)}
	c.cmd.Env = append(os.Environ(), childCopy+"="+string(raw))
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.done <- c.cmd.Wait() }()
	return c
}

// wait waits until the child has ended successfully.
func (c *child) wait(t *testing.T) {
	t.Helper()
	if err := <-c.done; err != nil {
		t.Fatalf("%v\n%s", err, &c.out)
	}
}

// killAt kills the child as soon as reached returns true. It returns false if the child ended
// before that.
func (c *child) killAt(t *testing.T, reached func() bool) bool {
	t.Helper()
	for {
		select {
		case err := <-c.done:
			if err != nil {
				t.Fatalf("%v\n%s", err, &c.out)
			}
			return false
		case <-time.After(time.Millisecond):
			if reached() {
				_ = c.cmd.Process.Kill()
				<-c.done
				return true
			}
		}
	}
}

// slowly limits the download of a blob to 60 MiB/s for each request.
func slowly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && testbed.Parse(r.URL.Path).Kind == testbed.Blob {
			w = &slow{w}
		}
		next.ServeHTTP(w, r)
	})
}

type slow struct{ http.ResponseWriter }

func (s *slow) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		var m int
		m, err = s.ResponseWriter.Write(p[:min(len(p), 64<<10)])
		n, p = n+m, p[m:]
		time.Sleep(time.Millisecond)
	}
	return n, err
}

// arrivals reads the log of a target: how many bytes of which blob each upload request delivered.
type arrivals struct {
	t     *testing.T
	seen  int               // number of requests of the log that were read
	blobs map[string]string // session to digest
	bytes map[string]int64  // digest to bytes received
}

func newArrivals(t *testing.T) *arrivals {
	t.Helper()
	return &arrivals{t: t, blobs: map[string]string{}, bytes: map[string]int64{}}
}

func (a *arrivals) read(r *testbed.Registry) {
	all := r.Log()
	for _, q := range all[a.seen:] {
		if q.Kind != testbed.Upload || q.Method != "PUT" && q.Method != "PATCH" {
			continue
		}
		if query, err := url.ParseQuery(q.RawQuery); err == nil && query.Get("digest") != "" {
			a.blobs[q.Ref] = query.Get("digest")
		}
		a.bytes[a.blobs[q.Ref]] += q.In
	}
	a.seen = len(all)
}

const killSlack = 8 << 20 // bytes of a blob that may be read again

// Promise 3, with real processes: whenever a copy is killed, the next one sends nothing that had
// arrived again, and reads at most 8 MiB of each blob again.
func TestACopyThatIsKilledAnywhereGoesOnWithoutSendingAnythingTwice(t *testing.T) {
	targets := map[string]func(t *testing.T) *testbed.Registry{
		"distribution on disk": func(t *testing.T) *testbed.Registry {
			t.Helper()
			return testbed.Distribution(t, testbed.Options{Dir: t.TempDir()})
		},
		"dray serve": embedded,
	}
	src := testbed.Distribution(t, testbed.Options{Front: slowly})
	img := testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Layers: 2, Size: 17<<20 + 12345})
	for name, open := range targets {
		t.Run(name, func(t *testing.T) {
			k := &killer{t: t, src: src, dst: open(t), img: img, rand: rand.New(rand.NewPCG(5, uint64(len(name))))}
			kills := 10
			if testing.Short() {
				kills = 3
			}
			for n := 0; k.kills < kills; n++ {
				k.state = filepath.Join(t.TempDir(), "state") // of its own: with the state of the last round, the blobs would be mounted
				k.round(fmt.Sprintf("team/app%d", n))
			}
			t.Logf("%d kills, at most %d KiB of a blob read again, %d uploads resumed", k.kills, k.most>>10, k.again)
			if k.again == 0 {
				t.Error("no upload was resumed, so this test has shown nothing")
			}
		})
	}
}

func embedded(t *testing.T) *testbed.Registry {
	t.Helper()
	reg, err := registry.Open(t.Context(), registry.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reg.Close() })
	return testbed.Serve(t, reg, testbed.Options{})
}

type killer struct {
	t        *testing.T
	src, dst *testbed.Registry
	img      testbed.Image
	state    string
	rand     *rand.Rand

	kills, again int
	most         int64
}

// round copies to one repository, and kills the copy again and again until it succeeds.
func (k *killer) round(repo string) {
	k.t.Helper()
	k.dst.Reset()
	got := newArrivals(k.t)
	for {
		k.src.Reset()
		before, patches := k.received(), k.dst.Count("PATCH", testbed.Upload)
		c := send(k.t, errand{State: k.state, Source: k.src.Host + "/app:v1", Target: k.dst.Host + "/" + repo + ":v1"})
		point := before + k.rand.Int64N(14<<20)
		killed := c.killAt(k.t, func() bool { return k.received() > point })
		k.readAgain(got)
		k.again += k.dst.Count("PATCH", testbed.Upload) - patches
		if !killed {
			break
		}
		k.kills++
		k.opaque()
	}
	got.read(k.dst)
	for _, l := range k.img.Layers {
		if n := got.bytes[l.Digest.String()]; n != l.Size {
			k.t.Errorf("%d bytes of a blob of %d arrived\n%s", n, l.Size, k.dst.Story())
		}
	}
	testbed.Same(k.t, k.src, k.dst, "app", "v1", repo, "v1")
}

func (k *killer) received() int64 { in, _ := k.dst.Sent("", testbed.Upload); return in }

// readAgain compares the position from which each blob was read with what the target already had of
// it.
func (k *killer) readAgain(got *arrivals) {
	k.t.Helper()
	for _, q := range k.src.Log() {
		if q.Method != "GET" || q.Kind != testbed.Blob {
			continue
		}
		var from int64
		if value := q.Header.Get("Range"); value != "" {
			if _, err := fmt.Sscanf(value, "bytes=%d-", &from); err != nil {
				k.t.Fatal(err)
			}
		}
		again := got.bytes[q.Ref] - from
		k.most = max(k.most, again)
		if again < 0 || again > killSlack {
			k.t.Errorf("the target had %d bytes, the source was read from %d", got.bytes[q.Ref], from)
		}
	}
	time.Sleep(50 * time.Millisecond) // the registry still reads bytes from the kernel's buffer
	got.read(k.dst)
}

// opaque checks that the state directory has no readable text.
func (k *killer) opaque() {
	k.t.Helper()
	files, err := filepath.Glob(filepath.Join(k.state, "uploads", "*"))
	if err != nil || len(files) == 0 {
		k.t.Fatalf("no state: %v", err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			k.t.Fatal(err)
		}
		for _, word := range []string{"http", "127.0.0.1", "uploads", "_state", "sha256", "team"} {
			if strings.Contains(string(raw), word) {
				k.t.Errorf("a record contains %q in clear text", word)
			}
		}
	}
}

// Both copies succeed, and neither uses the other's upload.
func TestTwoProcessesAtOnceOnOneBlobBothSucceed(t *testing.T) {
	src, dst := testbed.Distribution(t, testbed.Options{Front: slowly}), testbed.Distribution(t, testbed.Options{Dir: t.TempDir()})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Layers: 1, Size: 17 << 20})
	e := errand{State: filepath.Join(t.TempDir(), "state"), Source: src.Host + "/app:v1", Target: dst.Host + "/app:v1"}
	all := []*child{send(t, e), send(t, e), send(t, e)}
	for _, c := range all {
		c.wait(t)
		if c.out.Len() > 0 {
			t.Error(c.out.String())
		}
	}
	testbed.Same(t, src, dst, "app", "v1", "app", "v1")
}

// docker-registry 2.8.2 drops an upload whose closing request was interrupted. The whole blob is
// sent again, and dray reports it.
func TestARegistryThatKeepsNoCutUploadGetsTheBlobAnewAndItIsTold(t *testing.T) {
	src, dst := testbed.Distribution(t, testbed.Options{Front: slowly}), testbed.DockerRegistry(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Layers: 1, Size: 17 << 20})
	e := errand{State: filepath.Join(t.TempDir(), "state"), Source: src.Host + "/app:v1", Target: dst.Host + "/app:v1"}
	if !send(t, e).killAt(t, func() bool { in, _ := dst.Sent("", testbed.Upload); return in > 10<<20 }) {
		t.Fatal("the copy ended before it was killed")
	}
	c := send(t, e)
	c.wait(t)
	if said := c.out.String(); !strings.Contains(said, ": 8 MiB are sent again: the registry ") {
		t.Errorf("output: %s", said)
	}
	testbed.Same(t, src, dst, "app", "v1", "app", "v1")
}
