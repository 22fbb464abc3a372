package verb_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// fixture is a service with a separate database.
type fixture struct {
	db      *store.DB
	access  *access.Access
	queue   *job.Queue
	service *verb.Service
}

func newFixture(t *testing.T, c dray.Config, rules ...access.Rule) *fixture {
	t.Helper()
	return fixtureOn(t, nil, c, rules...)
}

// fixtureOn is newFixture with an engine; nil means the embedded one.
func fixtureOn(t *testing.T, engine func(*job.Queue) (job.Engine, error), c dray.Config, rules ...access.Rule) *fixture {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	h := &fixture{}
	var err error
	h.db, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "dray.db"))
	must(err)
	t.Cleanup(func() { h.db.Close() })
	vault, err := access.OpenVault(t.Context(), access.KeySource{File: filepath.Join(t.TempDir(), "key")})
	must(err)
	h.access, err = access.Open(t.Context(), access.Config{DB: h.db, Vault: vault, Rules: rules})
	must(err)
	_, _, err = h.access.NewToken(t.Context(), access.Token{Principal: ann.Name, Role: ann.Role, By: "root"})
	must(err)
	h.queue, err = job.Open(t.Context(), job.Config{DB: h.db, Seal: vault, Engine: engine})
	must(err)
	h.service = h.worker(t, c)
	return h
}

// worker returns a second service on h's database, like that of another process.
func (h *fixture) worker(t *testing.T, c dray.Config) *verb.Service {
	t.Helper()
	d, err := dray.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return verb.New(verb.Config{Dray: d, Queue: h.queue, Access: h.access, DB: h.db})
}

// newPair returns a fixture with two registries, between which ann may do everything. front wraps the
// handler of the target.
func newPair(t *testing.T, front func(http.Handler) http.Handler) (h *fixture, src, dst *testbed.Registry) {
	t.Helper()
	src = testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	dst = testbed.Distribution(t, testbed.Options{Content: testbed.Open, Front: front})
	h = newFixture(t, between(src, dst),
		access.Rule{Principals: []string{"ann"}, Verbs: []string{"*"}, Sources: []string{"**"}, Targets: []string{"**"}, Rights: access.Rights})
	return h, src, dst
}

func between(src, dst *testbed.Registry) dray.Config {
	plain := dray.Settings{PlainHTTP: true}
	return dray.Config{Registries: map[string]dray.Registry{"src": {Host: src.Host, Settings: plain}, "dst": {Host: dst.Host, Settings: plain}}}
}

var ann = access.Principal{Name: "ann", Role: access.Submitter, Via: access.ViaToken}

func transfer(target string, sources ...string) wire.Request {
	return wire.Request{Kind: wire.KindTransfer, Transfer: &wire.Transfer{Ends: wire.Ends{Sources: sources, Target: target}}}
}

func mapped(m wire.Mapping) wire.Request {
	r := transfer("b.example/m/", "a.example/team/")
	r.Transfer.Mapping = m
	return r
}

func TestARequestForManyRepositoriesNeedsARuleForAllOfThem(t *testing.T) {
	rule := func(source, target string, rights ...string) access.Rule {
		return access.Rule{Principals: []string{"ann"}, Verbs: []string{"*"}, Sources: []string{source}, Targets: []string{target}, Rights: rights}
	}
	both := []string{access.Create, access.Overwrite}
	everything := rule("**", "**", access.Rights...)
	chosen := transfer("b.example", "a.example")
	chosen.Transfer.Selection.Repository = "team/app"
	refuse := transfer("b.example/x", "a.example/x")
	refuse.Transfer.Overwrite = "refuse"
	for name, tt := range map[string]struct {
		request wire.Request
		rules   []access.Rule
		granted bool
	}{
		"a registry to a registry":                       {transfer("b.example", "a.example"), []access.Rule{rule("a.example/**", "b.example/**", both...)}, true},
		"without the right to overwrite":                 {transfer("b.example", "a.example"), []access.Rule{rule("a.example/**", "b.example/**", access.Create)}, false},
		"that is not asked for":                          {refuse, []access.Rule{rule("a.example/x", "b.example/x", access.Create)}, true},
		"one level is not all":                           {transfer("b.example", "a.example"), []access.Rule{rule("a.example/*", "b.example/**", both...)}, false},
		"nor all but one level":                          {transfer("b.example", "a.example"), []access.Rule{rule("a.example/*/**", "b.example/**", both...)}, false},
		"nor two levels and one":                         {transfer("b.example", "a.example"), []access.Rule{rule("a.example/*", "b.example/**", both...), rule("a.example/*/*", "b.example/**", both...)}, false},
		"nor what ends in app":                           {transfer("b.example", "a.example"), []access.Rule{rule("a.example/**/app", "b.example/**", both...)}, false},
		"nor names of four letters":                      {transfer("b.example", "a.example"), []access.Rule{rule("a.example/????", "b.example/**", both...)}, false},
		"a prefix is within a registry":                  {transfer("b.example/m/", "a.example/team/"), []access.Rule{rule("a.example/**", "b.example/**", both...)}, true},
		"a prefix has a rule of its own":                 {transfer("b.example/m/", "a.example/team/"), []access.Rule{rule("a.example/team/**", "b.example/m/team/**", both...)}, true},
		"another prefix":                                 {transfer("b.example/m/", "a.example/team/"), []access.Rule{rule("a.example/teams/**", "b.example/m/**", both...)}, false},
		"a mapping that could make anything below":       {mapped(wire.Mapping{Rename: []string{"s/team/x/"}}), []access.Rule{rule("a.example/team/**", "b.example/m/team/**", both...)}, false},
		"and what covers all below":                      {mapped(wire.Mapping{Rename: []string{"s/team/x/"}}), []access.Rule{rule("a.example/team/**", "b.example/m/**", both...)}, true},
		"a depth that joins the prefix to what follows":  {mapped(wire.Mapping{MaxDepth: 1}), []access.Rule{rule("a.example/team/**", "b.example/m/**", both...)}, false},
		"a depth that does not":                          {mapped(wire.Mapping{MaxDepth: 2}), []access.Rule{rule("a.example/team/**", "b.example/m/**", both...)}, true},
		"one repository of a registry":                   {chosen, []access.Rule{rule("a.example/team/app", "b.example/team/app", both...)}, true},
		"not that one":                                   {chosen, []access.Rule{rule("a.example/team/web", "b.example/**", both...)}, false},
		"within one registry without the right to mount": {transfer("a.example/x", "a.example/y"), []access.Rule{rule("**", "**", both...)}, false},
		"with it":                  {transfer("a.example/x", "a.example/y"), []access.Rule{everything}, true},
		"several targets":          {wire.Request{Kind: wire.KindCopy, Copy: &wire.Copy{Source: "a.example/x:1", Targets: []string{"b.example/x", "c.example/x"}}}, []access.Rule{rule("**", "b.example/**", both...)}, false},
		"an entry of a batch":      {wire.Request{Kind: wire.KindBatch, Batch: &wire.Batch{Entries: []wire.BatchEntry{{Source: "a.example/x:1", Targets: []string{"b.example/x"}}, {Source: "a.example/x:1", Targets: []string{"c.example/x"}}}}}, []access.Rule{rule("**", "b.example/**", both...)}, false},
		"an entry that overwrites": {wire.Request{Kind: wire.KindBatch, Batch: &wire.Batch{Entries: []wire.BatchEntry{{Source: "a.example/x:1", Targets: []string{"b.example/x"}, Overwrite: "update"}}}}, []access.Rule{rule("**", "**", access.Create)}, false},
		"a tag moves":              {wire.Request{Kind: wire.KindTag, Tag: &wire.Tag{Image: "a.example/x:1", Tags: []string{"2"}}}, []access.Rule{rule("**", "**", access.Create)}, false},
		"a verification reads":     {wire.Request{Kind: wire.KindVerify, Verify: &wire.Verify{Ends: wire.Ends{Sources: []string{"a.example/x:1"}, Target: "b.example/x"}}}, []access.Rule{rule("a.example/x", "b.example/x")}, true},
		"and heals with a right":   {wire.Request{Kind: wire.KindVerify, Verify: &wire.Verify{Ends: wire.Ends{Sources: []string{"a.example/x"}, Target: "b.example/x"}, Depth: "deep", Heal: true}}, []access.Rule{rule("a.example/x", "b.example/x")}, false},
		"a plan reads":             {wire.Request{Kind: wire.KindPlan, Plan: &wire.Plan{Transfer: transfer("b.example", "a.example").Transfer}}, []access.Rule{rule("**", "**")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, dray.Config{}, tt.rules...)
			_, _, err := h.service.Submit(t.Context(), ann, tt.request, "")
			if tt.granted && err != nil || !tt.granted && !fault.Is(err, fault.Denied) {
				t.Errorf("granted %v: %v", tt.granted, err)
			}
		})
	}
}

func TestAnAnonymousClientCannotSubmitJobs(t *testing.T) {
	h := newFixture(t, dray.Config{}, access.Rule{Principals: []string{"*", access.Anonymous}, Verbs: []string{"*"}, Sources: []string{"**"}, Targets: []string{"**"}})
	p := access.Principal{Name: access.Anonymous, Role: access.Reader, Via: access.ViaNothing}
	r := wire.Request{Kind: wire.KindPlan, Plan: &wire.Plan{Transfer: transfer("b.example", "a.example").Transfer}}
	if _, _, err := h.service.Submit(t.Context(), p, r, ""); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
}

// The request is checked again when the job begins. A rule that no longer exists then does not count.
func TestAJobThatIsNoLongerAllowedDoesNotRun(t *testing.T) {
	h := newFixture(t, dray.Config{})
	row := json.RawMessage(`{"kind":"import","import":{"source":"a.example/x:1","target":"b.example"},"role":"submitter"}`)
	if _, _, err := h.queue.Submit(t.Context(), job.Submission{Kind: "import", Principal: "ann", Request: row}); err != nil {
		t.Fatal(err)
	}
	j := h.runOne(t, h.service)
	if j.State != job.Failed || j.Failure.Kind != fault.Denied {
		t.Errorf("%s %+v", j.State, j.Failure)
	}
}

// runOne runs jobs until the newest one has ended, and returns it.
func (h *fixture) runOne(t *testing.T, run job.Runner) job.Job {
	t.Helper()
	return h.runOn(t, 1, run)
}

// runOn is runOne with a number of slots.
func (h *fixture) runOn(t *testing.T, slots int, run job.Runner) job.Job {
	t.Helper()
	jobs, _, err := h.queue.List(t.Context(), job.Filter{Limit: 1})
	if err != nil || len(jobs) != 1 {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	worked := make(chan struct{})
	go func() { defer close(worked); _ = h.queue.Work(ctx, slots, run) }()
	defer func() { stop(); <-worked }()
	for e, err := range h.queue.Watch(t.Context(), jobs[0].ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == "ended" {
			var j job.Job
			if err := json.Unmarshal(e.Data, &j); err != nil {
				t.Fatal(err)
			}
			return j
		}
	}
	t.Fatal("the job did not end")
	return job.Job{}
}

// takeAway queues r's job again, as when its lease has expired.
func (h *fixture) takeAway(t *testing.T, r *job.Run) {
	t.Helper()
	if _, err := h.db.ExecContext(t.Context(), `UPDATE jobs SET state = 'queued', fence = 0 WHERE id = $1`, r.Job.ID); err != nil {
		t.Error(err)
	}
}

// A worker that loses its lease during a run must set no name. The test changes the row as if another
// worker had claimed the job.
func TestAWorkerThatLostItsJobSetsNoName(t *testing.T) {
	h, src, dst := newPair(t, nil)
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Seed: 1})
	old := testbed.Random(t, dst, "app", "v1", testbed.RandomOptions{Seed: 2})
	r := wire.Request{Kind: wire.KindCopy, Copy: &wire.Copy{Source: "src/app:v1", Targets: []string{"dst/app"}}}
	if _, _, err := h.service.Submit(t.Context(), ann, r, ""); err != nil {
		t.Fatal(err)
	}
	var first job.Outcome
	runs := 0
	j := h.runOne(t, suite.Func(func(ctx context.Context, r *job.Run) job.Outcome {
		if runs++; runs > 1 {
			return job.Outcome{State: job.Done} // the other worker does nothing
		}
		h.takeAway(t, r)
		first = h.service.Run(ctx, r)
		return first
	}))
	if j.State != job.Done || first.State == job.Done || first.Failure == nil {
		t.Errorf("%s, the first: %s %+v", j.State, first.State, first.Failure)
	}
	if got := testbed.CraneDigest(t, dst, "app", "v1"); got != old.Digest() {
		t.Errorf("v1 moved to %s", got)
	}
}

func TestTheAuditLogRecordsThePrincipalAndTheNamesThatMoved(t *testing.T) {
	h, src, dst := newPair(t, nil)
	img := testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Seed: 1})
	old := testbed.Random(t, dst, "app", "v1", testbed.RandomOptions{Seed: 2})
	r := wire.Request{Kind: wire.KindCopy, Copy: &wire.Copy{Source: "src/app:v1", Targets: []string{"dst/app", "dst/app:other"}}}
	j, _, err := h.service.Submit(t.Context(), ann, r, "")
	if err != nil {
		t.Fatal(err)
	}
	if done := h.runOne(t, h.service); done.State != job.Done {
		t.Fatalf("%+v", done.Failure)
	}
	entries := h.entries(t)
	moved := map[string]string{}
	for _, e := range entries {
		switch {
		case e.Verb == "token create":
		case e.Principal != "ann":
			t.Errorf("%+v", e)
		case e.Verb == "submit copy" && e.New == j.ID:
			moved["submitted"] = e.New
		case e.Verb == "copy" && e.New == img.Digest():
			moved[e.Target] = e.Old
		}
	}
	if len(moved) != 3 || moved[dst.Host+"/app:v1"] != old.Digest() || moved[dst.Host+"/app:other"] != "" {
		t.Errorf("%+v", entries)
	}
}

// The worker dies right after the target has set the name. The next worker finds the name set. The audit
// log must have the entry, although the dead worker could not write one afterwards.
func TestTheAuditLogRecordsANameWhoseWorkerWasKilledAsItWasSet(t *testing.T) {
	set, never := make(chan struct{}), make(chan struct{})
	var armed atomic.Bool
	h, src, dst := newPair(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/v1") && armed.CompareAndSwap(true, false) {
				set <- struct{}{}
				<-never // the worker never receives the answer
			}
		})
	})
	img := testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Seed: 1})
	old := testbed.Random(t, dst, "app", "v0", testbed.RandomOptions{Seed: 2})
	for _, r := range []wire.Request{
		{Kind: wire.KindTag, Tag: &wire.Tag{Image: "dst/app:v0", Tags: []string{"v1"}}},
		{Kind: wire.KindCopy, Copy: &wire.Copy{Source: "src/app:v1", Targets: []string{"dst/app"}, Backup: "{tag}-old"}},
	} {
		if _, _, err := h.service.Submit(t.Context(), ann, r, ""); err != nil {
			t.Fatal(err)
		}
		killed := make(chan struct{})
		runs := 0
		j := h.runOne(t, suite.Func(func(ctx context.Context, r *job.Run) job.Outcome {
			if runs++; runs > 1 {
				return h.service.Run(ctx, r)
			}
			armed.Store(true)
			dead := h.worker(t, between(src, dst))
			go func() { defer close(killed); dead.Run(context.WithoutCancel(ctx), r) }()
			select {
			case <-set:
			case <-killed:
				t.Error("the worker ended before it set a name")
			}
			h.takeAway(t, r)
			return job.Outcome{State: job.Failed} // ignored, because this attempt no longer holds the job
		}))
		if j.State != job.Done || runs != 2 {
			t.Errorf("%s after %d runs: %+v", j.State, runs, j.Failure)
		}
		defer func() { <-killed }()
	}
	defer close(never)
	var got []access.Entry
	for _, e := range h.entries(t) {
		if e.Principal == ann.Name && !strings.HasPrefix(e.Verb, "submit") {
			got = append(got, access.Entry{Verb: e.Verb, Target: strings.TrimPrefix(e.Target, dst.Host+"/"), Old: e.Old, New: e.New})
		}
	}
	// The verb tag always puts the tag. The second time, the tag already had this digest.
	want := []access.Entry{{Verb: "tag", Target: "app:v1", New: old.Digest()}, {Verb: "tag", Target: "app:v1", Old: old.Digest(), New: old.Digest()},
		{Verb: "copy (backup)", Target: "app:v1-old", New: old.Digest()}, {Verb: "copy", Target: "app:v1", Old: old.Digest(), New: img.Digest()}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestTheAuditLogRecordsWhatATargetDidNotConfirm(t *testing.T) {
	h, src, dst := newPair(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/v2") {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Seed: 1})
	r := wire.Request{Kind: wire.KindCopy, Copy: &wire.Copy{Source: "src/app:v1", Targets: []string{"dst/app", "dst/app:v2"}}}
	if _, _, err := h.service.Submit(t.Context(), ann, r, ""); err != nil {
		t.Fatal(err)
	}
	if j := h.runOne(t, h.service); j.State != job.Partly {
		t.Errorf("%s %+v", j.State, j.Failure)
	}
	said := map[string]int{}
	for _, e := range h.entries(t) {
		if e.Principal != ann.Name {
			continue // root created the token
		}
		said[e.Verb+" "+strings.TrimPrefix(e.Target, dst.Host+"/")]++
	}
	if want := map[string]int{"submit copy " + "dst/app dst/app:v2": 1, "copy app:v1": 1, "copy app:v2": 1, "copy (not confirmed) app:v2": 1}; !maps.Equal(said, want) {
		t.Errorf("%v, want %v", said, want)
	}
}

// entries returns the whole audit log, and checks its hash chain.
func (h *fixture) entries(t *testing.T) []access.Entry {
	t.Helper()
	all, err := h.access.Entries(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.access.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	return all
}

func TestARequestWithoutItsLoginsIsTheSameRequest(t *testing.T) {
	r := wire.Request{Kind: wire.KindTransfer, Transfer: &wire.Transfer{Ends: wire.Ends{Sources: []string{"a.example"}, Target: "b.example", Mapping: wire.Mapping{Flatten: true}, Tagging: wire.Tagging{Map: []string{"a=b"}}},
		Overwrite: string(plan.Always), Logins: wire.Logins{SourceLogin: &wire.Login{User: "u", Password: "pw"}}}}
	h := newFixture(t, dray.Config{}, access.Rule{Principals: []string{"ann"}, Verbs: []string{"*"}, Sources: []string{"**"}, Targets: []string{"**"}, Rights: access.Rights})
	j, _, err := h.service.Submit(t.Context(), ann, r, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.RequestOf(j.Request)
	if err != nil || got.Transfer.SourceLogin != nil || r.Transfer.SourceLogin == nil {
		t.Fatalf("%v %+v", err, got.Transfer)
	}
	want := r
	bare := *r.Transfer
	bare.Logins = wire.Logins{}
	want.Transfer = &bare
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if string(a) != string(b) {
		t.Errorf("%s\n%s", a, b)
	}
}

// Each step of a plan is checked against the rules. A plan may have been written by hand, so it gives its
// sender no more rights.
func TestAPlanThatWasWrittenByHandNeedsTheRightsOfItsSteps(t *testing.T) {
	name := func(s string) ref.Name {
		n, err := ref.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	digest := "sha256:" + strings.Repeat("ab", 32)
	step := func(from, to string, replaces oci.Digest) plan.Step {
		return plan.Step{Action: plan.Copy, From: name(from + "@" + digest), To: name(to), MediaType: "application/vnd.oci.image.manifest.v1+json", Size: 2, Replaces: replaces}
	}
	other := oci.Digest("sha256:" + strings.Repeat("cd", 32))
	for name, tt := range map[string]struct {
		verb    string
		step    plan.Step
		granted bool
	}{
		"a free name":                   {"copy", step("a.example/x:1", "b.example/x:1", ""), true},
		"a name that is taken":          {"copy", step("a.example/x:1", "b.example/x:1", other), false},
		"a tag whose target is unknown": {"tag", step("a.example/x:1", "b.example/x:1", ""), false},
		"another registry":              {"copy", step("a.example/x:1", "c.example/x:1", ""), false},
		"another source":                {"transfer", step("d.example/x:1", "b.example/x:1", ""), false},
		"within a registry":             {"copy", step("b.example/y:1", "b.example/x:1", ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, dray.Config{}, access.Rule{Principals: []string{"ann"}, Verbs: []string{"*"}, Sources: []string{"a.example/**", "b.example/**"}, Targets: []string{"b.example/**"}, Rights: []string{access.Create}})
			var file bytes.Buffer
			if err := (plan.Plan{Verb: tt.verb, Overwrite: plan.Update, Steps: []plan.Step{tt.step}}).Write(&file); err != nil {
				t.Fatal(err)
			}
			j, _, err := h.service.Upload(t.Context(), ann, verb.Upload{File: &file})
			if err != nil {
				t.Fatal(err)
			}
			if done := h.runOne(t, h.service); done.State != job.Done {
				t.Fatalf("%+v", done.Failure)
			}
			_, _, err = h.service.Submit(t.Context(), ann, wire.Request{Kind: wire.KindApply, Apply: &wire.Apply{Plan: j.ID}}, "")
			if tt.granted && err != nil || !tt.granted && !fault.Is(err, fault.Denied) {
				t.Errorf("granted %v: %v", tt.granted, err)
			}
		})
	}
}
