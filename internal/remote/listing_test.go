package remote_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// shelf returns a listing with n manifests that have one tag each, "v0000" and so on, then one
// manifest with two tags and one without a tag.
func shelf(t *testing.T, repo string, n int) *beside.Shelf {
	t.Helper()
	s := &beside.Shelf{Repo: repo, TB: t}
	for i := range n {
		s.Rows = append(s.Rows, beside.Row{Digest: sum(i), MediaType: oci.TypeManifest, OS: "linux", Arch: "arm64", Size: int64(1000 + i), Tags: []string{fmt.Sprintf("v%04d", i)}})
	}
	return s
}

func sum(i int) string { return string(oci.Sum(fmt.Appendf(nil, "manifest %d", i))) }

// shop is a Client and one repository, with hosts that lead to registries of the test.
type shop struct {
	*testing.T
	client *remote.Client
	repo   *remote.Repository
	events *events
}

// visit opens name with a Client for which each of hosts leads to one of the registries.
func visit(t *testing.T, name string, hosts map[string]*testbed.Registry, changes ...func(*remote.Options)) *shop {
	t.Helper()
	n, err := ref.Parse(name)
	must(t, err)
	o := remote.Options{CertDirs: []string{}, Retries: -1, Default: credential.Settings{PlainHTTP: true}}
	withLogin(&o)
	o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, _ := net.SplitHostPort(addr)
		r := hosts[host]
		if r == nil {
			return nil, fmt.Errorf("no host at %s in this test", addr)
		}
		return r.Dial(ctx, network, r.Host)
	}
	for _, change := range changes {
		change(&o)
	}
	c, err := remote.New(o)
	must(t, err)
	t.Cleanup(c.Close)
	s := &shop{T: t, client: c, events: &events{}}
	s.repo = c.Open(n.Repo, remote.Use{Observe: s.events.watch()})
	return s
}

func kind(host, kind string) func(*remote.Options) {
	return func(o *remote.Options) { o.Hosts = map[string]credential.Settings{host: {Kind: kind, PlainHTTP: true}} }
}

func (s *shop) list() (all []oci.Listed, err error) {
	err = s.repo.List(s.Context(), func(l oci.Listed) error { all = append(all, l); return nil })
	return all, err
}

func (s *shop) manifests() (all []remote.Manifest, err error) {
	err = s.repo.Manifests(s.Context(), func(m remote.Manifest) error { all = append(all, m); return nil })
	return all, err
}

func (s *shop) notes(want int) {
	s.Helper()
	if got := s.events.of(event.Noted); len(got) != want {
		s.Errorf("%d notes, want %d: %v", len(got), want, got)
	}
}

// wantTags compares the list with the shelf: the order of the names, and the digests of all tags
// whose name does not begin with "old".
func (s *shop) wantTags(shelf *beside.Shelf) {
	s.Helper()
	got, err := s.list()
	must(s, err)
	want := map[string]string{}
	for _, r := range shelf.Rows {
		for _, tag := range r.Tags {
			want[tag] = r.Digest
		}
	}
	for _, l := range got {
		d, known := want[l.Tag]
		if strings.HasPrefix(l.Tag, "old") {
			d = ""
		}
		if !known || string(l.Descriptor.Digest) != d {
			s.Errorf("%s is listed as %q, want %q", l.Tag, l.Descriptor.Digest, d)
		}
		if d != "" && !l.Updated.Equal(beside.Shelved) {
			s.Errorf("%s has the time %v", l.Tag, l.Updated)
		}
		delete(want, l.Tag)
	}
	if len(want) > 0 {
		s.Errorf("not listed: %v", want)
	}
}

// open returns a registry that requires no login, with stub in front of it.
func open(t *testing.T, stub func(http.Handler) http.Handler, next http.Handler) *testbed.Registry {
	t.Helper()
	return testbed.Serve(t, stub(next), testbed.Options{})
}

func TestNearlyAThousandTagsOfACRAreOneRequestAndAToken(t *testing.T) {
	shelf := shelf(t, "team/app", 999) // a page of 1000 is followed by a request for the next one
	r := testbed.Serve(t, shelf.ACR(testbed.NewDistribution(t, testbed.Options{})), testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer, Dialect: testbed.ACR}})
	s := visit(t, r.Host+"/team/app", map[string]*testbed.Registry{"127.0.0.1": r}, kind(r.Host, "acr"))
	s.wantTags(shelf)
	if n, tokens, refused := r.Count("GET", testbed.Own), r.Count("", testbed.Token), 1; n != 1+refused || tokens != 1 || r.Requests() != 3 {
		t.Errorf("%s", r.Story())
	}
	s.notes(0)
	for host, want := range map[string][2]bool{r.Host: {true, true}, "docker.io": {true, false}, "example.com": {}} {
		if tells, complete := s.client.ListsDigests(host); tells != want[0] || complete != want[1] {
			t.Errorf("%s: %v, %v", host, tells, complete)
		}
	}
}

func TestEveryListIsReadPageByPageAsItsDocumentsSay(t *testing.T) {
	for name, tt := range map[string]struct {
		repo, host string
		kind       string
		stub       func(*beside.Shelf, http.Handler) http.Handler
		requests   int
	}{
		"acr":           {"team/app", "reg.azurecr.io", "", (*beside.Shelf).ACR, 3},
		"acr, by kind":  {"team/app", "reg.example.com", "acr", (*beside.Shelf).ACR, 3},
		"quay":          {"team/app", "quay.io", "", (*beside.Shelf).Quay, 3},
		"harbor":        {"team/web/app", "harbor.example.com", "harbor", (*beside.Shelf).Harbor, 3},
		"gcr":           {"team/app", "gcr.io", "", (*beside.Shelf).Google, 1},
		"gcr, anywhere": {"team/app", "mirror.example.com", "", (*beside.Shelf).Google, 1},
		"gar":           {"p/team/app", "europe-docker.pkg.dev", "", (*beside.Shelf).Google, 1},
	} {
		t.Run(name, func(t *testing.T) {
			shelf := shelf(t, tt.repo, 25)
			shelf.Rows = append(shelf.Rows, beside.Row{Digest: sum(500), Tags: []string{"w1", "w2"}}, beside.Row{Digest: sum(501)})
			shelf.Page = 10
			r := open(t, func(next http.Handler) http.Handler { return tt.stub(shelf, next) }, http.NotFoundHandler())
			s := visit(t, tt.host+"/"+tt.repo, map[string]*testbed.Registry{tt.host: r}, kind(tt.host, tt.kind))
			s.wantTags(shelf)
			if r.Requests() != tt.requests {
				t.Errorf("%d requests, want %d\n%s", r.Requests(), tt.requests, r.Story())
			}
			s.notes(0)
		})
	}
}

func TestDockerHubsOwnListIsAskedWithoutALogin(t *testing.T) {
	shelf := shelf(t, "library/app", 25)
	shelf.Rows = append(shelf.Rows, beside.Row{Digest: sum(500), Tags: []string{"old1"}})
	shelf.Page = 10
	hub, r := open(t, shelf.Hub, http.NotFoundHandler()), testbed.Distribution(t, testbed.Options{})
	s := visit(t, "app", map[string]*testbed.Registry{"hub.docker.com": hub, "registry-1.docker.io": r})
	s.wantTags(shelf)
	if hub.Requests() != 3 || r.Requests() != 0 {
		t.Errorf("%s\n%s", hub.Story(), r.Story())
	}
}

func TestGitHubsPackagesAreAskedWithTheTokenOfGHCR(t *testing.T) {
	for owner, requests := range map[string]int{"orgs": 3, "users": 4} {
		shelf := shelf(t, "ann/web/app", 25)
		shelf.Rows = append(shelf.Rows, beside.Row{Digest: sum(501)})
		shelf.Page, shelf.Owner, shelf.Login = 10, owner, "ghp_canary-7f3a91"
		hub := testbed.Serve(t, shelf.GitHub(), testbed.Options{})
		s := visit(t, "ghcr.io/ann/web/app", map[string]*testbed.Registry{"api.github.com": hub}, func(o *remote.Options) {
			o.Logins = credential.Chain{credential.Fixed("ghcr.io", credential.Login{User: "ann", Password: credential.New("ghp_canary-7f3a91")})}
		})
		s.wantTags(shelf)
		if hub.Requests() != requests {
			t.Errorf("%s", hub.Story())
		}
		all, err := s.manifests()
		must(t, err)
		if len(all) != 26 || len(all[25].Tags) != 0 || !all[25].Updated.Equal(beside.Shelved) {
			t.Errorf("%d manifests", len(all))
		}
	}
}

// plain returns a distribution registry with the tags v1 to v3 of app, all with one digest.
func plain(t *testing.T) http.Handler {
	t.Helper()
	h := testbed.NewDistribution(t, testbed.Options{})
	r := testbed.Serve(t, h, testbed.Options{})
	img := testbed.Random(t, r, "team/app", "v1", testbed.RandomOptions{})
	var doc strings.Builder
	r.Direct(t, "GET", "/v2/team/app/manifests/v1", http.Header{"Accept": {"*/*", img.Root.MediaType}}, nil, &doc)
	for _, tag := range []string{"v2", "v3"} {
		r.Manifest(t, "team/app", tag, img.Root.MediaType, []byte(doc.String()))
	}
	return h
}

func TestTroubleWithTheOwnListFallsBackOnceAndSaysSo(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"401":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) },
		"403":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) },
		"404":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		"405":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusMethodNotAllowed) },
		"no JSON":    func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") },
		"other JSON": func(w http.ResponseWriter) { fmt.Fprint(w, `{"tags":[7]}`) },
		"cut JSON":   func(w http.ResponseWriter) { fmt.Fprint(w, `{"tags":[{"name":"v1"`) },
		"elsewhere": func(w http.ResponseWriter) {
			w.Header().Set("Link", `<https://evil.example/x>; rel="next"`)
			fmt.Fprintf(w, `{"tags":[{"name":"v1","digest":%q}]}`, sum(1))
		},
		"round and round": func(w http.ResponseWriter) {
			w.Header().Set("Link", `</acr/v1/team/app/_tags?n=1000>; rel="next"`)
			fmt.Fprintf(w, `{"tags":[{"name":"v1","digest":%q}]}`, sum(1))
		},
		"a redirect away": func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			shelf := &beside.Shelf{Repo: "team/app", TB: t, Each: func(w http.ResponseWriter, _ *http.Request) bool { answer(w); return true }}
			r := open(t, shelf.ACR, plain(t))
			s := visit(t, r.Host+"/team/app", map[string]*testbed.Registry{"127.0.0.1": r}, kind(r.Host, "acr"))
			for range 2 {
				got, err := s.list()
				must(t, err)
				var tags []string
				for _, l := range got {
					tags = append(tags, l.Tag)
				}
				if !slices.Equal(tags, []string{"v1", "v2", "v3"}) {
					t.Errorf("listed %v", got)
				}
			}
			s.notes(1)
			if n := r.Count("", testbed.Own); n > 3 || r.Count("GET", testbed.Tags) != 2 {
				t.Errorf("%s", r.Story())
			}
			if tells, _ := s.client.ListsDigests(r.Host); tells {
				t.Error("the list is still expected to contain digests")
			}
		})
	}
}

func TestARepositoryThatIsNotThereIsNoTroubleOfTheList(t *testing.T) {
	shelf := shelf(t, "team/app", 3)
	r := open(t, shelf.ACR, testbed.NewDistribution(t, testbed.Options{}))
	s := visit(t, r.Host+"/team/other", map[string]*testbed.Registry{"127.0.0.1": r}, kind(r.Host, "acr"))
	_, err := s.list()
	wantKind(t, err, fault.NotFound)
	s.notes(0)
	if tells, _ := s.client.ListsDigests(r.Host); r.Requests() != 1 || !tells {
		t.Errorf("%s", r.Story())
	}
}

func TestAClosedHostBesideTheRegistryIsGivenUpSoon(t *testing.T) {
	r := open(t, func(h http.Handler) http.Handler { return h }, plain(t))
	s := visit(t, "team/app", map[string]*testbed.Registry{"registry-1.docker.io": r})
	got, err := s.list()
	must(t, err)
	if len(got) != 3 {
		t.Errorf("%v", got)
	}
	s.notes(1)
	other := visit(t, "quay.io/team/app", map[string]*testbed.Registry{})
	if _, err := other.list(); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the registry itself is unreachable: %v", err)
	}
}

func TestTheKindOfARegistryIsLearnedFromItsChallenge(t *testing.T) {
	shelf := shelf(t, "team/app", 25)
	shelf.Login = "user:" + testbed.Password
	h := testbed.NewDistribution(t, testbed.Options{})
	r := testbed.Serve(t, h, testbed.Options{Front: shelf.Harbor, Auth: testbed.Auth{Mode: testbed.Bearer, Service: "harbor-registry"}})
	testbed.Random(t, r, "team/app", "v0001", testbed.RandomOptions{})
	s := visit(t, "harbor.example.com/team/app", map[string]*testbed.Registry{"harbor.example.com": r, "127.0.0.1": r}, func(o *remote.Options) {
		o.Hosts = map[string]credential.Settings{"harbor.example.com": {PlainHTTP: true, TokenHosts: []string{r.Host}}}
	})
	s.wantTags(shelf)
	s.wantTags(shelf)
	if r.Count("GET", testbed.Own) != 2 || r.Count("GET", testbed.Tags) != 2 { // the 401, and the request that learned from it
		t.Errorf("%s", r.Story())
	}
}

func TestAVisitorsErrorEndsEveryList(t *testing.T) {
	shelf := shelf(t, "team/app", 3)
	stop := errors.New("enough")
	r := open(t, shelf.ACR, http.NotFoundHandler())
	s := visit(t, "reg.azurecr.io/team/app", map[string]*testbed.Registry{"reg.azurecr.io": r})
	if err := s.repo.List(t.Context(), func(oci.Listed) error { return stop }); err != stop { //nolint:errorlint // the very same
		t.Error(err)
	}
	if err := s.repo.Manifests(t.Context(), func(remote.Manifest) error { return stop }); err != stop { //nolint:errorlint // the very same
		t.Error(err)
	}
	s.notes(0)
}

func TestManifestsWithoutTagsAreListedWhereTheRegistryTellsThem(t *testing.T) {
	many := make([]string, 25)
	for i := range many {
		many[i] = fmt.Sprintf("many%02d", i)
	}
	for name, tt := range map[string]struct {
		host, kind string
		stub       func(*beside.Shelf, http.Handler) http.Handler
		requests   int
	}{
		"acr": {"reg.azurecr.io", "", (*beside.Shelf).ACR, 2}, "harbor": {"harbor.example.com", "harbor", (*beside.Shelf).Harbor, 1},
		"gcr": {"gcr.io", "", (*beside.Shelf).Google, 1},
	} {
		t.Run(name, func(t *testing.T) {
			shelf := shelf(t, "team/app", 3)
			shelf.Rows = append(shelf.Rows, beside.Row{Digest: sum(500), Tags: many}, beside.Row{Digest: sum(501), MediaType: oci.TypeIndex, Size: 77})
			r := open(t, func(next http.Handler) http.Handler { return tt.stub(shelf, next) }, http.NotFoundHandler())
			s := visit(t, tt.host+"/team/app", map[string]*testbed.Registry{tt.host: r}, kind(tt.host, tt.kind))
			got, err := s.manifests()
			must(t, err)
			byDigest := map[string]remote.Manifest{}
			for _, m := range got {
				byDigest[string(m.Digest)] = m
			}
			if m := byDigest[sum(500)]; len(got) != 5 || !slices.Equal(m.Tags, many) {
				t.Errorf("%d manifests, %v", len(got), m)
			}
			if m := byDigest[sum(501)]; len(m.Tags) != 0 || m.MediaType != oci.TypeIndex || m.Total != 77 || !m.Updated.Equal(beside.Shelved) {
				t.Errorf("%+v", m)
			}
			if m := byDigest[sum(1)]; name != "gcr" && (m.Platform == nil || m.Platform.Architecture != "arm64" || m.Platform.OS != "linux") {
				t.Errorf("%+v", m)
			}
			if r.Requests() != tt.requests {
				t.Errorf("%s", r.Story())
			}
			s.notes(0)
		})
	}
}

func TestWhereOnlyTagsAreListedEachDigestComesOnce(t *testing.T) {
	r := open(t, func(h http.Handler) http.Handler { return h }, plain(t))
	s := visit(t, "reg.example.com/team/app", map[string]*testbed.Registry{"reg.example.com": r})
	got, err := s.manifests()
	must(t, err)
	if len(got) != 1 || !slices.Equal(got[0].Tags, []string{"v1", "v2", "v3"}) || got[0].Size == 0 {
		t.Errorf("%+v", got)
	}
	s.notes(1)
	if r.Count("HEAD", testbed.Manifest) != 3 {
		t.Errorf("%s", r.Story())
	}
}
