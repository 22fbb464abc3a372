package remote_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
	"github.com/drayage/dray/oci"
)

// left lists which of v1, v2 and v3 still exist.
func (s *shop) left() string {
	s.Helper()
	var there []string
	for _, tag := range []string{"v1", "v2", "v3"} {
		_, err := s.repo.Resolve(s.Context(), tag)
		switch {
		case err == nil:
			there = append(there, tag)
		case !fault.Is(err, fault.NotFound):
			s.Error(err)
		}
	}
	return strings.Join(there, " ")
}

func (s *shop) digest(tag string) string {
	s.Helper()
	d, err := s.repo.Resolve(s.Context(), tag)
	must(s, err)
	return string(d.Digest)
}

func TestATagGoesAloneAndADigestWithAllItsTags(t *testing.T) {
	for name, auth := range map[string]testbed.Auth{"": {}, "bearer": {Mode: testbed.Bearer}, "basic": {Mode: testbed.Basic}} {
		t.Run(name, func(t *testing.T) {
			r := testbed.Serve(t, plain(t), testbed.Options{Auth: auth})
			s := visit(t, r.Host+"/team/app", map[string]*testbed.Registry{"127.0.0.1": r})
			digest := s.digest("v1")
			must(t, s.repo.Delete(t.Context(), "v2"))
			if got := s.left(); got != "v1 v3" {
				t.Errorf("%s are left", got)
			}
			wantKind(t, s.repo.Delete(t.Context(), "v2"), fault.NotFound)
			must(t, s.repo.Delete(t.Context(), digest))
			if got := s.left(); got != "" {
				t.Errorf("%s are left", got)
			}
			wantKind(t, s.repo.Delete(t.Context(), digest), fault.NotFound)
			wantKind(t, s.repo.Delete(t.Context(), "../x"), fault.Invalid)
		})
	}
}

func TestARightToDeleteThatIsMissingIsDeniedAndSpoilsNothingElse(t *testing.T) {
	r := testbed.Serve(t, plain(t), testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer, May: func(_, _, action string) bool { return action != "delete" }}})
	s := visit(t, r.Host+"/team/app", map[string]*testbed.Registry{"127.0.0.1": r})
	err := s.repo.Delete(t.Context(), "v1")
	wantKind(t, err, fault.Denied)
	if !strings.Contains(err.Error(), "team/app:delete") {
		t.Error(err)
	}
	if got := s.left(); got != "v1 v2 v3" {
		t.Errorf("%s are left", got)
	}
}

func TestTagsOfACRAndHarborAreDeletedByTheirOwnAPIs(t *testing.T) {
	for kindOf, stub := range map[string]func(*beside.Shelf, http.Handler) http.Handler{"acr": (*beside.Shelf).ACR, "harbor": (*beside.Shelf).Harbor} {
		shelf := &beside.Shelf{Repo: "team/app", TB: t}
		r := open(t, func(next http.Handler) http.Handler { return stub(shelf, next) }, plain(t))
		s := visit(t, r.Host+"/team/app", map[string]*testbed.Registry{"127.0.0.1": r}, kind(r.Host, kindOf))
		must(t, s.repo.Delete(t.Context(), "v2"))
		if got := s.left(); got != "v1 v3" || r.Count("DELETE", testbed.Own) != 1 || r.Count("DELETE", testbed.Manifest) != 0 {
			t.Errorf("%s: %s are left\n%s", kindOf, got, r.Story())
		}
		wantKind(t, s.repo.Delete(t.Context(), "v2"), fault.NotFound)
		must(t, s.repo.Delete(t.Context(), s.digest("v1")))
		if got := s.left(); got != "" {
			t.Errorf("%s: %s are left", kindOf, got)
		}
	}
}

func TestARegistryThatDeletesNoTagByItselfPointsToTheManifest(t *testing.T) {
	r := testbed.DockerRegistry(t, testbed.Options{})
	img := testbed.Random(t, r, "team/app", "v1", testbed.RandomOptions{})
	s := visit(t, r.Host+"/team/app", map[string]*testbed.Registry{"127.0.0.1": r})
	err := s.repo.Delete(t.Context(), "v1")
	wantKind(t, err, fault.Refused)
	if !strings.Contains(err.Error(), "cannot delete a tag alone") || !strings.Contains(fault.HintOf(err), "--manifest") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
	if _, err := s.repo.Resolve(t.Context(), string(img.Root.Digest)); err != nil {
		t.Errorf("the manifest is gone: %v", err)
	}
}

func TestWhereTheDistributionAPIDeletesNothingNothingIsAsked(t *testing.T) {
	for _, name := range []string{"app", "ghcr.io/ann/app"} {
		s := visit(t, name, map[string]*testbed.Registry{})
		for _, reference := range []string{"v1", sum(1)} {
			err := s.repo.Delete(t.Context(), reference)
			wantKind(t, err, fault.Refused)
			if fault.HintOf(err) == "" {
				t.Error("the error has no hint")
			}
		}
	}
}

func TestLockedContentIsAConflict(t *testing.T) {
	for status, want := range map[int]fault.Kind{409: fault.Conflict, 412: fault.Conflict, 405: fault.Refused, 400: fault.Refused} {
		r := open(t, func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		}, nil)
		s := visit(t, r.Host+"/team/app", map[string]*testbed.Registry{"127.0.0.1": r})
		wantKind(t, s.repo.Delete(t.Context(), sum(1)), want)
	}
}

func TestGoogleWantsTheTagsGoneFirst(t *testing.T) {
	var gone []string
	r := open(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			gone = append(gone, strings.TrimPrefix(req.URL.Path, "/v2/team/app/manifests/"))
			w.WriteHeader(http.StatusAccepted)
		})
	}, nil)
	s := visit(t, "gcr.io/team/app", map[string]*testbed.Registry{"gcr.io": r})
	must(t, s.repo.Delete(t.Context(), sum(1), "v1", "v2"))
	if got := strings.Join(gone, " "); got != "v1 v2 "+string(oci.Digest(sum(1))) {
		t.Error(got)
	}
}
