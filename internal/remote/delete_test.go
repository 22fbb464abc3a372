package remote_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
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
	if !strings.Contains(err.Error(), "cannot delete a tag alone") || !strings.Contains(fault.HintOf(err), "dray rm --manifest 127.0.0.1:") {
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
			if req.Method != http.MethodDelete {
				w.WriteHeader(http.StatusNotFound)
				return
			}
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

// F-74: go-containerregistry's registry deletes a manifest and leaves its tags.
func TestTagsThatOutliveTheirManifestAreDeletedToo(t *testing.T) {
	r := testbed.Sloppy(t, testbed.Options{})
	var img testbed.Image
	for _, tag := range []string{"v1", "v2"} {
		img = testbed.Random(t, r, "team/app", tag, testbed.RandomOptions{})
	}
	testbed.Random(t, r, "team/app", "v3", testbed.RandomOptions{Seed: 3}) // moved after it was listed
	s := visit(t, r.Host+"/team/app", map[string]*testbed.Registry{"127.0.0.1": r})
	must(t, s.repo.Delete(t.Context(), img.Digest(), "v1", "v2", "v3"))
	if got := s.left(); got != "v3" {
		t.Errorf("%s are left", got)
	}
}

// F-74: what was deleted is asked for, until it is gone or 7.75 seconds have passed.
func TestADeletionIsProvenByAskingAgain(t *testing.T) {
	for name, c := range map[string]struct {
		lasts time.Duration
		want  fault.Kind
		says  string
	}{
		"at once": {0, "", ""},
		"later":   {3 * time.Second, "", ""},
		"never":   {time.Hour, fault.Conflict, "the registry accepted it, but still answers for "},
	} {
		for _, what := range []string{"a tag", "a manifest"} {
			t.Run(name+" "+what, func(t *testing.T) {
				bubble(t, nil, func(b *bench) {
					one := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
					reference, tags := "v1", []string(nil)
					if what == "a manifest" {
						reference, tags = one.Digest(), []string{"v1"}
					}
					err := b.repo.Delete(b.Context(), reference, tags...)
					if fault.KindOf(err) != c.want || err != nil && !strings.Contains(err.Error(), c.says+reference) {
						b.Error(err)
					}
				}, func(o *testbed.Options, _ *remote.Options) {
					o.Front = func(next http.Handler) http.Handler { return slowToDelete(next, c.lasts) }
				})
			})
		}
	}
}

func TestADeletionThatCannotBeProvenIsNoSuccess(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		err := b.repo.Delete(b.Context(), "v1")
		wantKind(b, err, fault.Unavailable)
		if !strings.Contains(err.Error(), "whether it is gone is not known") {
			b.Error(err)
		}
	}, func(o *testbed.Options, _ *remote.Options) {
		o.Front = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodHead {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				next.ServeHTTP(w, req)
			})
		}
	})
}

// slowToDelete accepts deletions and carries them out when they are lasts old.
func slowToDelete(next http.Handler, lasts time.Duration) http.Handler {
	type deletion struct {
		at  time.Time
		req *http.Request
	}
	var mu sync.Mutex
	var open []deletion
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if req.Method == http.MethodDelete {
			open = append(open, deletion{time.Now(), req.Clone(context.WithoutCancel(req.Context()))})
			w.WriteHeader(http.StatusAccepted)
			return
		}
		open = slices.DeleteFunc(open, func(d deletion) bool {
			due := time.Since(d.at) >= lasts
			if due {
				next.ServeHTTP(httptest.NewRecorder(), d.req)
			}
			return due
		})
		next.ServeHTTP(w, req)
	})
}
