package server

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/server/guest"
	"github.com/drayage/dray/cmd/internal/server/measure"
)

func TestAPanicIsLoggedAndCutsTheConnection(t *testing.T) {
	var out bytes.Buffer
	s := &serving{streams: guest.NewStreams(), parts: &parts{metrics: measure.NewMetrics(nil, nil), traces: &measure.Traces{},
		config: Config{Log: slog.New(slog.NewTextHandler(&out, nil)), Stall: time.Minute}}}
	srv := httptest.NewServer(s.middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a defect") })))
	resp, err := http.Get(srv.URL)
	if err == nil {
		resp.Body.Close()
		t.Errorf("answered %s", resp.Status)
	}
	srv.Close()
	got := out.String()
	if !strings.Contains(got, `level=ERROR msg=panic err="a defect" stack=`) || !strings.Contains(got, "level=WARN msg=request method=GET path=/ status=500") {
		t.Errorf("logged %s", got)
	}
}

func TestWhatIsWorthALine(t *testing.T) {
	for _, c := range []struct {
		method, path string
		status       int
		want         slog.Level
	}{
		{"PUT", "/v2/a/manifests/v1", 201, slog.LevelInfo},
		{"DELETE", "/v2/a/blobs/sha256:0", 202, slog.LevelInfo},
		{"DELETE", "/v2/a/blobs/uploads/1", 204, slog.LevelDebug},
		{"PUT", "/v2/a/manifests/v1", 400, slog.LevelDebug},
		{"PUT", "/v2/a/blobs/uploads/1", 201, slog.LevelDebug},
		{"POST", "/api/v1/imports", 202, slog.LevelInfo},
		{"POST", "/v2/a/blobs/uploads/", 202, slog.LevelDebug},
		{"HEAD", "/v2/a/manifests/v1", 404, slog.LevelDebug},
		{"GET", "/v2/a/manifests/v1", 500, slog.LevelWarn},
	} {
		if got := level(httptest.NewRequest(c.method, c.path, nil), c.status); got != c.want {
			t.Errorf("%s %s %d: %s, want %s", c.method, c.path, c.status, got, c.want)
		}
	}
}
