//go:build unix

package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/calls"
	"github.com/drayage/dray/internal/testbed/temporal"
)

// The server that the test kills is the test program itself, in another process. These environment
// variables tell it what to serve.
const (
	childData   = "DRAY_SERVER_TEST_DATA"
	childListen = "DRAY_SERVER_TEST_LISTEN"
	childSource = "DRAY_SERVER_TEST_SOURCE"

	childCollect = "DRAY_SERVER_TEST_COLLECT" // only collects garbage in this data directory
)

func TestMain(m *testing.M) {
	if data := os.Getenv(childCollect); data != "" {
		collected, err := server.Collect(context.Background(), server.Config{Data: data}, registry.CollectOptions{Keep: -1, Untagged: true})
		fmt.Fprintln(os.Stderr, collected, err)
		os.Exit(0)
	}
	if data := os.Getenv(childData); data != "" {
		err := server.Run(context.Background(), server.Config{Data: data, Listen: os.Getenv(childListen),
			Dray:  dray.Config{Registries: map[string]dray.Registry{"src": {Host: os.Getenv(childSource), Settings: dray.Settings{PlainHTTP: true}}}},
			Log:   slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
			Ready: func(a net.Addr) { fmt.Println(a) }})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	engines.End()
	os.Exit(code)
}

// engines has the Temporal that the tests share.
var engines temporal.Servers

// child is a server in another process.
type child struct {
	t                    *testing.T
	data, listen, source string
	cmd                  *exec.Cmd
	traced               *calls.Process // instead of cmd
}

func (c *child) env() []string {
	return append(os.Environ(), childData+"="+c.data, childListen+"="+c.listen, childSource+"="+c.source)
}

func (c *child) start() {
	c.t.Helper()
	c.cmd, c.traced = exec.Command(os.Args[0]), nil
	c.cmd.Env = c.env()
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		c.kill()
		c.t.Fatalf("the server did not start: %v", err)
	}
}

// startTraced starts the server with on as the judge of what it writes to its data directory.
func (c *child) startTraced(on func(calls.Call) calls.Act) {
	c.t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		c.t.Fatal(err)
	}
	defer out.Close()
	c.traced = calls.Start(c.t, calls.Command{Args: []string{os.Args[0]}, Env: c.env(), Stdout: in, Stderr: os.Stderr, Below: []string{c.data}, On: on})
	in.Close()
	_, _ = bufio.NewReader(out).ReadString('\n') // it may be killed before it is ready
}

func (c *child) kill() {
	if c.traced != nil {
		c.traced.Kill()
		return
	}
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// kills returns how often the test kills the server; `make soak` sets a higher number.
func kills(t *testing.T) int {
	t.Helper()
	n := 4
	if s := os.Getenv("DRAY_SOAK"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// Whenever a kill -9 hits the server, every accepted job succeeds exactly once, and no tag of the
// embedded registry ever points to incomplete content.
func TestAServerThatIsKilledUnderLoadLosesNoJobAndSetsNoTagEarly(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	const images = 6
	for i := range images {
		testbed.Random(t, source, "app", fmt.Sprint("v", i), testbed.RandomOptions{Layers: 3, Size: 1 << 20, Seed: uint64(i + 1)})
	}
	c := &child{t: t, data: t.TempDir(), listen: freeAddr(t), source: source.Host}
	c.start()
	t.Cleanup(func() { c.kill() })
	client, err := client.New(client.Config{URL: "http://" + c.listen})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	var mu sync.Mutex
	accepted := map[string]string{} // target to id
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for worker := range 4 {
		load.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				target := fmt.Sprintf("w%d:n%d", worker, n)
				// All tries use the same key, so they create one job even if an answer is lost.
				j, err := submit(ctx, client, fmt.Sprintf("src/app:v%d", rand.IntN(images)), target)
				if err == nil {
					mu.Lock()
					accepted[target] = j.ID
					mu.Unlock()
				}
			}
		})
	}
	for range kills(t) {
		time.Sleep(time.Duration(200+rand.IntN(800)) * time.Millisecond) // kill at a random moment
		c.kill()
		c.start()
		tagsAreWhole(t, c.listen)
	}
	stop()
	load.Wait()
	jobs := ended(t, client)
	for target, id := range accepted {
		if jobs[id] != job.Done {
			t.Errorf("%s %s: %q", target, id, jobs[id])
		}
	}
	// When the load ended, each of the 4 workers may have had one submission without an answer.
	if len(jobs) > len(accepted)+4 {
		t.Errorf("%d jobs exist, but %d submissions were accepted", len(jobs), len(accepted))
	}
	t.Logf("%d jobs, %d of their tags checked", len(accepted), tagsAreWhole(t, c.listen))
}

// ended waits until every job has ended and returns the states of all jobs.
func ended(t *testing.T, client *client.Client) map[string]job.State {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	for {
		under, _, err := client.Jobs(ctx, job.Filter{States: []job.State{job.Queued, job.Running, job.Waiting}, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(under) == 0 {
			break
		}
		if _, err := client.Wait(ctx, under[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	states := map[string]job.State{}
	for after := ""; ; {
		page, next, err := client.Jobs(ctx, job.Filter{After: after, Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range page {
			states[j.ID] = j.State
		}
		if after = next; next == "" {
			return states
		}
	}
}

// submit repeats the same submission until the server answers.
func submit(ctx context.Context, c *client.Client, from, target string) (job.Job, error) {
	for {
		j, err := c.Submit(ctx, importing(from, "dray", target), client.How{Key: target})
		if err == nil || ctx.Err() != nil {
			return j, err
		}
		select {
		case <-ctx.Done():
			return j, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tagsAreWhole checks that the content of tags is complete: the first tag of each repository and some
// others. It returns how many tags it checked.
func tagsAreWhole(t *testing.T, addr string, authorization ...string) (n int) {
	t.Helper()
	get := func(method, path string) (int, []byte) {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, nil)
		req.Header["Authorization"] = authorization
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, raw
	}
	var catalog struct{ Repositories []string }
	_, raw := get("GET", "/v2/_catalog")
	_ = json.Unmarshal(raw, &catalog)
	for _, repo := range catalog.Repositories {
		var list struct{ Tags []string }
		_, raw := get("GET", "/v2/"+repo+"/tags/list")
		_ = json.Unmarshal(raw, &list)
		for i, tag := range list.Tags {
			if i > 20 && rand.IntN(len(list.Tags)) > 100 {
				continue
			}
			status, raw := get("GET", "/v2/"+repo+"/manifests/"+tag)
			var m v1.Manifest
			if err := json.Unmarshal(raw, &m); status != 200 || err != nil {
				t.Errorf("%s:%s: %d %s", repo, tag, status, raw)
				continue
			}
			for _, b := range append(m.Layers, m.Config) {
				if status, _ := get("HEAD", "/v2/"+repo+"/blobs/"+b.Digest.String()); status != 200 {
					t.Errorf("%s:%s lacks %s: %d", repo, tag, b.Digest, status)
				}
			}
			n++
		}
	}
	return n
}
