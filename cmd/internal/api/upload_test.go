package api_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

const (
	planHead = `{"plan":1,"verb":"copy","overwrite":"update"}` + "\n"
	planEnd  = `{"end":true}` + "\n"
)

// planOf returns the file of a plan of some size, as dray writes it.
func planOf(size int) []byte {
	from := ref.Name{Repo: ref.Repo{Host: "src.example", Path: "team/app"}, Digest: "sha256:" + strings.Repeat("0a", 32)}
	to := ref.Name{Repo: ref.Repo{Host: "dst.example", Path: "team/app"}}
	var file bytes.Buffer
	w, err := plan.NewWriter(&file, plan.Plan{Verb: wire.KindCopy, Overwrite: plan.Update})
	for i := 0; err == nil && file.Len() < size; i++ {
		from.Tag, to.Tag = fmt.Sprint("v", i), fmt.Sprint("v", i)
		err = errors.Join(w.Step(plan.Step{Action: plan.Copy, From: from, To: to}), w.Flush())
	}
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return file.Bytes()
}

func (y *yard) upload(body io.Reader) (*http.Response, string) {
	y.t.Helper()
	req, err := http.NewRequestWithContext(y.t.Context(), http.MethodPost, y.server.URL+wire.Prefix+"/plans/upload", body)
	if err != nil {
		y.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+y.tokens["ann"])
	req.Header.Set("Content-Type", "application/jsonl")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		y.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		y.t.Fatal(err)
	}
	return resp, string(text)
}

func (y *yard) rows(table string) (n int) {
	y.t.Helper()
	if err := y.db.QueryRowContext(y.t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		y.t.Fatal(err)
	}
	return n
}

func TestAnUploadIsRefusedAtItsFirstBadLineAndNothingIsStored(t *testing.T) {
	y := newYard(t, settings{idle: true})
	good := planOf(1 << 20)
	lines := bytes.Count(good, []byte("\n"))
	open := good[:len(good)-len(planEnd)]
	for name, tt := range map[string]struct {
		file   string
		status int
		want   string
	}{
		"31 MiB of one letter":   {strings.Repeat("a", 31<<20), 400, "line 1: invalid: the line is longer than 1 MiB"},
		"31 MiB in one line":     {planHead + `{"action":"` + strings.Repeat("x", 31<<20), 400, "line 2: invalid: the line is longer than 1 MiB"},
		"a last line that is no": {string(open) + "{}\n" + planEnd, 400, fmt.Sprintf("line %d: invalid: unknown action", lines)},
		"an unknown field":       {planHead + `{"action":"copy","evil":1}` + "\n", 400, `line 2: invalid: not a step of dray: unknown field "evil"`},
		"deep":                   {planHead + `{"referrers":` + strings.Repeat("[", 500_000) + "\n", 413, "more values"},
		"deeper than it is long": {planHead + `{"referrers":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}\n", 400, "line 2"},
		"a line of many values":  {planHead + `{"referrers":[` + strings.Repeat("{},", 300_000) + "{}]}\n", 413, "more values"},
		"no end":                 {string(open), 400, fmt.Sprintf("line %d: invalid: the plan is not complete", lines)},
		"more after the end":     {string(good) + planEnd, 400, fmt.Sprintf("line %d: invalid: there is text after the end", lines+1)},
		"nothing":                {"", 400, "line 1: invalid: the file is empty"},
		"more than 32 MiB":       {string(planOf(32<<20 + 1)), 413, "larger than 32 MiB"},
	} {
		resp, text := y.upload(strings.NewReader(tt.file))
		if resp.StatusCode != tt.status || !strings.Contains(text, strings.ReplaceAll(tt.want, `"`, `\"`)) || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s %.300s", name, resp.Status, text)
		}
		if files, jobs := y.rows("job_files"), y.rows("jobs"); files+jobs != 0 {
			t.Fatalf("%s: %d pieces of files and %d jobs are stored", name, files, jobs)
		}
	}
}

func TestALongLineOfAPlanIsTaken(t *testing.T) {
	y := newYard(t, settings{})
	var referrers []string
	digest := "sha256:" + strings.Repeat("0a", 32)
	for i := range 2000 {
		referrers = append(referrers, fmt.Sprintf(`{"subject":"%s","digest":"sha256:%064x","mediaType":"application/vnd.oci.image.manifest.v1+json","size":1000}`, digest, i))
	}
	line := `{"action":"copy","from":"src.example/app:v1@` + digest + `","to":"dst.example/app:v1","referrers":[` + strings.Join(referrers, ",") + "]}\n"
	if len(line) < 300_000 {
		t.Fatal(len(line))
	}
	resp, text := y.upload(strings.NewReader(planHead + line + line + planEnd))
	if resp.StatusCode != http.StatusAccepted {
		t.Errorf("%s %.300s", resp.Status, text)
	}
}

func TestPlansThatAreUploadedAtOnceAreAllStoredAndReadBack(t *testing.T) {
	y := newYard(t, settings{memory: memory.New(memory.Options{})})
	file := planOf(1 << 20)
	var all sync.WaitGroup
	ids := make([]string, 16)
	for i := range ids {
		all.Go(func() {
			resp, text := y.upload(bytes.NewReader(file))
			if resp.StatusCode != http.StatusAccepted {
				t.Errorf("%s %s", resp.Status, text)
			}
			ids[i] = strings.TrimPrefix(resp.Header.Get("Location"), wire.Prefix+"/jobs/")
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	c := y.client("ann")
	for _, id := range ids {
		if j, err := c.Wait(t.Context(), id); err != nil || j.State != wire.Done {
			t.Fatalf("%v %+v", err, j)
		}
	}
	in, err := c.Plan(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, file) {
		t.Errorf("%v: %d bytes, not the %d that were sent", err, len(got), len(file))
	}
	if n := y.rows("job_files"); n != 0 {
		t.Errorf("%d pieces of files are left after the jobs", n)
	}
}

func TestAnUploadThatTheClientCutsLeavesNothing(t *testing.T) {
	ended := make(chan struct{}, 1)
	y := newYard(t, settings{idle: true, proxy: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			ended <- struct{}{}
		})
	}})
	file := planOf(1 << 20)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, y.server.URL+wire.Prefix+"/plans/upload",
		io.MultiReader(bytes.NewReader(file[:len(file)-100]), cut{}))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+y.tokens["ann"])
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Error(resp.Status)
	}
	<-ended
	if files, jobs := y.rows("job_files"), y.rows("jobs"); files+jobs != 0 {
		t.Errorf("%d pieces of files and %d jobs are stored", files, jobs)
	}
}

// cut is a body that breaks off.
type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestOneMoreUploadThanOneMayHaveAtOnceIsThrottled(t *testing.T) {
	uploads := access.NewPlaces(1)
	y := newYard(t, settings{idle: true, uploads: uploads})
	leave, _ := uploads.Take(access.Principal{Name: "ann"})
	if resp, text := y.upload(bytes.NewReader(planOf(100))); resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Error(resp.Status, text)
	}
	leave()
	for range 2 {
		if resp, text := y.upload(bytes.NewReader(planOf(100))); resp.StatusCode != http.StatusAccepted {
			t.Error(resp.Status, text)
		}
	}
}

func TestARequestForWhichThereIsNoMemoryIsRefusedForNow(t *testing.T) {
	m := memory.New(memory.Options{Patience: time.Millisecond})
	y := newYard(t, settings{idle: true, memory: m})
	hold := m.Begin("bob")
	if err := hold.Take(t.Context(), memory.Decoded, 40<<20); err != nil {
		t.Fatal(err)
	}
	const body = `{"source":"src/app:v1","target":"dst","images":["app:v1"]}`
	resp, text := y.ask("ann", http.MethodPost, "/imports", body)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || !strings.Contains(text, `"kind":"unavailable"`) {
		t.Errorf("%s %v %s", resp.Status, resp.Header, text)
	}
	if resp, text := y.ask("ann", http.MethodGet, "/jobs", ""); resp.StatusCode != http.StatusOK { // it sends nothing
		t.Error(resp.Status, text)
	}
	hold.Release()
	if resp, text := y.ask("ann", http.MethodPost, "/imports", body); resp.StatusCode != http.StatusAccepted {
		t.Error(resp.Status, text)
	}
	if use := m.Use(memory.Decoded); use.Used != 0 || use.Refused != 1 {
		t.Errorf("%+v", use)
	}
}

func TestALargeBodyIsRefusedAtItsFirstMistake(t *testing.T) {
	y := newYard(t, settings{idle: true})
	for name, tt := range map[string]struct{ body, want string }{
		"values of another type": {`{"target":"dst","entries":[` + strings.Repeat("1,", 200_000) + `1]}`, "the value of entries has the wrong type"},
		"unknown fields":         {`{"target":"dst","entries":[{` + strings.Repeat(`"evil":1,`, 20_000) + `"b":1}]}`, "unknown field evil"},
		"missing fields":         {`{"target":"dst","entries":[` + strings.Repeat("{},", 30_000) + `{}]}`, "expected required property source"},
	} {
		resp, text := y.ask("ann", http.MethodPost, "/batches", tt.body)
		if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, tt.want) || len(text) > 64<<10 {
			t.Errorf("%s: %s %d bytes: %.300s", name, resp.Status, len(text), text)
		}
	}
	if resp, text := y.ask("ann", http.MethodPost, "/batches", `{"target":"dst","entries":[`+strings.Repeat("[],", 300_000)+`[]]}`); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%s %.300s", resp.Status, text)
	}
	if resp, text := y.ask("ann", http.MethodPost, "/batches", strings.Repeat("[", 200_000)); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("%s %.300s", resp.Status, text)
	}
}

// Every field that a request may have passes the check of a large body.
func TestALargeBodyWithEveryFieldIsTaken(t *testing.T) {
	y := newYard(t, settings{idle: true})
	entry := `{"source":"src/app:v1","targets":["team/app:v1"],"overwrite":"update","line":3}`
	all := `"target":"dst","sourceLogin":{"user":"u","password":"p"},"targetLogin":null,"overwrite":"refuse","hold":"all","entries":[` + strings.Repeat(entry+",", 1000) + entry + `]`
	names := strings.Repeat(`"team/app`+strings.Repeat("x", 100)+`",`, 1000) + `"team/app"`
	transfer := `{"sources":["src"],"target":"dst","selection":{"includeRepositories":[` + names + `],"latest":3,"untagged":true},"mapping":{"flatten":false,"maxDepth":2}}`
	for path, body := range map[string]string{
		"/batches":   `{` + all + `}`,
		"/plans":     `{"batch":{` + all + `}}`,
		"/transfers": transfer,
		"/schedules": `{"name":"n","cron":"* * * * *","request":{"kind":"transfer","transfer":` + transfer + `}}`,
	} {
		if resp, text := y.ask("ann", http.MethodPost, path, body); resp.StatusCode/100 != 2 {
			t.Errorf("%s: %s %.500s", path, resp.Status, text)
		}
	}
}

func TestAPageOfLargeItemsIsShortAndNamesTheNext(t *testing.T) {
	y := newYard(t, settings{})
	file := planOf(9 << 20)
	resp, text := y.upload(bytes.NewReader(file))
	if resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp.Status, text)
	}
	id := strings.TrimPrefix(resp.Header.Get("Location"), wire.Prefix+"/jobs/")
	c := y.client("ann")
	if j, err := c.Wait(t.Context(), id); err != nil || j.State != wire.Done {
		t.Fatalf("%v %+v", err, j)
	}
	start, items := time.Now(), 0
	if err := c.Items(t.Context(), id, func(wire.Item) error { items++; return nil }); err != nil {
		t.Fatal(err)
	}
	if want := bytes.Count(file, []byte("\n")) - 2; items != want {
		t.Errorf("%d items of %d after %v", items, want, time.Since(start))
	}
	if _, text := y.ask("ann", http.MethodGet, "/jobs/"+id+"/items?limit=10000", ""); len(text) > 6<<20 || !strings.Contains(text, `"next":`) {
		t.Errorf("a page of %d bytes: …%s", len(text), text[len(text)-100:])
	}
}
