package api_test

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

func TestAClientTrustsTheAuthorityThatItIsToldAndFollowsNobody(t *testing.T) {
	y := newYard(t, settings{idle: true})
	var elsewhere []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		elsewhere = append(elsewhere, r.Header.Get("Authorization"))
	}))
	t.Cleanup(other.Close)
	handler := y.server.Config.Handler
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == wire.Prefix+"/registries" {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	client := func(cas ...string) *client.Client {
		t.Helper()
		c, err := client.New(client.Config{URL: server.URL, CAs: cas, Token: credential.New(y.tokens["ann"])})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	if w, err := client(ca).Whoami(t.Context()); err != nil || w.Name != "ann" {
		t.Errorf("%v %+v", err, w)
	}
	if _, err := client().Whoami(t.Context()); !fault.Is(err, fault.Refused) || fault.HintOf(err) == "" {
		t.Errorf("a certificate of an unknown authority: %v", err)
	}
	if _, err := client(ca).Registries(t.Context()); err == nil || len(elsewhere) > 0 {
		t.Errorf("a redirect was followed: %v, and %q was sent there", err, elsewhere)
	}
	server.Close()
	if _, err := client(ca).Whoami(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the server is down: %v", err)
	}
	if _, err := y.client("nobody").Whoami(t.Context()); !fault.Is(err, fault.Denied) {
		t.Errorf("without a token: %v", err)
	}
}
