package api_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
)

// The limits in this file apply to each principal separately: one principal cannot use up another's.

func TestOneMoreJobThanOneMayHaveQueuedIsThrottled(t *testing.T) {
	y := newYard(t, settings{idle: true, queued: 2})
	const body = `{"source":"src/app:v1","target":"dst","images":["app:v1"]}`
	for range 2 {
		if resp, text := y.ask("ann", http.MethodPost, "/imports", body); resp.StatusCode != http.StatusAccepted {
			t.Fatal(resp.Status, text)
		}
	}
	resp, text := y.ask("ann", http.MethodPost, "/imports", body)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "5" || resp.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(text, `"kind":"throttled"`) {
		t.Errorf("%s %v %s", resp.Status, resp.Header, text)
	}
	if resp, text := y.ask("bob", http.MethodPost, "/imports", body); resp.StatusCode != http.StatusAccepted {
		t.Error(resp.Status, text)
	}
}

func TestOneMoreStreamThanOneMayHaveOpenIsThrottled(t *testing.T) {
	y := newYard(t, settings{idle: true, streams: access.NewPlaces(1)})
	id := y.submitted("ann")
	open := func(who string) (int, func()) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, y.server.URL+wire.Prefix+"/jobs/"+id+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+y.tokens[who])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(resp.Body).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == http.StatusTooManyRequests && (resp.Header.Get("Retry-After") != "5" || resp.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(line, `"kind":"throttled"`)) {
			t.Errorf("%v %s", resp.Header, line)
		}
		return resp.StatusCode, func() { cancel(); resp.Body.Close() }
	}
	status, leave := open("ann")
	if status != http.StatusOK {
		t.Fatal(status)
	}
	status, stop := open("ann")
	stop()
	if status != http.StatusTooManyRequests {
		t.Error(status)
	}
	status, stop = open("root")
	stop()
	if status != http.StatusOK {
		t.Error("a stream of another principal:", status)
	}
	leave()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		status, stop := open("ann")
		stop()
		if status == http.StatusOK {
			return
		}
		if time.Now().After(until) {
			t.Fatal("a closed stream is still counted as open")
		}
	}
}

func TestWhoHasTooManyAnswersHeldGetsTheNextAtOnce(t *testing.T) {
	held := access.NewPlaces(1)
	y := newYard(t, settings{idle: true, held: held})
	leave, _ := held.Take(access.Principal{Name: "ann"})
	const body = `{"source":"src/app:v1","target":"dst","images":["app:v1"]}`
	start := time.Now()
	resp, text := y.ask("ann", http.MethodPost, "/imports", body, "Prefer", "wait=60")
	if resp.StatusCode != http.StatusAccepted || resp.Header.Get("Preference-Applied") != "" || time.Since(start) > 30*time.Second {
		t.Errorf("%s %v %s after %v", resp.Status, resp.Header, text, time.Since(start))
	}
	leave()
	for range 2 { // each answer frees its place when it ends
		if resp, _ := y.ask("ann", http.MethodPost, "/imports", body, "Prefer", "wait=1"); resp.Header.Get("Preference-Applied") != "wait=1" {
			t.Error(resp.Status, resp.Header)
		}
	}
}

// submitted submits a job as the principal who and returns its id.
func (y *yard) submitted(who string) string {
	y.t.Helper()
	j, err := y.client(who).Submit(y.t.Context(), importing("src/app:v1", "dst/app:v1"), client.How{})
	if err != nil {
		y.t.Fatal(err)
	}
	return j.ID
}

// The server refuses a stream if its principal has too many open. The client then tries again until
// a place is free.
func TestAClientComesAgainWhereTooManyStreamsAreOpen(t *testing.T) {
	streams := access.NewPlaces(1)
	refused := make(chan struct{}, 1)
	y := newYard(t, settings{idle: true, streams: streams, proxy: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			if strings.HasSuffix(r.URL.Path, "/events") {
				select {
				case refused <- struct{}{}:
				default:
				}
			}
		})
	}})
	id := y.submitted("ann")
	leave, _ := streams.Take(access.Principal{Name: "ann"})
	go func() { <-refused; leave() }()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	for e, err := range y.client("ann").Watch(ctx, id, 0) {
		if err != nil || e.Kind != "state" {
			t.Errorf("%+v %v", e, err)
		}
		break
	}
}
