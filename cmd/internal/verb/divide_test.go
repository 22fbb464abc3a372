package verb_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
)

// crew is a Runner of two Services, like two workers. The parts of a job go to them in turn.
type crew struct {
	*verb.Service
	other *verb.Service
	parts atomic.Int64
	ended atomic.Int64
	part  func(n int64, out job.Outcome) job.Outcome // changes the outcome of a part; may be nil
}

func (c *crew) Part(ctx context.Context, r *job.Run, part json.RawMessage) job.Outcome {
	n := c.parts.Add(1)
	s := c.Service
	if n%2 == 0 {
		s = c.other
	}
	out := s.Part(ctx, r, part)
	defer c.ended.Add(1)
	if text := string(part) + string(out.Report); strings.Contains(text, "secret") {
		out = job.Outcome{State: job.Failed, Failure: &job.Failure{Text: "a part has a login"}}
	}
	if c.part != nil {
		return c.part(n, out)
	}
	return out
}

// undivided is a Runner that divides no job.
type undivided struct{ *verb.Service }

func (undivided) Split(context.Context, *job.Run, func(json.RawMessage) error) (bool, job.Outcome) {
	return true, job.Outcome{}
}

// newDivided returns a fixture with an engine that divides jobs, and two registries of which the source wants a login.
func newDivided(t *testing.T, front func(http.Handler) http.Handler) (h *fixture, src, dst *testbed.Registry, c *crew) {
	t.Helper()
	src = testbed.Distribution(t, testbed.Options{Content: testbed.Open, Auth: testbed.Auth{Mode: testbed.Bearer}})
	dst = testbed.Distribution(t, testbed.Options{Content: testbed.Open, Front: front})
	h = fixtureOn(t, suite.Divide, between(src, dst),
		access.Rule{Principals: []string{"ann"}, Verbs: []string{"*"}, Sources: []string{"**"}, Targets: []string{"**"}, Rights: access.Rights})
	return h, src, dst, &crew{Service: h.service, other: h.worker(t, between(src, dst))}
}

var secretLogin = wire.Logins{SourceLogin: &wire.Login{User: "user", Password: testbed.Password}}

// bad lets no tag "bad" be set.
func bad(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/bad") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// told is what a job left behind, without what differs from run to run.
type told struct{ state, items, report, failure, audit string }

// without returns the lines that other does not have.
func (a told) without(other told) (text string) {
	lines := func(t told) []string {
		return strings.Split(strings.Join([]string{t.state, t.items, t.report, t.failure, t.audit}, "\n"), "\n")
	}
	for _, l := range lines(a) {
		if !slices.Contains(lines(other), l) {
			text += "\n" + l
		}
	}
	return text
}

// ended returns what job j left behind. place is the part of its targets that other runs do not have.
func (h *fixture) ended(t *testing.T, j job.Job, place string, entries int) told {
	t.Helper()
	clean := func(raw json.RawMessage) string {
		var v map[string]any
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatal(err)
			}
		}
		for _, key := range []string{"tookNanoseconds", "traffic", "when", "blobs", "digest"} {
			delete(v, key)
		}
		if steps, ok := v["steps"].([]any); ok { // their order is that of the parts
			var lines []string
			for _, s := range steps {
				step, _ := s.(map[string]any)
				delete(step, "tookNanoseconds")
				delete(step, "blobs")
				line, _ := json.Marshal(step)
				lines = append(lines, string(line))
			}
			slices.Sort(lines)
			v["steps"] = lines
		}
		out, _ := json.Marshal(v)
		return strings.ReplaceAll(string(out), place, "PLACE")
	}
	items, err := h.queue.Items(t.Context(), j.ID, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, it := range items {
		lines = append(lines, clean(it.Data))
	}
	slices.Sort(lines)
	report, err := h.queue.Report(t.Context(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	out := told{state: string(j.State), items: strings.Join(lines, "\n"), report: clean(report)}
	if j.Failure != nil {
		raw, _ := json.Marshal(j.Failure)
		out.failure = clean(raw)
	}
	var said []string
	for _, e := range h.entries(t)[entries:] {
		said = append(said, strings.ReplaceAll(fmt.Sprint(e.Principal, e.Verb, e.Source, e.Target, e.Old, e.New), place, "PLACE"))
	}
	slices.Sort(said)
	out.audit = strings.Join(slices.DeleteFunc(said, func(s string) bool { return strings.Contains(s, "submit") || strings.Contains(s, "retry") }), "\n")
	return out
}

// A job that two workers divide leaves behind what one worker leaves behind, and so does the retry of what failed.
func TestADividedJobIsTheSameAsAWholeOne(t *testing.T) {
	var heal atomic.Bool
	h, src, dst, both := newDivided(t, func(next http.Handler) http.Handler {
		refusing := bad(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if heal.Load() {
				next.ServeHTTP(w, r)
			} else {
				refusing.ServeHTTP(w, r)
			}
		})
	})
	var entries []wire.BatchEntry
	for i, repo := range []string{"a", "b", "c", "d", "e"} {
		for k, tag := range []string{"v1", "v2"} {
			testbed.Random(t, src, repo, tag, testbed.RandomOptions{Seed: uint64(10*i + k + 1), Size: 100})
			entries = append(entries, wire.BatchEntry{Source: "src/" + repo + ":" + tag, Targets: []string{"PLACE" + repo + ":" + tag}})
		}
	}
	testbed.Random(t, src, "b", "bad", testbed.RandomOptions{Seed: 99, Size: 100})
	testbed.Random(t, src, "b", "fine", testbed.RandomOptions{Seed: 98, Size: 100})
	entries = append(entries, wire.BatchEntry{Source: "src/b:bad", Targets: []string{"PLACEb:bad"}}, wire.BatchEntry{Source: "no name"})
	ends := wire.Ends{Sources: []string{"src"}, Target: "dst/PLACE"}
	used := ends
	used.InUse = src.Host + "/a:v1\n" + src.Host + "/b:gone\n" + src.Host + "/z:v1\n"
	used.Selection.ExcludeTags = []string{"nothing-like-it"}
	for name, r := range map[string]wire.Request{
		"transfer": {Kind: wire.KindTransfer, Transfer: &wire.Transfer{Ends: ends, Logins: secretLogin}},
		"in use":   {Kind: wire.KindTransfer, Transfer: &wire.Transfer{Ends: used, Logins: secretLogin}},
		"verify":   {Kind: wire.KindVerify, Verify: &wire.Verify{Ends: ends, Depth: "deep", Logins: secretLogin}},
		"batch":    {Kind: wire.KindBatch, Batch: &wire.Batch{Target: "dst", Entries: entries, Logins: secretLogin}},
		"nothing": {Kind: wire.KindTransfer, Transfer: &wire.Transfer{Ends: wire.Ends{Sources: []string{"src"}, Target: "dst/PLACE",
			Selection: wire.Selection{IncludeRepositories: []string{"none"}, RequireMatch: true}}, Logins: secretLogin}},
	} {
		t.Run(name, func(t *testing.T) {
			run := func(place string, runner job.Runner) (first, again told) {
				raw, err := json.Marshal(r)
				if err != nil {
					t.Fatal(err)
				}
				one := wire.Request{}
				if err := json.Unmarshal([]byte(strings.ReplaceAll(string(raw), "PLACE", place)), &one); err != nil {
					t.Fatal(err)
				}
				heal.Store(false)
				if name == "verify" { // some names are right, some are not
					testbed.Random(t, dst, place+"a", "v1", testbed.RandomOptions{Seed: 1, Size: 100})
					testbed.Random(t, dst, place+"a", "v2", testbed.RandomOptions{Seed: 1, Size: 100})
				}
				before := len(h.entries(t))
				j, _, err := h.service.Submit(t.Context(), ann, one, "")
				if err != nil {
					t.Fatal(err)
				}
				done := h.runOn(t, 2, runner)
				first = h.ended(t, done, place, before)
				heal.Store(true)
				before = len(h.entries(t))
				if _, _, err := h.service.Retry(t.Context(), ann, j.ID, verb.Again{Logins: secretLogin}); err != nil {
					return first, told{failure: strings.ReplaceAll(err.Error(), j.ID, "JOB")}
				}
				return first, h.ended(t, h.runOn(t, 2, runner), place, before)
			}
			place := strings.ReplaceAll(name, " ", "")
			whole, wholeAgain := run(place+"1/", undivided{h.service})
			both.parts.Store(0)
			parts, partsAgain := run(place+"2/", both)
			n := both.parts.Load()
			if parts != whole {
				t.Errorf("divided:%s\nwhole:%s", parts.without(whole), whole.without(parts))
			}
			if partsAgain != wholeAgain {
				t.Errorf("the retry, divided:%s\nwhole:%s", partsAgain.without(wholeAgain), wholeAgain.without(partsAgain))
			}
			if n < 5 && name != "nothing" {
				t.Errorf("%d parts", n)
			}
			t.Logf("%d parts, %s %s; again: %s %s", n, parts.state, parts.failure, partsAgain.state, partsAgain.failure)
		})
	}
}

// A cancel while some parts are done and others run ends the job as canceled, with the sums of what was done.
func TestACanceledDividedJobHasTheSumsOfItsParts(t *testing.T) {
	held := make(chan struct{})
	var hold sync.Once
	free := func() { hold.Do(func() { close(held) }) }
	defer free()
	h, src, _, both := newDivided(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/slow") {
				select {
				case <-held:
				case <-r.Context().Done():
				}
			}
			next.ServeHTTP(w, r)
		})
	})
	for _, repo := range []string{"a", "b", "c", "d", "e", "f"} {
		tag := "slow"
		if repo < "c" {
			tag = "v1"
		}
		testbed.Random(t, src, repo, tag, testbed.RandomOptions{Seed: uint64(repo[0]), Size: 100})
	}
	r := transfer("dst", "src")
	r.Transfer.Logins = secretLogin
	j, _, err := h.service.Submit(t.Context(), ann, r, "")
	if err != nil {
		t.Fatal(err)
	}
	var asked time.Time
	go func() {
		for t.Context().Err() == nil {
			time.Sleep(20 * time.Millisecond)
			if both.ended.Load() < 2 {
				continue
			}
			asked = time.Now()
			if _, err := h.service.Cancel(t.Context(), ann, j.ID); err != nil {
				t.Error(err)
			}
			return
		}
	}()
	done := h.runOn(t, 5, both) // one more than the slow parts
	report, err := h.queue.Report(t.Context(), j.ID)
	var sum dray.TransferReport
	if err == nil {
		err = json.Unmarshal(report, &sum)
	}
	t.Logf("%s after %v, %d parts", done.State, time.Since(asked), both.parts.Load())
	if err != nil || done.State != job.Canceled || sum.States[dray.Done] != 2 || sum.Repositories < 2 || sum.Traffic[src.Host].Requests == 0 {
		t.Errorf("%v %s %s", err, done.State, report)
	}
	begun := int(both.parts.Load())
	want := fmt.Sprintf("; %d of 6 parts were interrupted", begun-2)
	if begun < 6 {
		want = fmt.Sprintf("; %d of 6 parts were not carried out, and %d were interrupted", 6-begun, begun-2)
	}
	if f := done.Failure; f == nil || f.Text != "transfer: canceled: the job stopped before it was complete"+want {
		t.Errorf("%+v, want %q", f, want)
	}
	items, err := h.queue.Items(t.Context(), j.ID, 0, 0)
	if err != nil || len(items) < 2 {
		t.Errorf("%d items, %v", len(items), err)
	}
}

// A part that fails as a whole makes the job fail in part.
func TestAPartThatFailsAsAWholeIsTold(t *testing.T) {
	h, src, _, both := newDivided(t, nil)
	for _, repo := range []string{"a", "b", "c"} {
		testbed.Random(t, src, repo, "v1", testbed.RandomOptions{Seed: uint64(repo[0]), Size: 100})
	}
	both.part = func(n int64, out job.Outcome) job.Outcome {
		if n == 2 {
			return job.Outcome{State: job.Failed, Failure: job.FailureOf(&fault.Fault{Kind: fault.Denied, Op: "run job", Err: errors.New("no longer allowed")})}
		}
		return out
	}
	r := transfer("dst", "src")
	r.Transfer.Logins = secretLogin
	if _, _, err := h.service.Submit(t.Context(), ann, r, ""); err != nil {
		t.Fatal(err)
	}
	j := h.runOn(t, 1, both)
	if j.State != job.Partly || j.Failure == nil || j.Failure.Kind != fault.Denied || !strings.HasPrefix(j.Failure.Text, "1 of 3 parts failed: ") {
		t.Errorf("%s %+v", j.State, j.Failure)
	}
}
