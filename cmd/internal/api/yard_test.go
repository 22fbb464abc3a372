package api_test

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/access/egress"
	"github.com/drayage/dray/cmd/internal/api"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/testbed"
)

// yard is a server with two registries. Its principals are root, an admin; ann and bob, submitters
// that may do everything with both registries; rita, a reader that may read everything; and otto, a
// submitter whose rules name another registry only.
type yard struct {
	t        testing.TB
	src, dst *testbed.Registry
	db       *store.DB
	access   *access.Access
	queue    *job.Queue
	verb     *verb.Service
	server   *httptest.Server
	tokens   map[string]string
	path     string

	mu    sync.Mutex
	clock time.Time
}

func rules() []access.Rule {
	all := []string{"**"}
	return []access.Rule{
		{Principals: []string{"ann", "bob"}, Verbs: []string{"*"}, Sources: all, Targets: all, Rights: access.Rights},
		{Principals: []string{"rita"}, Verbs: []string{"*"}, Sources: all, Targets: all},
		{Principals: []string{"otto"}, Verbs: []string{"*"}, Sources: []string{"elsewhere.example/**"}, Targets: []string{"elsewhere.example/**"}, Rights: access.Rights},
	}
}

type settings struct {
	proxy func(http.Handler) http.Handler
	idle  bool // no worker runs until work is called
	beat  time.Duration
	src   *testbed.Registry
	dst   *testbed.Registry

	database      string // "" means a SQLite file
	queued        int    // the most queued jobs of one principal; 0 means no limit
	streams, held *access.Places
	uploads       *access.Places
	memory        *memory.Budget // nil means that of api.New
}

func newYard(tb testing.TB, s settings) *yard {
	tb.Helper()
	open := testbed.Options{Content: testbed.Open}
	y := &yard{t: tb, src: s.src, dst: s.dst, tokens: map[string]string{}, clock: time.Now(), path: filepath.Join(tb.TempDir(), "dray.db")}
	if y.src == nil {
		y.src = testbed.Distribution(tb, open)
	}
	if y.dst == nil {
		y.dst = testbed.Distribution(tb, open)
	}
	ctx := tb.Context()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	var err error
	y.db, err = store.Open(ctx, cmp.Or(s.database, "sqlite:"+y.path))
	must(err)
	tb.Cleanup(func() { y.db.Close() })
	vault, err := access.OpenVault(ctx, access.KeySource{File: filepath.Join(tb.TempDir(), "key")})
	must(err)
	y.access, err = access.Open(ctx, access.Config{DB: y.db, Vault: vault, Rules: rules(), Clock: y.now})
	must(err)
	queue := job.Config{DB: y.db, Seal: vault, Grace: time.Second, QueuedMost: s.queued}
	if y.db.Postgres() {
		queue.Engine = suite.Divide
	}
	y.queue, err = job.Open(ctx, queue)
	must(err)
	guard := &egress.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	d, err := dray.New(dray.Config{Dial: guard.Dial, Logins: credential.Chain{y.access.Lookup}, Registries: map[string]dray.Registry{
		"src": {Host: y.src.Host, Settings: dray.Settings{PlainHTTP: true}},
		"dst": {Host: y.dst.Host, Settings: dray.Settings{PlainHTTP: true}},
	}})
	must(err)
	tb.Cleanup(d.Close)
	y.verb = verb.New(verb.Config{Dray: d, Queue: y.queue, Access: y.access, DB: y.db})
	handler := api.New(api.Config{Verb: y.verb, Queue: y.queue, Access: y.access, Heartbeat: s.beat, Streams: s.streams, Held: s.held, Uploads: s.uploads, Memory: s.memory,
		Registries: wire.Registries{Registries: []wire.Registry{{Name: "dst", Host: y.dst.Host}, {Name: "src", Host: y.src.Host}}}})
	if s.proxy != nil {
		handler = s.proxy(handler)
	}
	y.server = httptest.NewServer(handler)
	tb.Cleanup(y.server.Close)
	for name, role := range map[string]access.Role{"root": access.Admin, "ann": access.Submitter, "bob": access.Submitter, "rita": access.Reader, "otto": access.Submitter} {
		secret, _, err := y.access.NewToken(ctx, access.Token{Name: name, Principal: name, Role: role, By: "test"})
		must(err)
		y.tokens[name] = secret.Reveal()
	}
	if !s.idle {
		y.work()
	}
	return y
}

func (y *yard) now() time.Time {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.clock
}

// work starts a worker. The cleanup of the test stops it before it closes the database.
func (y *yard) work() {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = y.queue.Work(ctx, 4, y.verb) })
	y.t.Cleanup(func() { stop(); wg.Wait() })
}

func (y *yard) client(name string) *client.Client {
	y.t.Helper()
	c, err := client.New(client.Config{URL: y.server.URL, Token: credential.New(y.tokens[name])})
	if err != nil {
		y.t.Fatal(err)
	}
	y.t.Cleanup(c.Close)
	return c
}

// done submits r as ann, waits for the end of the job and checks that it ended in state.
func (y *yard) done(r wire.Request, state wire.State) wire.Job {
	y.t.Helper()
	c := y.client("ann")
	j, err := c.Submit(y.t.Context(), r, client.How{Wait: 20 * time.Second})
	if err != nil {
		y.t.Fatal(err)
	}
	return y.ended(c, j, state)
}

func (y *yard) ended(c *client.Client, j wire.Job, state wire.State) wire.Job {
	y.t.Helper()
	if !j.State.Ended() {
		var err error
		if j, err = c.Wait(y.t.Context(), j.ID); err != nil {
			y.t.Fatal(err)
		}
	}
	if j.State != state {
		y.t.Fatalf("%s is %s, want %s: %+v", j.Kind, j.State, state, j.Failure)
	}
	return j
}

// report reads the report of a job into out.
func (y *yard) report(id string, out any) {
	y.t.Helper()
	raw, err := y.client("ann").Report(y.t.Context(), id)
	if err == nil {
		err = json.Unmarshal(raw, out)
	}
	if err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) steps(id string) []dray.StepReport {
	y.t.Helper()
	var all []dray.StepReport
	err := y.client("ann").Items(y.t.Context(), id, func(it wire.Item) error {
		var s dray.StepReport
		err := json.Unmarshal(it.Data, &s)
		all = append(all, s)
		return err
	})
	if err != nil {
		y.t.Fatal(err)
	}
	return all
}

func (y *yard) image(repo, tag string, seed uint64) testbed.Image {
	return testbed.Random(y.t, y.src, repo, tag, testbed.RandomOptions{Seed: seed, Layers: 2, Size: 64 << 10})
}

func importing(source string, images ...string) wire.Request {
	return wire.Request{Kind: wire.KindImport, Import: &wire.Import{Source: source, Target: "dst", Images: images}}
}
