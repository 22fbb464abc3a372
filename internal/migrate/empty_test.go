package migrate_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/ref"
)

// aborted returns a fault that makes a registry list the repository "aborted" and deny that it exists.
func aborted() *hostile.Fault {
	return hostile.Error(404, "NAME_UNKNOWN", "repository name not known to registry").On(http.MethodGet, testbed.Tags).In("aborted")
}

func names(all []ref.Name) string {
	var texts []string
	for _, n := range all {
		texts = append(texts, n.Path)
	}
	return strings.Join(texts, " ")
}

func TestARepositoryThatIsListedWithoutTagsIsCountedAndNamed(t *testing.T) {
	src := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), aborted())
	y := yard.Of(t, src, testbed.Distribution(t, testbed.Options{}))
	y.Tagged("app", "v1")
	y.Tagged("aborted", "v1")
	got, sum, err := y.Transferred(yard.Whole())
	if got != "app:v1 done" || err != nil || names(sum.Empty) != "aborted" || sum.Repositories != 2 {
		t.Errorf("%s %v %v", got, err, sum.Empty)
	}
	if want := "the sources list 1 repository without tags: " + src.Host + "/aborted"; !slices.Equal(sum.Notes, []string{want}) {
		t.Errorf("%q", sum.Notes)
	}
	rec := y.Verifies("", dray.VerifyRequest{Of: yard.Whole()})
	if names(rec.Empty) != "aborted" || len(rec.Notes) != 1 || !rec.Right() {
		t.Errorf("%v %q", rec.Empty, rec.Notes)
	}
	req := yard.Whole()
	req.Selection.Untagged = true
	if got, sum, err := y.Transferred(req); got != "" || err != nil || names(sum.Empty) != "aborted" {
		t.Errorf("untagged: %s %v %v", got, err, sum.Empty)
	}
	req = yard.Whole()
	req.Strict = true
	got, sum, err = y.Transferred(req)
	if got != "aborted: failed" || !fault.Is(err, fault.NotFound) || len(sum.Empty) != 0 || !strings.Contains(fault.HintOf(err), "--strict") {
		t.Errorf("strict: %s %v", got, err)
	}
	if got, _, err := y.Verified(dray.VerifyRequest{Of: req}); got != "aborted: unknown" || !fault.Is(err, fault.NotFound) {
		t.Errorf("strict: %s %v", got, err)
	}
	req = yard.Whole()
	req.Sources = []string{"src/aborted"}
	if got, _, err := y.Transferred(req); got != "aborted: failed" || !fault.Is(err, fault.NotFound) {
		t.Errorf("by name: %s %v", got, err)
	}
}

func TestF41ARepositoryWhoseListIsEmptyIsCountedAndNamed(t *testing.T) {
	for _, list := range []string{`{"name":"aborted","tags":null}`, `{"name":"aborted","tags":[]}`} {
		src := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}),
			hostile.Status(http.StatusOK, nil, list).On(http.MethodGet, testbed.Tags).In("aborted"))
		y := yard.Of(t, src, testbed.Distribution(t, testbed.Options{}))
		y.Tagged("app", "v1")
		y.Tagged("aborted", "v1")
		got, sum, err := y.Transferred(yard.Whole())
		if got != "app:v1 done" || err != nil || names(sum.Empty) != "aborted" || len(sum.Notes) != 1 {
			t.Errorf("%s %v %v %q", got, err, sum.Empty, sum.Notes)
		}
		if rec := y.Verifies("", dray.VerifyRequest{Of: yard.Whole()}); names(rec.Empty) != "aborted" || len(rec.Notes) != 1 {
			t.Errorf("%v %q", rec.Empty, rec.Notes)
		}
		req := yard.Whole()
		req.Strict = true
		if got, _, err := y.Transferred(req); got != "aborted: failed" || !fault.Is(err, fault.NotFound) {
			t.Errorf("strict: %s %v", got, err)
		}
		if got, _, err := y.Verified(dray.VerifyRequest{Of: req}); got != "aborted: unknown" || !fault.Is(err, fault.NotFound) {
			t.Errorf("strict: %s %v", got, err)
		}
		req.Selection.Untagged = true // its manifests may be copied by digest
		if _, _, err := y.Transferred(req); err != nil {
			t.Errorf("untagged: %v", err)
		}
	}
}

func TestF41ARepositoryThatTheLoginMayNotPullIsNotEmpty(t *testing.T) {
	for _, mine := range []bool{false, true} {
		may := func(_, repo, _ string) bool { return mine || repo != "aborted" }
		o := testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer, Told: true, May: may}}
		src := hostile.Serve(t, testbed.NewDistribution(t, testbed.Options{}), o, aborted())
		y := yard.Of(t, src, testbed.Distribution(t, testbed.Options{}))
		d, err := dray.New(dray.Config{
			Registries: map[string]dray.Registry{
				"src": {Host: src.Host, Settings: dray.Settings{PlainHTTP: true}},
				"dst": {Host: y.Dst.Host, Settings: dray.Settings{PlainHTTP: true}},
			},
			Logins: credential.Chain{credential.Fixed(src.Host, credential.Login{User: "user", Password: credential.New(testbed.Password)})},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		y.Dray = d
		y.Tagged("app", "v1")
		y.Tagged("aborted", "v1")
		want := map[bool]string{true: "app:v1 done", false: "aborted: failed, app:v1 done"}[mine]
		if got, _, err := y.Transferred(yard.Whole()); got != want || mine != (err == nil) {
			t.Errorf("%v: %s %v", mine, got, err)
		}
	}
}
