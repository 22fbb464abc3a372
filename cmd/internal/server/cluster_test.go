package server_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/pool"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/database"
)

// work starts a worker of c and stops it at the end of the test, or when stop is called.
func work(t *testing.T, c server.Config) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan net.Addr, 1), make(chan error, 1)
	c.Data, c.Ready = t.TempDir(), func(a net.Addr) { ready <- a }
	go func() { ended <- server.Worker(ctx, c) }()
	stopped := false
	stop = func() {
		if cancel(); !stopped {
			stopped = true
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	select {
	case <-ready:
	case err := <-ended:
		stopped = true
		t.Fatal(err)
	}
	return stop
}

func done(t *testing.T, c *client.Client, id string) job.Job {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	j, err := c.Wait(ctx, id)
	if err != nil || j.State != job.Done {
		t.Fatalf("%+v %v %+v", j, err, j.Failure)
	}
	return j
}

// This test runs two servers and two workers on one PostgreSQL and one Temporal.
func TestManyMachines(t *testing.T) {
	shared := server.Config{
		Database: database.Postgres(t),
		Engine:   engines.Namespace(t),
		Key:      access.KeySource{File: filepath.Join(t.TempDir(), "key")},
		Pools:    pool.Pools{},
	}
	source := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	zone := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	image := testbed.Random(t, source, "app", "v1", testbed.RandomOptions{Layers: 1, Size: 1 << 10})
	shared.Dray = dray.Config{Registries: map[string]dray.Registry{"src": plainHTTP(source), "zone": plainHTTP(zone)}}
	shared.Pools["zone-b"] = []string{zone.Host}

	serve := func() *running {
		c := shared
		c.Data = t.TempDir()
		return run(t, c)
	}
	a, b := serve(), serve()
	ca, cb := a.remoteAs(credential.Secret{}), b.remoteAs(credential.Secret{})
	stop := work(t, shared)

	t.Run("a check tests the database, the engine and whether they fit", func(t *testing.T) {
		for bad, change := range map[string]func(*server.Config){
			"":              func(*server.Config) {},
			"engine":        func(c *server.Config) { c.Engine = "temporal://127.0.0.1:1/dray" },
			"database":      func(c *server.Config) { c.Database = "postgres://dray@127.0.0.1:1/dray" },
			"configuration": func(c *server.Config) { c.Engine = "" },
		} {
			c := shared
			c.Data, c.Listen = t.TempDir(), "127.0.0.1:0"
			change(&c)
			found := ""
			for _, f := range server.Check(t.Context(), c) {
				if !f.OK {
					found += f.What
				}
			}
			if found != bad {
				t.Errorf("bad are %q, want %q", found, bad)
			}
		}
	})
	t.Run("a job that names no registry lands on the server that accepted it", func(t *testing.T) {
		var ids []string
		for i := range 8 {
			c := []*client.Client{ca, cb}[i%2]
			j, err := c.Submit(t.Context(), importing("src/app:v1", "", fmt.Sprintf("landed-%d:v1", i)), client.How{})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(j.Pool, "own-") {
				t.Errorf("pool %q", j.Pool)
			}
			ids = append(ids, j.ID)
		}
		for i, id := range ids {
			done(t, []*client.Client{cb, ca}[i%2], id) // also seen from the other server
			here, there := []*running{a, b}[i%2], []*running{a, b}[(i+1)%2]
			path := fmt.Sprintf("/v2/landed-%d/manifests/v1", i)
			got := here.as("", "GET", path, nil)
			if digest := got.Header.Get("Docker-Content-Digest"); digest != image.Digest() {
				t.Errorf("job %d: the server that accepted it has %q, status %d", i, digest, got.StatusCode)
			}
			if got := there.as("", "GET", path, nil).StatusCode; got != http.StatusNotFound {
				t.Errorf("job %d: the other server answers %d", i, got)
			}
		}
	})
	t.Run("workers are seen, and a job waits for its pool", func(t *testing.T) {
		all, err := ca.Workers(t.Context())
		kinds := map[string]int{}
		for _, w := range all {
			if kinds[w.Kind]++; !w.Alive || w.Slots != 4 {
				t.Errorf("%+v", w)
			}
		}
		if err != nil || kinds["server"] != 2 || kinds["worker"] != 1 {
			t.Errorf("%+v %v", all, err)
		}
		j, err := ca.Submit(t.Context(), importing("src/app:v1", "zone", "app:v1"), client.How{})
		if err != nil || j.Pool != "zone-b" {
			t.Fatalf("%+v %v", j, err)
		}
		seen := ""
		watch, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for e, err := range cb.Watch(watch, j.ID, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == wire.BlockedEvent {
				seen = string(e.Data)
				break
			}
		}
		if got, err := cb.Job(t.Context(), j.ID); err != nil || got.Blocked != "no worker serves pool zone-b" || !strings.Contains(seen, got.Blocked) {
			t.Errorf("blocked %q, watched %s, %v", got.Blocked, seen, err)
		}
		resp := a.as("", "GET", "/readyz", nil)
		if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || !strings.Contains(string(text), "1 job waits, and no worker serves pool zone-b") {
			t.Errorf("%d %s", resp.StatusCode, text)
		}
		zoned := shared
		zoned.Serves = []string{"zone-b"}
		work(t, zoned)
		done(t, ca, j.ID)
		testbed.Same(t, source, zone, "app", "v1", "app", "v1")
	})
	t.Run("a job for this server's registry and a pool that it does not serve is refused", func(t *testing.T) {
		_, err := ca.Submit(t.Context(), importing("zone/app:v1", "", "both:v1"), client.How{})
		if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "does not serve the pool zone-b") {
			t.Error(err)
		}
	})
	t.Run("when a worker has gone, the others go on", func(t *testing.T) {
		stop()
		j, err := ca.Submit(t.Context(), importing("src/app:v1", "src", "again:v1"), client.How{})
		if err != nil || j.Pool != "" {
			t.Fatalf("%+v %v", j, err)
		}
		done(t, cb, j.ID)
	})
}

// A worker starts before its database, says what it waits for, and works when the database is there.
func TestAWorkerThatStartsFirstWaits(t *testing.T) {
	db := database.Postgres(t)
	at, err := url.Parse(db)
	if err != nil {
		t.Fatal(err)
	}
	behind := freeAddr(t)
	there := at.Host
	at.Host = behind
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ops, ready, ended := freeAddr(t), make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- server.Worker(ctx, server.Config{Data: t.TempDir(), Database: at.String(), Engine: engines.Namespace(t), Ops: ops,
			Ready: func(a net.Addr) { ready <- a }})
	}()
	ask := func(path string) (int, string) {
		for range 400 {
			if resp, err := http.Get("http://" + ops + path); err == nil {
				text, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if !strings.Contains(string(text), "process: starting") {
					return resp.StatusCode, string(text)
				}
			}
			time.Sleep(50 * time.Millisecond)
		}
		return 0, ""
	}
	if code, text := ask("/healthz"); code != 200 {
		t.Errorf("%d %s", code, text)
	}
	if code, text := ask("/readyz"); code != 503 || !strings.Contains(text, "database: waiting until it answers") {
		t.Errorf("%d %s", code, text)
	}
	l, err := net.Listen("tcp", behind)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer from.Close()
				to, err := net.Dial("tcp", there)
				if err != nil {
					return
				}
				defer to.Close()
				go func() { _, _ = io.Copy(to, from); to.Close() }()
				_, _ = io.Copy(from, to)
			}()
		}
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("the worker does not find its database")
	}
	if code, text := ask("/readyz"); code != 200 {
		t.Errorf("%d %s", code, text)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// One transfer from a source that limits each client gets faster with each worker. The source tells clients apart by
// their User-Agent, as a registry does by their address, which all workers of one machine share.
func TestFourWorkersAreThreeTimesAsFastAsOne(t *testing.T) {
	if os.Getenv("DRAY_SOAK") == "" {
		t.Skip("SKIPPED: it compares times, which needs a quiet machine: make soak")
	}
	const repositories, gap = 80, 600 * time.Millisecond // between two manifests of one client
	var mu sync.Mutex
	next := map[string]time.Time{}
	limited := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/manifests/") && strings.HasPrefix(r.UserAgent(), "worker") {
				mu.Lock()
				at := next[r.UserAgent()]
				if now := time.Now(); at.Before(now) {
					at = now
				}
				next[r.UserAgent()] = at.Add(gap)
				mu.Unlock()
				time.Sleep(time.Until(at))
			}
			h.ServeHTTP(w, r)
		})
	}
	source := testbed.Distribution(t, testbed.Options{Content: testbed.Open, Front: limited})
	for i := range repositories {
		testbed.Random(t, source, fmt.Sprintf("team/app-%02d", i), "v1", testbed.RandomOptions{Layers: 1, Size: 1 << 10})
	}
	took := func(workers int) time.Duration {
		target := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
		c := server.Config{
			Database: database.Postgres(t),
			Engine:   engines.Namespace(t),
			Key:      access.KeySource{File: filepath.Join(t.TempDir(), "key")},
			Slots:    -1,
			Dray:     dray.Config{Registries: map[string]dray.Registry{"src": plainHTTP(source), "dst": plainHTTP(target)}},
		}
		of := c
		of.Data = t.TempDir()
		r := run(t, of)
		for n := range workers {
			w := c
			w.Slots, w.Dray.UserAgent = 4, fmt.Sprintf("worker-%d-%d", workers, n)
			defer work(t, w)()
		}
		began := time.Now()
		request := wire.Request{Kind: wire.KindTransfer, Transfer: &wire.Transfer{Ends: wire.Ends{Sources: []string{"src"}, Target: "dst"}}}
		j, err := r.remoteAs(credential.Secret{}).Submit(t.Context(), request, client.How{})
		if err != nil {
			t.Fatal(err)
		}
		done(t, r.remoteAs(credential.Secret{}), j.ID)
		return time.Since(began)
	}
	one, four := took(1), took(4)
	t.Logf("1 worker: %s, 4 workers: %s", one, four)
	if four*3 > one {
		t.Errorf("4 workers take %s, and 1 worker %s", four, one)
	}
}

// A server accepts jobs while its engine does not answer, and says why they do not start.
func TestJobsWaitForTheEngine(t *testing.T) {
	r := run(t, server.Config{Data: t.TempDir(), Database: database.Postgres(t), Engine: "temporal://127.0.0.1:1/dray"})
	c := r.remoteAs(credential.Secret{})
	j, err := c.Submit(t.Context(), importing("127.0.0.1:1/app:v1", "", "app:v1"), client.How{})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); j.Blocked != "the engine does not answer"; time.Sleep(200 * time.Millisecond) {
		if j, err = c.Job(t.Context(), j.ID); err != nil || time.Now().After(end) {
			t.Fatalf("%+v, %v", j, err)
		}
	}
	if text := r.text("/readyz"); !strings.Contains(text, "engine: does not answer: jobs are accepted and wait") {
		t.Error(text)
	}
	if text := r.text("/metrics"); !strings.Contains(text, "\ndray_engine_up 0\n") {
		t.Error("no metric says that the engine does not answer")
	}
}

// The engine of one process is that process. Whatever is wrong, nothing says that an engine does not answer.
func TestAServerAloneSaysWhyItStartsNoJob(t *testing.T) {
	data := t.TempDir()
	r := run(t, server.Config{Data: data, Slots: -1})
	c := r.remoteAs(credential.Secret{})
	j, err := c.Submit(t.Context(), importing("127.0.0.1:1/app:v1", "", "app:v1"), client.How{})
	if err != nil {
		t.Fatal(err)
	}
	until := func(want string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); j.Blocked != want; time.Sleep(200 * time.Millisecond) {
			if j, err = c.Job(t.Context(), j.ID); err != nil || time.Now().After(end) {
				t.Fatalf("%q, want %q: %v", j.Blocked, want, err)
			}
		}
	}
	idle := "no worker is alive, and the servers run no jobs (--slots -1)"
	until(idle)
	db, err := sql.Open("sqlite", filepath.Join(data, "dray.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil { // nobody else can write now
		t.Fatal(err)
	}
	until("the server cannot write to its database")
	if text := r.text("/readyz"); !strings.Contains(text, "queue: the database cannot be written") || strings.Contains(text, "engine") {
		t.Error(text)
	}
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	until(idle)
	if text := r.text("/readyz") + r.text("/metrics"); strings.Contains(text, "engine") {
		t.Error(text)
	}
}

// text returns the body of a page.
func (r *running) text(path string) string {
	r.t.Helper()
	raw, err := io.ReadAll(r.as("", "GET", path, nil).Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(raw)
}

func TestACopyOfADataDirectoryIsNoSecondServer(t *testing.T) {
	shared := server.Config{Database: database.Postgres(t), Engine: engines.Namespace(t), Key: access.KeySource{File: filepath.Join(t.TempDir(), "key")}}
	first := shared
	first.Data = t.TempDir()
	run(t, first)
	id, err := os.ReadFile(filepath.Join(first.Data, "storage-id"))
	if err != nil {
		t.Fatal(err)
	}
	second := shared
	second.Data, second.Listen = t.TempDir(), "127.0.0.1:0"
	file := filepath.Join(second.Data, "storage-id")
	if err := os.WriteFile(file, id, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := server.Run(ctx, second); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), second.Data) || !strings.Contains(fault.HintOf(err), "storage-id") {
		t.Fatalf("%v (hint: %s)", err, fault.HintOf(err))
	}
	if err := os.Remove(file); err != nil { // as the hint says
		t.Fatal(err)
	}
	run(t, second)
}
