package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/database"
)

// remoteAs returns a client of r with a token. The test fails if the client connects to anything
// but r.
func (r *running) remoteAs(token credential.Secret) *client.Client {
	r.t.Helper()
	addr := strings.TrimPrefix(r.base, "http://")
	c, err := client.New(client.Config{URL: r.base, Token: token, Dial: func(ctx context.Context, network, to string) (net.Conn, error) {
		if to != addr {
			r.t.Errorf("the client dialed %s", to)
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(c.Close)
	return c
}

func plainHTTP(r *testbed.Registry) dray.Registry {
	return dray.Registry{Host: r.Host, Settings: dray.Settings{PlainHTTP: true}}
}

func (r *running) finish(c *client.Client, q wire.Request) job.Job {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	j, err := c.Submit(ctx, q, client.How{})
	if err != nil {
		r.t.Fatalf("%v (hint: %s)", err, fault.HintOf(err))
	}
	if j, err = c.Wait(ctx, j.ID); err != nil {
		r.t.Fatal(err)
	}
	return j
}

func importing(source, target, image string) wire.Request {
	return wire.Request{Kind: wire.KindImport, Import: &wire.Import{Source: source, Target: target, Images: []string{image}}}
}

// The client has only a token of the server. The source and the target each require a different
// login, which only the server knows.
func TestImagesGoFromRegistryToRegistryWithoutTheClient(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Basic, Users: map[string]string{"s": "source-canary-7f3a91"}}, Content: testbed.Open})
	target := testbed.Distribution(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer, Users: map[string]string{"t": "target-canary-7f3a91"}}, Content: testbed.Open})
	testbed.Random(t, source, "team/app", "v1", testbed.RandomOptions{Layers: 2, Size: 32 << 10})
	data := t.TempDir()
	r := run(t, server.Config{Data: data, Roles: map[string]access.Role{"admin": access.Admin}, Htpasswd: users(t, "admin"),
		Dray:  dray.Config{Registries: map[string]dray.Registry{"src": plainHTTP(source), "dst": plainHTTP(target)}},
		Rules: []access.Rule{{Principals: []string{"ci"}, Verbs: []string{"import"}, Sources: []string{source.Host + "/team/**"}, Targets: []string{target.Host + "/prod/**"}, Rights: []string{"create"}}}})
	token := r.token("ci", access.Submitter)
	r.secret("source", source.Host, "s", "source-canary-7f3a91")
	r.secret("target", target.Host, "t", "target-canary-7f3a91")

	c := r.remoteAs(token)
	source.Reset()
	if j := r.finish(c, importing("src/team/app:v1", "dst", "prod/app:v1")); j.State != job.Done {
		t.Fatalf("%+v", j)
	}
	testbed.Same(t, source, target, "team/app", "v1", "prod/app", "v1")
	for _, q := range []wire.Request{importing("src/team/app:v1", "dst", "elsewhere/app:v1"), importing("src/other/app:v1", "dst", "prod/app:v2")} {
		if _, err := c.Submit(t.Context(), q, client.How{}); !fault.Is(err, fault.Denied) {
			t.Errorf("an import that no rule grants: %v", err)
		}
	}
	if _, err := r.remoteAs(credential.Secret{}).Submit(t.Context(), importing("src/team/app:v1", "dst", "prod/app:v1"), client.How{}); !fault.Is(err, fault.Denied) {
		t.Errorf("without a token: %v", err)
	}
}

// token creates a token as the admin, over REST.
func (r *running) token(principal string, role access.Role) credential.Secret {
	r.t.Helper()
	body := fmt.Sprintf(`{"name":"test","principal":%q,"role":%q}`, principal, role)
	resp := r.as("admin", "POST", "/api/v1/tokens", strings.NewReader(body), "Content-Type: application/json")
	var made struct {
		Secret string `json:"secret"`
	}
	raw, _ := io.ReadAll(resp.Body)
	if err := json.Unmarshal(raw, &made); err != nil || made.Secret == "" {
		r.t.Fatalf("%s %s", resp.Status, raw)
	}
	return credential.New(made.Secret)
}

func (r *running) secret(id, host, user, password string) {
	r.t.Helper()
	body := fmt.Sprintf(`{"place":%q,"user":%q,"password":%q}`, host, user, password)
	resp := r.as("admin", "PUT", "/api/v1/secrets/"+id, strings.NewReader(body), "Content-Type: application/json")
	if resp.StatusCode/100 != 2 {
		raw, _ := io.ReadAll(resp.Body)
		r.t.Fatalf("%s %s", resp.Status, raw)
	}
}

func TestAnImportIntoTheEmbeddedRegistryIsPulledFromIt(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	testbed.Random(t, source, "team/app", "v1", testbed.RandomOptions{Layers: 2, Size: 32 << 10})
	r := run(t, server.Config{Data: t.TempDir(), Dray: dray.Config{Registries: map[string]dray.Registry{"src": plainHTTP(source)}}})
	c := r.remoteAs(credential.Secret{})
	// An empty target means the embedded registry, and so does each of its names.
	for i, target := range []string{"", "dray", strings.TrimPrefix(r.base, "http://")} {
		if j := r.finish(c, importing("src/team/app:v1", target, fmt.Sprintf("app%d:v1", i))); j.State != job.Done {
			t.Fatalf("%q: %+v", target, j.Failure)
		}
		want := r.as("", "GET", source.URL+"/v2/team/app/manifests/v1", nil, "Accept: application/vnd.oci.image.manifest.v1+json").Header.Get("Docker-Content-Digest")
		resp := r.as("", "GET", fmt.Sprintf("/v2/app%d/manifests/v1", i), nil)
		if resp.StatusCode != 200 || resp.Header.Get("Docker-Content-Digest") != want {
			t.Errorf("%s %s, want %s", resp.Status, resp.Header.Get("Docker-Content-Digest"), want)
		}
	}
	raw, _ := io.ReadAll(r.as("", "GET", "/metrics", nil).Body)
	for _, want := range []string{`dray_job_runs_total{kind="import",state="done"} 3`, `dray_jobs{state="queued"} 0`, `dray_http_requests_total{code="202",method="POST",route="/api/v1/imports"} 3`,
		fmt.Sprintf(`dray_registry_requests_total{code="200",method="GET",registry=%q}`, source.Host)} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

// blocking returns a registry that does not send a blob until release is called. reached receives a
// value for each blob that is requested.
func blocking(t *testing.T) (r *testbed.Registry, reached <-chan struct{}, release func()) {
	t.Helper()
	hit, open := make(chan struct{}, 100), make(chan struct{})
	r = testbed.Distribution(t, testbed.Options{Content: testbed.Open, Front: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Method == http.MethodGet && strings.Contains(q.URL.Path, "/blobs/") {
				hit <- struct{}{}
				select {
				case <-open:
				case <-q.Context().Done():
					return
				}
			}
			h.ServeHTTP(w, q)
		})
	}})
	return r, hit, func() { close(open) }
}

func TestAStopEndsStreamsAndGivesJobsBackWithinTenSeconds(t *testing.T) {
	source, reached, release := blocking(t)
	testbed.Random(t, source, "app", "v1", testbed.RandomOptions{Layers: 1, Size: 1 << 20})
	config := server.Config{Data: t.TempDir(), Dray: dray.Config{Registries: map[string]dray.Registry{"src": plainHTTP(source)}}}
	r := run(t, config)
	c := r.remoteAs(credential.Secret{})
	j, err := c.Submit(t.Context(), importing("src/app:v1", "dray", "app:v1"), client.How{})
	if err != nil {
		t.Fatal(err)
	}
	<-reached
	req, _ := http.NewRequest("GET", r.base+"/api/v1/jobs/"+j.ID+"/events", nil)
	req.Header.Set("Accept", "text/event-stream")
	events, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	start := time.Now()
	r.stop()
	if _, err := io.Copy(io.Discard, events.Body); err != nil && time.Since(start) > 5*time.Second {
		t.Errorf("the stream ended after %v: %v", time.Since(start), err)
	}
	r.wait()
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	release()
	again := run(t, config)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if j, err = again.remoteAs(credential.Secret{}).Wait(ctx, j.ID); err != nil || j.State != job.Done || j.Attempt != 2 {
		t.Errorf("%+v %v", j, err)
	}
}

// This test runs a server that runs no jobs, and a worker, which share a PostgreSQL database.
func TestAWorkerTakesTheJobsOfAServer(t *testing.T) {
	url, engine := database.Postgres(t), engines.Namespace(t)
	source := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	target := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	testbed.Random(t, source, "app", "v1", testbed.RandomOptions{Layers: 1, Size: 1 << 10})
	regs := dray.Config{Registries: map[string]dray.Registry{"src": plainHTTP(source), "dst": plainHTTP(target)}}
	key := access.KeySource{File: filepath.Join(t.TempDir(), "key")}
	r := run(t, server.Config{Data: t.TempDir(), Database: url, Engine: engine, Slots: -1, Dray: regs, Key: key})
	c := r.remoteAs(credential.Secret{})
	j, err := c.Submit(t.Context(), importing("src/app:v1", "dst", "app:v1"), client.How{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ops, ready, ended := freeAddr(t), make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- server.Worker(ctx, server.Config{Data: t.TempDir(), Database: url, Engine: engine, Dray: regs, Key: key, Ops: ops, Ready: func(a net.Addr) { ready <- a }})
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if got := r.as("", "GET", "http://"+ops+path, nil).StatusCode; got != 200 {
			t.Errorf("%s: %d", path, got)
		}
	}
	wait, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if j, err = c.Wait(wait, j.ID); err != nil || j.State != job.Done {
		t.Errorf("%+v %v", j, err)
	}
	testbed.Same(t, source, target, "app", "v1", "app", "v1")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
