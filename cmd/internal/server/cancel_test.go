package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/testbed"
)

// phase is a kind of requests that a job sends to one side. Each kind belongs to one step of its work: looking,
// listing, reading documents, copying, committing, finding referrers.
type phase struct {
	side   string
	method string
	kind   testbed.Kind
}

// barrier stands before two registries. It holds the requests of one phase until their client gives up.
type barrier struct {
	mu      sync.Mutex
	closed  phase
	reached chan struct{} // it is closed when a request is held
}

// shut holds the requests of p from now on.
func (b *barrier) shut(p phase) (reached <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.reached = p, make(chan struct{})
	return b.reached
}

func (b *barrier) front(side string) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			p := phase{side, q.Method, testbed.Parse(q.URL.Path).Kind}
			b.mu.Lock()
			held := b.closed == p
			if held {
				select {
				case <-b.reached:
				default:
					close(b.reached)
				}
			}
			b.mu.Unlock()
			if !held {
				h.ServeHTTP(w, q)
				return
			}
			_, _ = io.Copy(io.Discard, q.Body) // only then the server notices that the client is gone
			<-q.Context().Done()
		})
	}
}

// canceling is a server with two registries, and what its jobs ask of these.
type canceling struct {
	*running
	barrier        barrier
	source, target *testbed.Registry
	client         *client.Client
	runs           int
	writes         atomic.Int64 // to the registries
}

// counted is a connection to a registry.
type counted struct {
	net.Conn
	writes *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func (c *canceling) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	return counted{conn, &c.writes}, err
}

func newCanceling(t *testing.T) *canceling {
	t.Helper()
	c := &canceling{}
	c.source = testbed.Distribution(t, testbed.Options{Content: testbed.Open, Front: c.barrier.front("source")})
	c.target = testbed.Distribution(t, testbed.Options{Content: testbed.Open, Front: c.barrier.front("target")})
	for _, repo := range []string{"team/app", "team/web"} {
		image := testbed.Random(t, c.source, repo, "v1", testbed.RandomOptions{Layers: 2, Size: 32 << 10})
		testbed.Artifact(t, c.source, repo, "", image.Root)
		testbed.Index(t, c.source, repo, "v2", 2)
	}
	testbed.Random(t, c.target, "own", "v1", testbed.RandomOptions{Layers: 1, Size: 1 << 10})
	c.start(t)
	return c
}

func (c *canceling) start(t *testing.T) {
	t.Helper()
	c.running = run(t, server.Config{Data: t.TempDir(), Slots: 1, Dray: dray.Config{Dial: c.dial,
		Registries: map[string]dray.Registry{"src": plainHTTP(c.source), "dst": plainHTTP(c.target)}}})
	c.client = c.remoteAs(credential.Secret{})
}

// request returns a request of a kind whose targets are new.
func (c *canceling) request(kind string) wire.Request {
	c.t.Helper()
	c.runs++
	to := fmt.Sprintf("run%d", c.runs)
	ends := wire.Ends{Sources: []string{"src/team/"}, Target: "dst/" + to + "/"}
	switch kind {
	case wire.KindImport:
		return importing("src/team/app:v2", "dst", to+":v2")
	case wire.KindCopy:
		return wire.Request{Kind: kind, Copy: &wire.Copy{Source: "src/team/app", Targets: []string{"dst/" + to}, All: "all"}}
	case wire.KindTag:
		return wire.Request{Kind: kind, Tag: &wire.Tag{Image: "dst/own:v1", Tags: []string{to}}}
	case wire.KindBatch:
		return wire.Request{Kind: kind, Batch: &wire.Batch{Target: "dst", Entries: []wire.BatchEntry{
			{Source: "src/team/app:v1", Targets: []string{to + "/app"}}, {Source: "src/team/web:v2", Targets: []string{to + "/web"}}}}}
	case wire.KindTransfer:
		return wire.Request{Kind: kind, Transfer: &wire.Transfer{Ends: ends}}
	case wire.KindPlan:
		return wire.Request{Kind: kind, Plan: &wire.Plan{Transfer: &wire.Transfer{Ends: ends}}}
	case wire.KindApply:
		return wire.Request{Kind: kind, Apply: &wire.Apply{Plan: c.finish(c.client, c.request(wire.KindPlan)).ID}}
	case wire.KindVerify:
		ends.Target = "dst/verified/"
		return wire.Request{Kind: kind, Verify: &wire.Verify{Ends: ends, Depth: "rehash", Heal: true}}
	}
	c.t.Fatalf("no request of kind %s", kind)
	return wire.Request{}
}

// phases runs a job to its end, and returns what it sends.
func (c *canceling) phases(kind string) (all []phase) {
	c.t.Helper()
	q := c.request(kind)
	c.source.Reset()
	c.target.Reset()
	if j := c.finish(c.client, q); j.State != job.Done {
		c.t.Fatalf("%s: %s: %+v", kind, j.State, j.Failure)
	}
	for side, r := range map[string]*testbed.Registry{"source": c.source, "target": c.target} {
		for _, got := range r.Log() {
			if p := (phase{side, got.Method, got.Kind}); !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}

// reaches waits until a job sends a request that is held. It reports false if the job ends without one.
func (c *canceling) reaches(id string, held <-chan struct{}) bool {
	c.t.Helper()
	ctx, done := context.WithTimeout(c.t.Context(), time.Minute)
	defer done()
	ended := make(chan error, 1)
	go func() { _, err := c.client.Wait(ctx, id); ended <- err }()
	select {
	case <-held:
		return true
	case err := <-ended:
		if err != nil {
			c.t.Fatal(err)
		}
		return false
	}
}

// cancel cancels a job, and waits until it has ended. The work of the job must end too, and nothing of it may be sent
// after that was said.
func (c *canceling) cancel(id, when string) {
	c.t.Helper()
	ctx, done := context.WithTimeout(c.t.Context(), time.Minute)
	defer done()
	if _, err := c.client.Cancel(ctx, id); err != nil {
		c.t.Fatal(err)
	}
	j, err := c.client.Wait(ctx, id)
	if err != nil || j.State != job.Canceled {
		c.t.Fatalf("%s: %s: %+v, %v", when, j.State, j.Failure, err)
	}
	sent := c.writes.Load()
	if left := c.working(func(stacks []string) bool { return len(stacks) == 0 }); len(left) > 0 {
		c.t.Fatalf("%s: the job is canceled, and its work goes on:\n%s", when, left[0])
	}
	if more := c.writes.Load() - sent; more > 0 {
		c.t.Errorf("%s: something is sent %d times after the job is canceled\n%s%s", when, more, c.source.Story(), c.target.Story())
	}
}

// working waits until the goroutines that work on jobs are as enough says, and returns their stacks.
func (c *canceling) working(enough func(stacks []string) bool) (stacks []string) {
	buf := make([]byte, 4<<20)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		stacks = nil
		for s := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(s, "/cmd/internal/verb.") || strings.Contains(s, "/internal/migrate.") ||
				strings.Contains(s, "/internal/survey.") || strings.Contains(s, "/internal/transfer.") || strings.Contains(s, "/internal/apply.") {
				stacks = append(stacks, s)
			}
		}
		if enough(stacks) || time.Now().After(end) {
			return stacks
		}
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestACancelEndsAJobOfEachKindInEachOfItsPhases(t *testing.T) {
	c := newCanceling(t)
	j := c.finish(c.client, wire.Request{Kind: wire.KindTransfer, Transfer: &wire.Transfer{
		Ends: wire.Ends{Sources: []string{"src/team/"}, Target: "dst/verified/"}}})
	if j.State != job.Done {
		t.Fatalf("%+v", j.Failure)
	}
	before := heap()
	for _, kind := range wire.Kinds() {
		t.Run(kind, func(t *testing.T) {
			c.t = t
			all := c.phases(kind)
			if least := map[string]int{wire.KindTag: 2, wire.KindPlan: 4, wire.KindVerify: 4}[kind]; len(all) < max(least, 2) {
				t.Errorf("it has only the phases %v", all)
			}
			canceled := 0
			for _, p := range all {
				q := c.request(kind)
				reached := c.barrier.shut(p)
				j, err := c.client.Submit(t.Context(), q, client.How{})
				if err != nil {
					t.Fatal(err)
				}
				if !c.reaches(j.ID, reached) {
					continue // the order of requests differs from run to run, and so does what is known of blobs
				}
				c.cancel(j.ID, fmt.Sprintf("%s at the %s, %s %s", kind, p.side, p.method, p.kind))
				c.barrier.shut(phase{})
				canceled++
			}
			if canceled < len(all)/2 {
				t.Errorf("it was canceled in %d of %d phases only", canceled, len(all))
			}
		})
	}
	c.t = t
	c.cancelQueued()
	if grown := heap() - before; grown > 32<<20 {
		t.Errorf("the heap is larger than before by %d MiB", grown>>20)
	}
}

// cancelQueued cancels a job that waits for the only slot.
func (c *canceling) cancelQueued() {
	c.t.Helper()
	reached := c.barrier.shut(phase{"source", "GET", testbed.Catalog})
	first, err := c.client.Submit(c.t.Context(), c.request(wire.KindTransfer), client.How{})
	if err != nil {
		c.t.Fatal(err)
	}
	<-reached
	second, err := c.client.Submit(c.t.Context(), c.request(wire.KindImport), client.How{})
	if err != nil {
		c.t.Fatal(err)
	}
	if j, err := c.client.Cancel(c.t.Context(), second.ID); err != nil || j.State != job.Canceled {
		c.t.Errorf("a queued job is %s after a cancel: %v", j.State, err)
	}
	c.cancel(first.ID, "while another job was queued")
}

// slowRules are rules within their limits that take many seconds for the names of the registry of slow.
func slowRules() []string {
	return slices.Repeat([]string{"s/^(?:a?){240}b/b/"}, 27)
}

// slow returns a front of a registry whose catalog and lists of tags have thousands of long names.
func slow(h http.Handler) http.Handler {
	var names []string
	for i := range 5000 {
		names = append(names, strings.Repeat("a", 100)+fmt.Sprintf("%028d", i))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch testbed.Parse(q.URL.Path).Kind {
		case testbed.Tags:
			_ = json.NewEncoder(w).Encode(map[string]any{"name": "app", "tags": names})
		case testbed.Catalog:
			_ = json.NewEncoder(w).Encode(map[string]any{"repositories": names})
		default:
			h.ServeHTTP(w, q)
		}
	})
}

func TestACancelEndsWorkThatSendsNothing(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{Content: testbed.Open, Front: slow})
	target := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	c := &canceling{source: source, target: target}
	c.start(t)
	tags := wire.Tagging{Rename: slowRules()}
	image := func() wire.Ends { return wire.Ends{Sources: []string{"src/app"}, Target: "dst/app"} }
	renames := image()
	renames.Tagging = tags
	selects, backtracks := image(), image()
	selects.Selection.IncludeTags = []string{"re:(?:a?){900}b", "re:(?:a?){901}b", "re:(?:a?){902}b"}
	backtracks.Selection.ExcludeTags = []string{`re:(?=(a+))(a?){60}\1b`}
	whole := wire.Ends{Sources: []string{"src"}, Target: "dst", Mapping: wire.Mapping{Rename: slowRules()}}
	chosen := wire.Ends{Sources: []string{"src"}, Target: "dst"}
	chosen.Selection.Ignore = selects.Selection.IncludeTags
	for what, q := range map[string]wire.Request{
		"renames tags":         {Kind: wire.KindTransfer, Transfer: &wire.Transfer{Ends: renames}},
		"renames repositories": {Kind: wire.KindTransfer, Transfer: &wire.Transfer{Ends: whole}},
		"selects tags":         {Kind: wire.KindTransfer, Transfer: &wire.Transfer{Ends: selects}},
		"selects repositories": {Kind: wire.KindPlan, Plan: &wire.Plan{Transfer: &wire.Transfer{Ends: chosen}}},
		"backtracks":           {Kind: wire.KindPlan, Plan: &wire.Plan{Transfer: &wire.Transfer{Ends: backtracks}}},
		"verifies":             {Kind: wire.KindVerify, Verify: &wire.Verify{Ends: renames}},
		"copies":               {Kind: wire.KindCopy, Copy: &wire.Copy{Source: "src/app", Targets: []string{"dst/app"}, All: "all", Tagging: tags}},
		"tags":                 {Kind: wire.KindTag, Tag: &wire.Tag{Image: "src/app", Tagging: tags}},
	} {
		t.Run(what, func(t *testing.T) {
			c.t = t
			j, err := c.client.Submit(t.Context(), q, client.How{})
			if err != nil {
				t.Fatal(err)
			}
			busy := func(stacks []string) bool {
				return slices.ContainsFunc(stacks, func(s string) bool { return strings.Contains(s, "/internal/expression.") })
			}
			if !busy(c.working(busy)) {
				now, err := c.client.Job(t.Context(), j.ID)
				t.Fatalf("it does no work: %s %+v %v\n%s", now.State, now.Failure, err, source.Story())
			}
			c.cancel(j.ID, what)
		})
	}
}
