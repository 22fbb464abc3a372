package server_test

import (
	"testing"

	"github.com/drayage/dray/cmd/internal/server"
)

// Behind a TCP proxy, requests of everybody come over loopback, and nothing in them shows the proxy.
func TestNobodyIsAdminByTheMachineWhereAProxyIsConfigured(t *testing.T) {
	for name, c := range map[string]server.Config{
		"a public address": {PublicURL: "https://dray.example"},
		"plain is allowed": {Plain: server.AllowPlain},
	} {
		c.Data = t.TempDir()
		r := run(t, c)
		if got := r.as("", "GET", "/api/v1/whoami", nil).StatusCode; got != 401 {
			t.Errorf("%s: %d", name, got)
		}
	}
	r := run(t, server.Config{Data: t.TempDir(), PublicURL: "http://localhost:5000"})
	if got := r.as("", "GET", "/api/v1/whoami", nil).StatusCode; got != 200 {
		t.Errorf("a public address of this machine: %d", got)
	}
}
