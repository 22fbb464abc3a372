package registry_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/registry/locks"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// locked is a registry with team/app:v1, v2 and team/app/nested:v1, which are three images.
type locked struct {
	*testing.T
	dir     string
	reg     *registry.Registry
	store   *registry.Store
	digests map[string]string
}

func newLocked(t *testing.T) *locked {
	t.Helper()
	l := &locked{T: t, dir: t.TempDir(), digests: map[string]string{}}
	l.open()
	for tag, n := range map[string]string{"v1": "1", "v2": "2"} {
		l.digests[tag] = string(l.put(l.store, tag, n))
	}
	l.put(l.in("team/app/nested"), "v1", "3")
	return l
}

func (l *locked) open() {
	l.Helper()
	var err error
	if l.reg, err = registry.Open(l.Context(), registry.Options{Dir: l.dir}); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { l.reg.Close() })
	l.store = l.in("team/app")
}

func (l *locked) in(repo string) *registry.Store {
	l.Helper()
	s, err := l.reg.Store(ref.Repo{Host: "here", Path: repo})
	if err != nil {
		l.Fatal(err)
	}
	return s
}

func indexOf(n string) oci.Document {
	raw := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{"n":"` + n + `"}}`)
	return oci.Document{Descriptor: oci.Descriptor{MediaType: "application/vnd.oci.image.index.v1+json", Digest: oci.Sum(raw), Size: int64(len(raw))}, Raw: raw}
}

func (l *locked) put(s *registry.Store, tag, n string) oci.Digest {
	l.Helper()
	doc := indexOf(n)
	if acc, err := s.PutDocument(l.Context(), doc, tag); err != nil || len(acc.Failed) > 0 {
		l.Fatal(acc.Failed, err)
	}
	return doc.Digest
}

func (l *locked) set(name string, a locks.Attributes) {
	l.Helper()
	if got, err := l.store.SetLocks(l.Context(), name, func(locks.Attributes) locks.Attributes { return a }); err != nil || got != a {
		l.Fatal(got, err)
	}
}

func (l *locked) http(method, path, body string) (int, string) {
	l.Helper()
	r := httptest.NewRequestWithContext(l.Context(), method, path, strings.NewReader(body))
	if method == "PUT" {
		r.Header.Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	}
	w := httptest.NewRecorder()
	l.reg.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (l *locked) wantHTTP(method, path string, want int) {
	l.Helper()
	if code, said := l.http(method, path, string(indexOf("9").Raw)); code != want || want == http.StatusMethodNotAllowed && !strings.Contains(said, "is locked (") {
		l.Errorf("%s %s: %d %s, want %d", method, path, code, said, want)
	}
}

func (l *locked) want(what string, kind fault.Kind, err error) {
	l.Helper()
	if !fault.Is(err, kind) {
		l.Errorf("%s: %v, want %s", what, err, kind)
	}
}

func (l *locked) tag(tag, n string) error {
	acc, err := l.store.PutDocument(l.Context(), indexOf(n), tag)
	return errors.Join(err, acc.Failed[tag])
}

func TestALockedTagCanBePulledButNotMovedOrDeletedByAnyWay(t *testing.T) {
	l := newLocked(t)
	l.set("v1", locks.Attributes{Delete: true, Read: true, List: true})
	for range 2 { // the second round is after a restart
		l.wantHTTP("PUT", "/v2/team/app/manifests/v1", 405)
		l.wantHTTP("DELETE", "/v2/team/app/manifests/v1", 405)
		l.wantHTTP("DELETE", "/v2/team/app/manifests/"+l.digests["v1"], 405)
		l.wantHTTP("GET", "/v2/team/app/manifests/v1", 200)
		l.wantHTTP("PUT", "/v2/team/app/manifests/free", 201)
		l.want("put", fault.Conflict, l.tag("v1", "9"))
		l.want("delete", fault.Conflict, l.store.Delete(t.Context(), "v1"))
		l.want("delete the manifest", fault.Conflict, l.store.Delete(t.Context(), l.digests["v1"]))
		_, _, err := l.store.DeleteAll(t.Context())
		l.want("delete all", fault.Conflict, err)
		if d, err := l.store.Resolve(t.Context(), "v1"); err != nil || string(d.Digest) != l.digests["v1"] {
			t.Error(d, err)
		}
		l.reg.Close()
		l.open()
	}
	l.set("v1", locks.Attributes{Write: true, Read: true, List: true})
	l.wantHTTP("PUT", "/v2/team/app/manifests/v1", 201)
	l.wantHTTP("DELETE", "/v2/team/app/manifests/v1", 405)
	l.set("v1", locks.Unlocked())
	l.wantHTTP("DELETE", "/v2/team/app/manifests/v1", 202)
	if code, said := l.http("DELETE", "/v2/team/app/manifests/v1", ""); code != 404 || strings.Contains(said, "docker/registry") {
		t.Errorf("a tag that is gone: %d %s", code, said)
	}
}

func TestTheLocksOfARepositoryHoldForAllThatIsInIt(t *testing.T) {
	l := newLocked(t)
	l.set(locks.Repository, locks.Attributes{Delete: true, List: true})
	l.wantHTTP("PUT", "/v2/team/app/manifests/new", 405)
	l.wantHTTP("POST", "/v2/team/app/blobs/uploads/", 405)
	l.wantHTTP("DELETE", "/v2/team/app/manifests/v2", 405)
	l.wantHTTP("GET", "/v2/team/app/manifests/v2", 405)
	l.wantHTTP("HEAD", "/v2/team/app/blobs/"+l.digests["v1"], 405)
	l.wantHTTP("GET", "/v2/team/app/referrers/"+l.digests["v1"], 405)
	l.wantHTTP("GET", "/v2/team/app/tags/list", 200)
	l.wantHTTP("PUT", "/v2/team/app/nested/manifests/new", 201)
	l.want("put", fault.Conflict, l.tag("new", "9"))
	_, err := l.store.Document(t.Context(), "v2")
	l.want("read", fault.Denied, err)
	_, err = l.store.Put(t.Context(), oci.Descriptor{Digest: oci.Sum(nil)}, nil, nil)
	l.want("put a blob", fault.Conflict, err)
	_, _, err = l.store.Blob(t.Context(), oci.Descriptor{Digest: oci.Digest(l.digests["v1"])}, 0, -1)
	l.want("read a blob", fault.Denied, err)
}

func TestWhatMayNotBeReadOrListedIsNot(t *testing.T) {
	l := newLocked(t)
	l.set(l.digests["v1"], locks.Attributes{Delete: true, Write: true})
	l.set("v2", locks.Attributes{Delete: true, Write: true, Read: true})
	l.wantHTTP("GET", "/v2/team/app/manifests/v1", 405)
	l.wantHTTP("GET", "/v2/team/app/manifests/"+l.digests["v1"], 405)
	if code, said := l.http("GET", "/v2/team/app/tags/list", ""); code != 200 || !strings.Contains(said, `"tags":["v1"]`) {
		t.Error(code, said)
	}
	var tags []string
	err := l.store.List(t.Context(), func(t oci.Listed) error { tags = append(tags, t.Tag); return nil })
	digests, bad := l.store.Digests(t.Context())
	if err != nil || bad != nil || !slices.Equal(tags, []string{"v1"}) || len(digests) != 1 || string(digests[0]) != l.digests["v2"] {
		t.Error(tags, digests, err, bad)
	}
	l.set(locks.Repository, locks.Attributes{Delete: true, Write: true, Read: true})
	for _, want := range []string{"team/app/nested", "team/app team/app/nested"} {
		var repos []string
		err := l.reg.Repositories(t.Context(), func(path string) error { repos = append(repos, path); return nil })
		code, said := l.http("GET", "/v2/_catalog", "")
		if err != nil || strings.Join(repos, " ") != want || code != 200 || !strings.Contains(said, `["`+strings.ReplaceAll(want, " ", `","`)+`"]`) {
			t.Error(repos, err, code, said)
		}
		l.set(locks.Repository, locks.Unlocked())
	}
}

func TestARepositoryIsDeletedWithItsLocksAndNoOtherIs(t *testing.T) {
	l := newLocked(t)
	l.set("v1", locks.Attributes{Delete: true, Write: true, List: true})
	if manifests, tags, err := l.store.DeleteAll(t.Context()); manifests != 2 || tags != 2 || err != nil {
		t.Error(manifests, tags, err)
	}
	_, _, err := l.store.DeleteAll(t.Context())
	l.want("again", fault.NotFound, err)
	l.wantHTTP("GET", "/v2/team/app/tags/list", 404)
	l.wantHTTP("GET", "/v2/team/app/nested/manifests/v1", 200)
	if _, said := l.http("GET", "/v2/_catalog", ""); !strings.Contains(said, `["team/app/nested"]`) {
		t.Error(said)
	}
	l.put(l.store, "v1", "1")
	l.wantHTTP("GET", "/v2/team/app/manifests/v1", 200)
}

func TestADeletedTagLosesItsLocks(t *testing.T) {
	l := newLocked(t)
	hidden := locks.Attributes{Delete: true, Write: true, Read: true}
	l.set("v1", hidden)
	l.set(l.digests["v2"], hidden)
	l.wantHTTP("DELETE", "/v2/team/app/manifests/v1", 202)
	if err := l.store.Delete(t.Context(), l.digests["v2"]); err != nil {
		t.Fatal(err)
	}
	l.put(l.store, "v1", "1")
	l.put(l.store, "v2", "2")
	if now, err := l.store.Locks(t.Context()); err != nil || !now.None() {
		t.Error(now, err)
	}
	_, err := l.store.SetLocks(t.Context(), "v9", func(a locks.Attributes) locks.Attributes { return a })
	l.want("a tag that is not there", fault.NotFound, err)
}

func TestTheCleanUpKeepsLockedManifestsWithoutATag(t *testing.T) {
	l := newLocked(t)
	l.set(l.digests["v1"], locks.Attributes{Read: true, List: true})
	for _, tag := range []string{"v1", "v2"} {
		if err := l.store.Delete(t.Context(), tag); err != nil {
			t.Fatal(err)
		}
	}
	l.reg.Close()
	got, err := registry.Collect(t.Context(), l.dir, registry.CollectOptions{Untagged: true, Keep: -1})
	if err != nil || got.Removed.Manifests != 1 || got.Kept.Manifests != 2 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestNothingThatALockedImageNeedsIsDeleted(t *testing.T) {
	p := start(t, registry.Options{})
	one, layer := p.layered("team/app", "", "one", nil)
	other, _ := p.layered("team/app", "other", "two", nil)
	top := p.list("team/app", "", p.list("team/app", "inner", one))
	s, err := p.reg.Store(ref.Repo{Host: p.host(), Path: "team/app"})
	if err != nil {
		t.Fatal(err)
	}
	set := func(a locks.Attributes) {
		if _, err := s.SetLocks(t.Context(), string(top.Digest), func(locks.Attributes) locks.Attributes { return a }); err != nil {
			t.Fatal(err)
		}
	}
	set(locks.Attributes{Write: true, Read: true, List: true})
	p.do("DELETE", "/v2/team/app/manifests/"+one.Digest.String(), nil).want(405)
	p.do("DELETE", "/v2/team/app/blobs/"+layer.Digest.String(), nil).want(405)
	if err := s.Delete(t.Context(), one.Digest.String()); !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
	p.there("team/app", "manifests", one, top)
	p.there("team/app", "blobs", layer)
	p.do("DELETE", "/v2/team/app/manifests/inner", nil).want(202)
	p.do("DELETE", "/v2/team/app/manifests/"+other.Digest.String(), nil).want(202)
	set(locks.Unlocked())
	p.do("DELETE", "/v2/team/app/blobs/"+layer.Digest.String(), nil).want(202)
	p.do("DELETE", "/v2/team/app/manifests/"+one.Digest.String(), nil).want(202)
}

func TestTheCleanUpRemovesNoManifestOfALockedRepository(t *testing.T) {
	for _, a := range []locks.Attributes{{Write: true, Read: true, List: true}, {Delete: true, Read: true, List: true}} {
		l := newLocked(t)
		if err := l.store.Delete(t.Context(), "v1"); err != nil {
			t.Fatal(err)
		}
		l.set(locks.Repository, a)
		l.reg.Close()
		got, err := registry.Collect(t.Context(), l.dir, registry.CollectOptions{Untagged: true, Keep: -1})
		if err != nil || got.Removed.Manifests != 0 || got.Kept.Manifests != 3 {
			t.Errorf("%+v: %+v %v", a, got, err)
		}
	}
}

// Other servers may lock what is in a bucket, so writes ask the bucket each time.
func TestLocksOfABucketHoldAtOnce(t *testing.T) {
	l := &locked{T: t, digests: map[string]string{}}
	var err error
	if l.reg, err = registry.Open(t.Context(), registry.Options{Dir: t.TempDir(), Storage: registry.Storage{Driver: "inmemory"}}); err != nil {
		t.Fatal(err)
	}
	defer l.reg.Close()
	l.store = l.in("team/app")
	l.put(l.store, "v1", "1")
	l.set("v1", locks.Attributes{Read: true, List: true})
	l.set(locks.Repository, locks.Attributes{Write: true, Delete: true, Read: true})
	l.wantHTTP("PUT", "/v2/team/app/manifests/v1", 405)
	l.wantHTTP("DELETE", "/v2/team/app/manifests/v1", 405)
	l.want("put", fault.Conflict, l.tag("v1", "9"))
	if _, said := l.http("GET", "/v2/_catalog", ""); !strings.Contains(said, `"repositories":[]`) {
		t.Error(said)
	}
	l.set("v1", locks.Unlocked())
	if _, _, err := l.store.DeleteAll(t.Context()); err != nil {
		t.Error(err)
	}
}

// Of a change that was interrupted, what either state forbids is forbidden.
func TestALockIsAsStrictAsTheStricterOfTwoFiles(t *testing.T) {
	driver, err := registry.Storage{}.Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &locks.Book{Driver: driver}
	for _, name := range []string{"tag.a.b.1011", "tag.a.b.1101", "manifest.sha256-aa.0111", "repository.1110", "tag.1111", "nonsense", "tag.x.12"} {
		if err := driver.PutContent(t.Context(), "/docker/registry/v2/repositories/team/app/_locks/"+name, []byte("1")); err != nil {
			t.Fatal(err)
		}
	}
	l, err := b.Now(t.Context(), "team/app")
	if err != nil || l.Of("a.b") != (locks.Attributes{Delete: true, List: true}) || l.Of("sha256:aa").Delete || l.Of(locks.Repository).List || l.Of("x") != locks.Unlocked() {
		t.Errorf("%+v %v", l, err)
	}
	if err := b.Set(t.Context(), "team/app", "a.b", locks.Unlocked()); err != nil {
		t.Fatal(err)
	}
	if l, err := b.Now(t.Context(), "team/app"); err != nil || l.Of("a.b") != locks.Unlocked() || l.Of("sha256:aa").Delete {
		t.Errorf("%+v %v", l, err)
	}
}

func TestTheTimesOfATagAreThoseOfItsFirstAndItsLastChange(t *testing.T) {
	before := time.Now().Add(-time.Second)
	l := newLocked(t)
	l.put(l.store, "v1", "4")
	created, updated, err := l.store.Times(t.Context(), "v1")
	if err != nil || created.After(updated) || created.Before(before) || updated.After(time.Now()) {
		t.Error(created, updated, err)
	}
	if created, updated, err := l.store.Times(t.Context(), l.digests["v1"]); err != nil || created != updated || created.Before(before) {
		t.Error(created, updated, err)
	}
	_, _, err = l.store.Times(t.Context(), "v9")
	l.want("a tag that is not there", fault.NotFound, err)
}
