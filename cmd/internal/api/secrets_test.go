package api_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
)

func readAll(tb testing.TB, resp *http.Response) string {
	tb.Helper()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return string(raw)
}

// listening records every byte that a handler answers.
type listening struct {
	http.ResponseWriter
	mu   *sync.Mutex
	said *bytes.Buffer
}

func (l listening) Write(p []byte) (int, error) {
	l.mu.Lock()
	l.said.Write(p)
	l.mu.Unlock()
	return l.ResponseWriter.Write(p)
}

func (l listening) Unwrap() http.ResponseWriter { return l.ResponseWriter }

func TestALoginOfARequestIsInNoRowNoAnswerAndNoEvent(t *testing.T) {
	const password, stored = "canary-7f3a91-of-the-source", "canary-7f3a91-3-of-the-target"
	locked := func(user, password string) *testbed.Registry {
		return testbed.Distribution(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Basic, Users: map[string]string{user: password}}})
	}
	var mu sync.Mutex
	var said bytes.Buffer
	y := newYard(t, settings{src: locked("ann", password), dst: locked("dray", stored), proxy: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(listening{w, &mu, &said}, r) })
	}})
	y.image("app", "v1", 1)
	c, root := y.client("ann"), y.client("root")
	if err := root.PutSecret(t.Context(), "target", wire.PutSecret{Place: y.dst.Host, User: "dray", Password: stored}); err != nil {
		t.Fatal(err)
	}
	r := importing("src/app:v1")
	r.Import.SourceLogin = &wire.Login{User: "ann", Password: password}
	// The login is deleted when the job ends, so a retry must send it again.
	j := y.done(r, wire.Done)
	r.Import.Source, r.Import.Images = "src/app:gone", nil
	failed := y.done(r, wire.Failed)
	if _, err := c.Retry(t.Context(), failed.ID, wire.Logins{}, client.How{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a retry without the login: %v", err)
	}
	y.image("app", "gone", 2)
	again, err := c.Retry(t.Context(), failed.ID, wire.Logins{SourceLogin: r.Import.SourceLogin}, client.How{})
	if err != nil {
		t.Fatal(err)
	}
	y.ended(c, again, wire.Done)
	for e, err := range c.Watch(t.Context(), j.ID, 0) {
		if err != nil || strings.Contains(string(e.Data), password) {
			t.Errorf("%v %s", err, e.Data)
		}
	}
	var n int
	if err := y.db.QueryRowContext(t.Context(), `SELECT count(*) FROM job_secrets`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d secrets are left: %v", n, err)
	}
	// The answer to an invalid request must not quote the password either.
	for _, body := range []string{
		`{"source":"src/app:v1","sourceLogin":{"user":"ann","password":"` + password + `","pasword":1}}`,
		`{"source":1,"sourceLogin":{"password":"` + password + `"}}`,
		`{"source":"src/app:v1","sourceLogin":"` + password + `"}`,
		`{"source":"src/app:v1","sourceLogin":{"password":"` + password + `"}`,
	} {
		if resp, _ := y.ask("ann", http.MethodPost, "/imports", body); resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("%d for %s", resp.StatusCode, body)
		}
	}
	if _, err := c.Report(t.Context(), j.ID); err != nil {
		t.Error(err)
	}
	if _, err := root.Secrets(t.Context()); err != nil {
		t.Error(err)
	}
	if _, _, err := root.Audit(t.Context(), 0); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	files, err := filepath.Glob(y.path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, secret := range []string{password, stored} {
		if strings.Contains(said.String(), secret) {
			t.Errorf("an answer contains the secret %s", secret)
		}
		for _, file := range files {
			if raw, err := os.ReadFile(file); err != nil || bytes.Contains(raw, []byte(secret)) {
				t.Errorf("%s has %s (%v)", file, secret, err)
			}
		}
	}
}

func TestAResourceIDIsInNoList(t *testing.T) {
	y := newYard(t, settings{idle: true})
	const subscription = "11111111-2222-3333-4444-555555555555"
	const id = "/subscriptions/" + subscription + "/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/"
	r := importing("app:v1")
	r.Import.SourceRegistry, r.Import.Target = id+"Source", id+"target"
	b := wire.Request{Kind: wire.KindBatch, Batch: &wire.Batch{Target: id + "target", Entries: []wire.BatchEntry{{Source: "src/app:v1"}}}}
	for _, r := range []wire.Request{r, b, {Kind: wire.KindPlan, Plan: &wire.Plan{Import: r.Import}}} {
		j, err := y.client("ann").Submit(t.Context(), r, client.How{})
		if err != nil {
			t.Fatal(err)
		}
		_, text := y.ask("root", http.MethodGet, "/jobs/"+j.ID, "")
		_, log := y.ask("root", http.MethodGet, "/audit", "")
		if all := text + log; strings.Contains(all, subscription) || !strings.Contains(all, "target.azurecr.io") {
			t.Errorf("%s\n%s", text, log)
		}
		if r.Kind == wire.KindImport && j.Source != "source.azurecr.io/app:v1" {
			t.Errorf("the source is %s", j.Source)
		}
	}
}
