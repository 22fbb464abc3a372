package verb_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
)

// A job that was queued with a token does not run after the token has ended, unless its owner has another
// token with a sufficient role.
func TestAJobWhoseOwnerNoLongerExistsDoesNotRun(t *testing.T) {
	var asked atomic.Int64
	h, src, dst := newPair(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1); next.ServeHTTP(w, r) })
	})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Seed: 1})
	r := wire.Request{Kind: wire.KindCopy, Copy: &wire.Copy{Source: "src/app:v1", Targets: []string{"dst/app"}}}
	s, err := h.service.PutSchedule(t.Context(), ann, "", wire.ScheduleRequest{Name: "nightly", Cron: "@daily", Request: r})
	if err != nil {
		t.Fatal(err)
	}
	run := func() job.Job {
		t.Helper()
		if _, err := h.service.RunSchedule(t.Context(), ann, s.ID); err != nil {
			t.Fatal(err)
		}
		return h.runOne(t, h.service)
	}
	paused := func() bool {
		t.Helper()
		got, err := h.service.Schedule(t.Context(), ann, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got.Paused
	}
	tokens, err := h.access.Tokens(t.Context())
	if err != nil || len(tokens) != 1 {
		t.Fatal(tokens, err)
	}
	revoke := func(id string) {
		t.Helper()
		if err := h.access.RevokeToken(t.Context(), "root", id); err != nil {
			t.Fatal(err)
		}
	}
	give := func(role access.Role) string {
		t.Helper()
		_, made, err := h.access.NewToken(t.Context(), access.Token{Principal: ann.Name, Role: role, By: "root"})
		if err != nil {
			t.Fatal(err)
		}
		return made.ID
	}

	reader := give(access.Reader)
	revoke(tokens[0].ID)
	if j := run(); j.State != job.Failed || j.Failure.Kind != fault.Denied || !strings.Contains(j.Failure.Text, "the role reader does not allow writes") || paused() {
		t.Errorf("as a reader: %s %+v, paused %v", j.State, j.Failure, paused())
	}
	revoke(reader)
	if j := run(); j.State != job.Failed || j.Failure.Kind != fault.Denied || !strings.Contains(j.Failure.Text, "every token of this principal has ended") || !paused() {
		t.Errorf("without a token: %s %+v, paused %v", j.State, j.Failure, paused())
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the target was asked %d times", n)
	}
	last := h.entries(t)
	if e := last[len(last)-1]; e.Verb != "schedule pause (its owner is gone)" || e.Old != s.ID || e.Principal != ann.Name {
		t.Errorf("%+v", e)
	}
	give(access.Admin)
	if j := run(); j.State != job.Done {
		t.Errorf("with another token: %s %+v", j.State, j.Failure)
	}
	testbed.Same(t, src, dst, "app", "v1", "app", "v1")
}

// An admin who changes the schedule of another principal must not give the schedule the rights of an
// admin.
func TestAScheduleKeepsItsOwnersRightsWhenAnAdminChangesIt(t *testing.T) {
	h := newFixture(t, between(testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})),
		access.Rule{Principals: []string{"ann"}, Verbs: []string{"*"}, Sources: []string{"**"}, Targets: []string{"*/app"}, Rights: access.Rights})
	in := wire.ScheduleRequest{Name: "nightly", Cron: "@daily", Request: wire.Request{Kind: wire.KindCopy, Copy: &wire.Copy{Source: "src/app:v1", Targets: []string{"dst/app"}}}}
	s, err := h.service.PutSchedule(t.Context(), ann, "", in)
	if err != nil {
		t.Fatal(err)
	}
	root := access.Principal{Name: "root", Role: access.Admin, Via: access.ViaToken}
	in.Request.Copy.Targets = []string{"dst/other"}
	if _, err := h.service.PutSchedule(t.Context(), root, s.ID, in); !fault.Is(err, fault.Denied) {
		t.Errorf("a request that ann may not make was accepted: %v", err)
	}
	in.Request.Copy.Targets, in.Cron = []string{"dst/app"}, "@hourly"
	if s, err = h.service.PutSchedule(t.Context(), root, s.ID, in); err != nil || s.Principal != ann.Name {
		t.Fatal(s.Principal, err)
	}
	if !strings.Contains(string(s.Request), `"role":"submitter"`) {
		t.Errorf("the role of the schedule has changed: %s", s.Request)
	}
}

// The receipt names the principal, even if the request says that it is made for somebody else.
func TestAReceiptNamesThePrincipalWhateverItSays(t *testing.T) {
	h, src, dst := newPair(t, nil)
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Seed: 1})
	testbed.Random(t, dst, "app", "v1", testbed.RandomOptions{Seed: 1})
	for by, want := range map[string]string{"": "ann", "ann": "ann", "root": "ann, for root"} {
		r := wire.Request{Kind: wire.KindVerify, Verify: &wire.Verify{Ends: wire.Ends{Sources: []string{"src/app:v1"}, Target: "dst/app"}, By: by}}
		if _, _, err := h.service.Submit(t.Context(), ann, r, ""); err != nil {
			t.Fatal(err)
		}
		j := h.runOne(t, h.service)
		report, err := h.queue.Report(t.Context(), j.ID)
		if err != nil || !strings.Contains(string(report), `"by":"`+want+`"`) {
			t.Errorf("%q: %s %v", by, report, err)
		}
	}
}
