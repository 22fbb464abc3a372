package door

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// A client that comes while the server still starts gets its answer when the server is up.
func TestARequestWaitsAMomentForTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(func() string { return "database: waiting until it answers" })
		ask := func(path string) (*httptest.ResponseRecorder, time.Duration) {
			w, from := httptest.NewRecorder(), time.Now()
			d.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
			return w, time.Since(from)
		}
		for path, want := range map[string]int{"/healthz": 200, "/readyz": 503} {
			if w, took := ask(path); w.Code != want || took != 0 {
				t.Errorf("%s: %d after %v", path, w.Code, took)
			}
		}
		w, took := ask("/v2/")
		if w.Code != 503 || took != patience || w.Header().Get("Retry-After") != "1" || w.Body.String() != "database: waiting until it answers\n" {
			t.Errorf("%d after %v: %v %s", w.Code, took, w.Header(), w.Body)
		}
		time.AfterFunc(time.Second, func() {
			d.Open(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { Plain(w, http.StatusOK, "here") }))
		})
		for _, want := range []time.Duration{time.Second, 0} {
			if w, took := ask("/v2/"); w.Code != 200 || took != want {
				t.Errorf("%d after %v, not after %v: %s", w.Code, took, want, w.Body)
			}
		}
	})
}
