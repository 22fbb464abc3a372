package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
)

// collector receives spans by OTLP over HTTP and keeps their bytes.
type collector struct {
	mu   sync.Mutex
	seen strings.Builder
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.WriteString(r.URL.Path + " ")
	c.seen.Write(raw)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func TestSpansOfRequestsAndJobsGoWhereTheEnvironmentSays(t *testing.T) {
	c := &collector{}
	srv := httptest.NewServer(c)
	defer srv.Close()
	env := func(name string) string {
		if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
			return srv.URL
		}
		return ""
	}
	r := run(t, server.Config{Data: t.TempDir(), Env: env, Version: "1.2.3"})
	r.finish(r.remoteAs(credential.Secret{}), wire.Request{Kind: wire.KindTag, Tag: &wire.Tag{Image: "dray/none:v1", Tags: []string{"v2"}}})
	r.as("", "GET", "/v2/secret/name/manifests/v1", nil)
	r.stop()
	r.wait()
	got := c.seen.String()
	for _, want := range []string{"/v1/traces", "POST /api/v1/tags", "GET /v2/manifests", "job tag", "dray.job.id", "1.2.3"} {
		if !strings.Contains(got, want) {
			t.Errorf("the spans lack %q", want)
		}
	}
	if strings.Contains(got, "secret/name") {
		t.Error("a repository's name is in a span")
	}
}
