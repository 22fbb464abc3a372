package arm_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/acr"
	"github.com/drayage/dray/cmd/internal/arm"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/gate"
	embedded "github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/testbed"
)

// bench is a server with this API, with a worker and registries.
type bench struct {
	t        *testing.T
	srv      *httptest.Server
	host     string
	ca       string // the file of the certificate authority
	access   *access.Access
	queue    *job.Queue
	source   *testbed.Registry
	target   *testbed.Registry
	own      *embedded.Registry
	embedded *testbed.Registry // the registry of the server, on another listener
	token    string            // of a submitter that may import into the target
	hold     time.Duration

	service *verb.Service
	config  arm.Config
	stop    func()

	dray    *dray.Dray
	db      *store.DB
	dir     string
	rules   []access.Rule
	handler atomic.Pointer[http.ServeMux]
}

// options holds what tests change. The zero options mean a worker, and answers that do not wait.
type options struct {
	hold    time.Duration
	workers string // "none" leaves jobs queued
	source  func(http.Handler) http.Handler
	rules   []access.Rule
	gate    gate.Gate // of the server's configuration
}

func start(t *testing.T, o options) *bench {
	t.Helper()
	b := &bench{t: t, hold: o.hold}
	from := testbed.NewDistribution(t, testbed.Options{})
	plain := testbed.Serve(t, from, testbed.Options{})
	testbed.Random(t, plain, "library/app", "v1", testbed.RandomOptions{})
	testbed.Random(t, plain, "library/app", "v2", testbed.RandomOptions{Layers: 2})
	if o.source != nil {
		from = o.source(from)
	}
	b.source = testbed.Serve(t, from, testbed.Options{})
	b.target = testbed.Distribution(t, testbed.Options{})
	own, err := embedded.Open(t.Context(), embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Close() })
	b.own, b.embedded = own, testbed.Serve(t, own, testbed.Options{})

	b.srv = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.handler.Load().ServeHTTP(w, r) }))
	t.Cleanup(b.srv.Close)
	b.host = b.srv.Listener.Addr().String()
	b.ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(b.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	b.rules = append([]access.Rule{
		{Principals: []string{"ci"}, Verbs: []string{"import"}, Sources: []string{b.source.Host + "/**"}, Targets: []string{b.target.Host + "/**"}, Rights: []string{access.Create, access.Overwrite, access.Mount}},
		{Principals: []string{"ci"}, Verbs: []string{"pull"}, Sources: []string{b.host + "/team/**"}},
	}, o.rules...)
	d, err := dray.New(dray.Config{Gate: o.gate, Settings: dray.Settings{PlainHTTP: true}, Limits: dray.Limits{Retries: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	b.dray, b.dir, b.stop = d, t.TempDir(), func() {}
	b.config = arm.Config{
		Hold: o.hold, Registries: []arm.Registry{{Name: "production", Host: b.target.Host}, {Name: "hub", Host: b.source.Host}, {Name: "lab-eu", Host: b.host, Aliases: []string{"labeurope"}}},
		Host: b.host,
	}
	if o.hold == 0 {
		b.config.Hold = -1
	}
	b.open()
	t.Cleanup(func() { b.stop(); b.db.Close() })
	b.token = b.newToken("ci", access.Submitter)
	if o.workers != "none" {
		b.work()
	}
	return b
}

// open opens the data in b.dir and serves it.
func (b *bench) open() {
	b.t.Helper()
	var err error
	if b.db, err = store.Open(b.t.Context(), "sqlite:"+filepath.Join(b.dir, "dray.db")); err != nil {
		b.t.Fatal(err)
	}
	vault, err := access.OpenVault(b.t.Context(), access.KeySource{File: filepath.Join(b.dir, "key")})
	if err != nil {
		b.t.Fatal(err)
	}
	if b.access, err = access.Open(b.t.Context(), access.Config{DB: b.db, Vault: vault, Rules: b.rules}); err != nil {
		b.t.Fatal(err)
	}
	if b.queue, err = job.Open(b.t.Context(), job.Config{DB: b.db, Seal: vault}); err != nil {
		b.t.Fatal(err)
	}
	b.service = verb.New(verb.Config{Dray: b.dray, Queue: b.queue, Access: b.access, DB: b.db})
	b.config.Access, b.config.Submit, b.config.Visible, b.config.Watch = b.access, b.service.Submit, b.service.Visible, b.queue.Watch
	mux := http.NewServeMux()
	b.mount(mux)
	b.handler.Store(mux)
}

// restart closes the database and opens it again, as another process would.
func (b *bench) restart() {
	b.t.Helper()
	b.stop()
	b.stop = func() {}
	if err := b.db.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

// mount serves the handler together with a registry that requires a login, as the server does.
func (b *bench) mount(mux *http.ServeMux) {
	h := arm.New(b.config)
	for _, p := range arm.Patterns() {
		mux.Handle(p, h)
	}
	mux.Handle("POST /v2/token", h)
	audit := func(ctx context.Context, e access.Entry) error {
		return b.db.Tx(ctx, func(tx *sql.Tx) error { return b.access.Audit(ctx, tx, e) })
	}
	mux.Handle(acr.Prefix, acr.New(acr.Config{Access: b.access, Audit: audit}, b.host, acr.Own(b.own, b.host)))
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
		if _, err := b.access.Authenticate(r); err != nil {
			w.Header().Set("WWW-Authenticate", acr.Challenge("https://"+b.host, acr.Scope(r)))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		b.own.ServeHTTP(w, r)
	})
}

func (b *bench) work() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.queue.Work(ctx, 4, b.service); err != nil && ctx.Err() == nil {
			b.t.Error(err)
		}
	})
	b.stop = func() { cancel(); wg.Wait() }
}

func (b *bench) newToken(principal string, role access.Role) string {
	b.t.Helper()
	secret, _, err := b.access.NewToken(b.t.Context(), access.Token{Principal: principal, Role: role, By: "root"})
	if err != nil {
		b.t.Fatal(err)
	}
	return secret.Reveal()
}

const (
	sub      = "/subscriptions/0f8fad5b-d9cb-469f-a165-70867728950e"
	registry = sub + "/resourceGroups/any/providers/Microsoft.ContainerRegistry/registries/"
	version  = "?api-version=2023-07-01"
)

// reply is an answer with its body read.
type reply struct {
	*http.Response
	body map[string]any
	raw  string
}

func (r reply) code() string {
	e, _ := r.body["error"].(map[string]any)
	code, _ := e["code"].(string)
	return code
}

// send sends a request with a token. A body that is a string is sent as it is, any other as JSON.
func (b *bench) send(token, method, path string, body any, header ...string) reply {
	b.t.Helper()
	var raw []byte
	switch body := body.(type) {
	case nil:
	case string:
		raw = []byte(body)
	default:
		var err error
		if raw, err = json.Marshal(body); err != nil {
			b.t.Fatal(err)
		}
	}
	if !strings.HasPrefix(path, "https://") {
		path = b.srv.URL + path
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, path, bytes.NewReader(raw))
	if err != nil {
		b.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := b.srv.Client().Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	out := reply{Response: resp, raw: string(text)}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &out.body); err != nil {
			b.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
		}
	}
	return out
}

// form posts a form, as a login does.
func (b *bench) form(path string, pairs ...string) reply {
	b.t.Helper()
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return b.send("", "POST", path, v.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// from returns the body of an import from a registry that is given by its address.
func (b *bench) from(image string, targets ...string) map[string]any {
	return map[string]any{"source": map[string]any{"registryUri": b.source.Host, "sourceImage": image}, "targetTags": targets}
}

// finish polls like a client until the operation ends.
func (b *bench) finish(r reply) reply {
	b.t.Helper()
	for r.StatusCode == http.StatusAccepted {
		at := r.Header.Get("Location")
		if !strings.HasPrefix(at, b.srv.URL+sub+"/providers/Microsoft.ContainerRegistry/locations/") || r.Header.Get("Retry-After") != "1" {
			b.t.Fatalf("Location %q, Retry-After %q", at, r.Header.Get("Retry-After"))
		}
		if err := b.t.Context().Err(); err != nil {
			b.t.Fatal(err)
		}
		r = b.send(b.token, "GET", at, nil)
	}
	return r
}

// newest returns the id of the newest job.
func (b *bench) newest() string {
	b.t.Helper()
	jobs, _, err := b.queue.List(b.t.Context(), job.Filter{Limit: 1})
	if err != nil || len(jobs) != 1 {
		b.t.Fatal(jobs, err)
	}
	return jobs[0].ID
}
