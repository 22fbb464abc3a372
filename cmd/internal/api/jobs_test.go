package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

// ask sends one request as the principal name and returns the answer and its body. header holds
// pairs of a name and a value.
func (y *yard) ask(name, method, path, body string, header ...string) (*http.Response, string) {
	y.t.Helper()
	req, err := http.NewRequestWithContext(y.t.Context(), method, y.server.URL+wire.Prefix+path, strings.NewReader(body))
	if err != nil {
		y.t.Fatal(err)
	}
	if token := y.tokens[name]; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		y.t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if _, err := fmt.Fprint(&b, readAll(y.t, resp)); err != nil {
		y.t.Fatal(err)
	}
	return resp, b.String()
}

func TestAJobIsAcceptedWithItsPlaceAndTheAnswerIsHeldWhereThatIsPreferred(t *testing.T) {
	y := newYard(t, settings{idle: true})
	y.image("app", "v1", 1)
	body := `{"source":"src/app:v1","target":"dst"}`
	resp, text := y.ask("ann", http.MethodPost, "/imports", body)
	var j wire.Job
	if err := json.Unmarshal([]byte(text), &j); err != nil || resp.StatusCode != http.StatusAccepted || resp.Header.Get("Location") != wire.Prefix+"/jobs/"+j.ID || j.State != wire.Queued {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, text)
	}
	if resp.Header.Get("Retry-After") == "" || resp.Header.Get("Preference-Applied") != "" {
		t.Errorf("%v", resp.Header)
	}
	resp, _ = y.ask("ann", http.MethodPost, "/imports", body, "Prefer", "respond-async, wait=1")
	if resp.StatusCode != http.StatusAccepted || resp.Header.Get("Preference-Applied") != "wait=1" {
		t.Errorf("without a worker: %d %v", resp.StatusCode, resp.Header)
	}
	resp, _ = y.ask("ann", http.MethodPost, "/imports", body, "Prefer", "wait=abc")
	if resp.StatusCode != http.StatusAccepted || resp.Header.Get("Preference-Applied") != "" {
		t.Errorf("a wait that is no number: %d %v", resp.StatusCode, resp.Header)
	}
	y.work()
	resp, text = y.ask("ann", http.MethodPost, "/imports", body, "Prefer", "wait=3600")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Preference-Applied") != "wait=60" || !strings.Contains(text, `"state":"done"`) {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, text)
	}
}

// hurried records the deadlines that a handler sets on its connection.
type hurried struct {
	*httptest.ResponseRecorder
	read, write []time.Time
}

func (h *hurried) SetReadDeadline(t time.Time) error  { h.read = append(h.read, t); return nil }
func (h *hurried) SetWriteDeadline(t time.Time) error { h.write = append(h.write, t); return nil }

func TestNoDeadlineIsLeftOnAConnection(t *testing.T) {
	y := newYard(t, settings{})
	y.image("app", "v1", 1)
	serve := func(method, path, body string) *hurried {
		t.Helper()
		r := httptest.NewRequest(method, wire.Prefix+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+y.tokens["ann"])
		r.Header.Set("Prefer", "wait=30")
		w := &hurried{ResponseRecorder: httptest.NewRecorder()}
		y.server.Config.Handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		return w
	}
	w := serve(http.MethodPost, "/plans", `{"import":`+imports+`}`)
	if n := len(w.read); n != 2 || w.read[0].IsZero() || !w.read[1].IsZero() {
		t.Errorf("read deadlines: %v", w.read)
	}
	var j wire.Job
	if err := json.Unmarshal(w.Body.Bytes(), &j); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/plans/" + j.ID, "/jobs/" + j.ID + "/events"} {
		if w = serve(http.MethodGet, path, ""); len(w.write) < 2 || w.write[0].IsZero() || !w.write[len(w.write)-1].IsZero() {
			t.Errorf("%s: write deadlines: %v", path, w.write)
		}
	}
}

func TestAKeyIsOneJobForADay(t *testing.T) {
	y := newYard(t, settings{idle: true})
	first, err := y.client("ann").Submit(t.Context(), importing("src/app:v1"), client.How{Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	resp, text := y.ask("ann", http.MethodPost, "/imports", `{"target":"dst", "source":"src/app:v1"}`, "Idempotency-Key", "k")
	if resp.StatusCode != http.StatusAccepted || resp.Header.Get("Idempotency-Replayed") != "true" || !strings.Contains(text, first.ID) {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, text)
	}
	if _, err := y.client("ann").Submit(t.Context(), importing("src/app:v2"), client.How{Key: "k"}); !fault.Is(err, fault.Conflict) {
		t.Errorf("another request with the same key: %v", err)
	}
	other, err := y.client("bob").Submit(t.Context(), importing("src/app:v1"), client.How{Key: "k"})
	if err != nil || other.ID == first.ID {
		t.Errorf("the same key of another principal: %v %s", err, other.ID)
	}
}

func TestAListIsPagedFilteredAndOnesOwn(t *testing.T) {
	y := newYard(t, settings{idle: true})
	c := y.client("ann")
	var ids []string
	for i := range 7 {
		j, err := c.Submit(t.Context(), importing(fmt.Sprintf("src/app:v%d", i)), client.How{})
		if err != nil {
			t.Fatal(err)
		}
		ids = append([]string{j.ID}, ids...)
	}
	if _, err := y.client("bob").Submit(t.Context(), importing("src/app:bob"), client.How{}); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for after := ""; ; {
		jobs, next, err := c.Jobs(t.Context(), wire.Filter{After: after, Limit: 3, Kinds: []string{"import", "copy"}, States: []wire.State{wire.Queued}})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			seen = append(seen, j.ID)
		}
		if after = next; next == "" {
			break
		}
	}
	if !slices.Equal(seen, ids) {
		t.Errorf("%v, want %v", seen, ids)
	}
	resp, _ := y.ask("ann", http.MethodGet, "/jobs?limit=2&kind=import,copy", "")
	link := resp.Header.Get("Link")
	if !strings.HasPrefix(link, "</api/v1/jobs?") || !strings.Contains(link, "kind=import%2Ccopy") || !strings.Contains(link, `rel="next"`) {
		t.Errorf("%q", link)
	}
	for who, want := range map[string]int{"root": 8, "bob": 1, "rita": 0} {
		if jobs, _, err := y.client(who).Jobs(t.Context(), wire.Filter{}); err != nil || len(jobs) != want {
			t.Errorf("%s sees %d: %v", who, len(jobs), err)
		}
	}
	if jobs, _, err := c.Jobs(t.Context(), wire.Filter{Text: "APP:V3"}); err != nil || len(jobs) != 1 {
		t.Errorf("%d %v", len(jobs), err)
	}
	if jobs, _, err := c.Jobs(t.Context(), wire.Filter{Principal: "bob"}); err != nil || len(jobs) != 0 {
		t.Errorf("jobs of another principal: %d %v", len(jobs), err)
	}
}

func TestAListOfNothingIsAList(t *testing.T) {
	y := newYard(t, settings{idle: true})
	j, err := y.client("ann").Submit(t.Context(), importing("src/app:v1"), client.How{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/jobs?text=nothing": `"jobs":[]`, "/jobs/" + j.ID + "/items": `"items":[]`, "/jobs/" + j.ID + "/log": `"lines":[]`,
		"/schedules": `"schedules":[]`, "/secrets": `"secrets":[]`, "/audit?after=999999": `"entries":[]`,
	} {
		if _, text := y.ask("root", http.MethodGet, path, ""); !strings.Contains(text, want) {
			t.Errorf("%s: %s", path, text)
		}
	}
}

// cutting breaks the connection after left writes.
type cutting struct {
	http.ResponseWriter
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	if c.left--; c.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return c.ResponseWriter.Write(p)
}

func (c *cutting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func TestAWatchGoesOnAfterItsConnectionBrokeAndLosesNothing(t *testing.T) {
	var mu sync.Mutex
	var resumed []string
	y := newYard(t, settings{idle: true, proxy: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/events") {
				mu.Lock()
				resumed = append(resumed, r.Header.Get("Last-Event-ID"))
				w = &cutting{w, 5 + len(resumed)} // each connection gets one event further than the last one
				mu.Unlock()
			}
			h.ServeHTTP(w, r)
		})
	}})
	for i := range 4 {
		y.image(fmt.Sprintf("app%d", i), "v1", uint64(i+1))
	}
	c := y.client("ann")
	j, err := c.Submit(t.Context(), wire.Request{Kind: wire.KindTransfer, Transfer: &wire.Transfer{Ends: wire.Ends{Sources: []string{"src"}, Target: "dst"}}}, client.How{})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	var last int64
	tagged := 0
	for e, err := range c.Watch(t.Context(), j.ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if len(kinds) == 0 {
			if e.Kind != "state" || !strings.Contains(string(e.Data), j.ID) {
				t.Errorf("the first event is %s %s", e.Kind, e.Data)
			}
			y.work() // only now, so that the watch sees every event of the run
		}
		kinds = append(kinds, e.Kind)
		if e.Kind == "state" || e.Kind == "ended" {
			continue
		}
		if last != 0 && e.Seq != last+1 {
			t.Errorf("%s has %d after %d", e.Kind, e.Seq, last)
		}
		last = e.Seq
		if e.Kind == "tagged" {
			tagged++
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if tagged != 4 || kinds[len(kinds)-1] != "ended" || len(resumed) < 3 || resumed[0] != "" || resumed[len(resumed)-1] == "" {
		t.Errorf("%d tagged, %d connections %q\n%v", tagged, len(resumed), resumed, kinds)
	}
}

func TestASilentStreamSaysThatItIsThere(t *testing.T) {
	y := newYard(t, settings{idle: true, beat: time.Millisecond})
	j, err := y.client("ann").Submit(t.Context(), importing("src/app:v1"), client.How{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, y.server.URL+wire.Prefix+"/jobs/"+j.ID+"/events", nil)
	req.Header.Set("Authorization", "Bearer "+y.tokens["ann"])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", resp.Header)
	}
	beats := 0
	for lines := bufio.NewScanner(resp.Body); beats < 3 && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), ":") {
			beats++
		}
	}
	if beats < 3 {
		t.Errorf("%d heartbeats", beats)
	}
}

func TestAJobIsCanceledWithinASecondInTheMiddleOfABlob(t *testing.T) {
	held := hostile.New(t, testbed.NewDistribution(t, testbed.Options{Content: testbed.Open}), hostile.StallAt(1000, time.Hour))
	y := newYard(t, settings{src: held})
	y.image("app", "v1", 1)
	c := y.client("ann")
	j, err := c.Submit(t.Context(), importing("src/app:v1"), client.How{})
	if err != nil {
		t.Fatal(err)
	}
	var asked time.Time
	for e, err := range c.Watch(t.Context(), j.ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == "started" && asked.IsZero() {
			asked = time.Now()
			if _, err := c.Cancel(t.Context(), j.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	took := time.Since(asked)
	if j, err = c.Job(t.Context(), j.ID); err != nil || j.State != wire.Canceled || asked.IsZero() || took > time.Second {
		t.Errorf("%s after %v: %+v %v", j.State, took, j.Failure, err)
	}
	for _, q := range y.dst.Log() {
		if q.Method == http.MethodPut && q.Kind == testbed.Manifest {
			t.Errorf("%s was put", q.Ref)
		}
	}
	// To cancel a job that has ended changes nothing.
	if again, err := c.Cancel(t.Context(), j.ID); err != nil || again.State != wire.Canceled {
		t.Errorf("%v %+v", err, again)
	}
}

func TestASchedulesLife(t *testing.T) {
	y := newYard(t, settings{})
	y.image("app", "v1", 1)
	c := y.client("ann")
	in := wire.ScheduleRequest{Name: "nightly", Cron: "H 3 * * *", Zone: "Europe/Berlin", Request: importing("src/app:v1", "kept/app:v1")}
	s, err := c.PutSchedule(t.Context(), "", in)
	if err != nil || s.NextDue.IsZero() || s.Principal != "ann" {
		t.Fatalf("%v %+v", err, s)
	}
	if _, err := c.PutSchedule(t.Context(), "", in); !fault.Is(err, fault.Conflict) {
		t.Errorf("twice: %v", err)
	}
	if s, err = c.PauseSchedule(t.Context(), s.ID); err != nil || !s.Paused {
		t.Errorf("%v %+v", err, s)
	}
	j, err := c.RunSchedule(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	y.ended(c, j, wire.Done)
	testbed.Same(t, y.src, y.dst, "app", "v1", "kept/app", "v1")
	if s, err = c.ResumeSchedule(t.Context(), s.ID); err != nil || s.Paused || s.LastJob != j.ID || s.LastState != wire.Done {
		t.Errorf("%v %+v", err, s)
	}
	in.Cron = "@daily"
	if s, err = c.PutSchedule(t.Context(), s.ID, in); err != nil || s.Cron != "@daily" {
		t.Errorf("%v %+v", err, s)
	}
	for _, other := range []string{"bob", "rita"} {
		if all, err := y.client(other).Schedules(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("%s sees %d: %v", other, len(all), err)
		}
		if _, err := y.client(other).Schedule(t.Context(), s.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", other, err)
		}
	}
	in.Request.Import.SourceLogin = &wire.Login{User: "u", Password: "p"}
	if _, err := c.PutSchedule(t.Context(), s.ID, in); !fault.Is(err, fault.Invalid) {
		t.Errorf("with a login: %v", err)
	}
	in.Request.Import.SourceLogin, in.Cron = nil, "every day"
	if _, err := c.PutSchedule(t.Context(), s.ID, in); !fault.Is(err, fault.Invalid) {
		t.Errorf("no cron: %v", err)
	}
	if err := c.DeleteSchedule(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
	if all, err := c.Schedules(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%d left: %v", len(all), err)
	}
}
