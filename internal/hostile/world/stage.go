package world

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/ref"
)

// Handlers are the registries themselves. They are made outside of a bubble.
type Handlers struct{ src, dst http.Handler }

// Stage is a world whose registries run. Its methods are for one goroutine.
type Stage struct {
	World
	src, dst *party
	diary    *diary
	calm     chan struct{}
	model    model
	before   map[string]digest.Digest // the names at the target before the first run
	proofs   *proofs
	refused  bool // a report said that the target refused what refers to an image
}

// party is one of the two registries, with the hosts that belong to it.
type party struct {
	*testbed.Registry
	name  string
	away  *testbed.Registry // where it redirects to for blobs, or nil
	apart *testbed.Registry // where its tokens are, if they are not at the registry itself, or nil
	login Login
	from  map[*testbed.Registry]int // how many requests of the log of each host are of earlier runs
}

// Handlers makes the registries of the world.
func (w World) Handlers(t *testing.T) Handlers {
	t.Helper()
	handler := func(k Kind) http.Handler {
		switch k {
		case API:
			return unhurried(testbed.NewSloppy(testbed.Options{Referrers: testbed.WithReferrers}))
		case Sloppy:
			return unhurried(testbed.NewSloppy(testbed.Options{}))
		}
		return testbed.NewDistribution(t, testbed.Options{})
	}
	return Handlers{handler(w.Source.Kind), handler(w.Target.Kind)}
}

// unhurried gives a registry whole bodies. This one reads and writes them under a lock, and virtual time stands still
// while somebody waits for a lock.
func unhurried(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), broken{err}))
		a := httptest.NewRecorder()
		next.ServeHTTP(a, r)
		maps.Copy(w.Header(), a.Header())
		w.WriteHeader(a.Code)
		_, _ = w.Write(a.Body.Bytes())
	})
}

// broken is the end of a body.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, cmp.Or(b.err, io.EOF) }

// Open serves and fills the registries. In a bubble of synctest, it is called inside.
func (w World) Open(t *testing.T, h Handlers) *Stage {
	t.Helper()
	s := &Stage{World: w, calm: make(chan struct{}), diary: newDiary(h.dst)}
	s.src = w.serve(t, "src", w.Source, h.src, w.at("source", s.calm))
	s.dst = w.serve(t, "dst", w.Target, s.diary, w.at("target", s.calm))
	around := map[string][]attached{}
	var roots []*document
	for n, i := range w.Images {
		root, with := picture(i)
		roots = append(roots, root)
		repo := repository(i.Repo)
		root.store(t, s.src.Registry, repo, fmt.Sprint("v", n))
		around[repo] = append(around[repo], with...)
	}
	for repo, with := range around {
		refer(t, s.src.Registry, repo, with, w.Source.Kind)
	}
	s.model = w.expect(roots, around)
	s.fill(t, around)
	s.before = names(s.diary.next)
	s.model.attach(w, around, func(n wish) bool { return !n.is(s.diary.next, s.before[n.name()]) })
	s.diary.begin(s.model.first)
	s.proofs = newProofs()
	s.forget()
	return s
}

// refer stores what refers to images, and the lists that the registry does not make itself.
func refer(t *testing.T, r *testbed.Registry, repo string, all []attached, k Kind) {
	t.Helper()
	for _, a := range all {
		a.store(t, r, repo, "")
	}
	if k == API {
		return
	}
	for subject, l := range lists(all) {
		l.store(t, r, repo, fallback(subject))
	}
}

// first lists what must be at the target before a tag.
func (m model) first(repo, tag string) (all []attached) {
	n, ok := m.wishes[repo+":"+tag]
	if !ok {
		return nil
	}
	for _, a := range m.referred[repo] {
		if slices.ContainsFunc(n.all(), func(d *document) bool { return n.parts == nil && d.Digest == a.to.Digest }) {
			all = append(all, a)
		}
	}
	return all
}

// fill stores what the target has before: what the names say, and what nobody may change.
func (s *Stage) fill(t *testing.T, around map[string][]attached) {
	t.Helper()
	keep, _ := picture(Image{Seed: 77, Layers: 2, Size: 300})
	another, _ := picture(Image{Seed: 99, Layers: 1, Size: 100})
	keep.store(t, s.dst.Registry, "other/keep", "v1")
	for _, name := range slices.Sorted(maps.Keys(s.model.wishes)) {
		n := s.model.wishes[name]
		keep.store(t, s.dst.Registry, n.repo, "keep")
		switch n.before {
		case Blobs:
			for _, d := range n.all() {
				d.storeBlobs(t, s.dst.Registry, n.repo)
			}
		case Untagged:
			n.store(t, s.dst.Registry, n.repo, "")
		case Elsewhere:
			n.store(t, s.dst.Registry, "other/store", path.Base(n.repo)+"-"+n.tag)
		case Same, Signed:
			n.store(t, s.dst.Registry, n.repo, n.tag)
		case Another:
			another.store(t, s.dst.Registry, n.repo, n.tag)
		}
		if n.before == Signed {
			s.sign(t, n, around)
		}
	}
}

// sign stores what refers to an image that the target has.
func (s *Stage) sign(t *testing.T, n wish, around map[string][]attached) {
	t.Helper()
	from := repository(0)
	if n.repo == landing(1) {
		from = repository(1)
	}
	var with []attached
	for _, a := range around[from] {
		if slices.ContainsFunc(n.all(), func(d *document) bool { return d.Digest == a.to.Digest }) {
			with = append(with, a)
		}
	}
	refer(t, s.dst.Registry, n.repo, with, s.Target.Kind)
}

// serve serves one of the registries. All have loopback names if one redirects, since dray follows no redirect to
// another plain host.
func (w World) serve(t *testing.T, name string, side Side, h http.Handler, f []*hostile.Fault) *party {
	t.Helper()
	p := &party{name: name, login: side.Login, from: map[*testbed.Registry]int{}}
	port := map[string]int{"src": 5100, "dst": 5200}[name]
	host := func(n int) string {
		if w.Source.Away || w.Target.Away {
			return fmt.Sprint("127.0.0.1:", port+n)
		}
		return fmt.Sprintf("%s%d.example:5000", name, n)
	}
	o := testbed.Options{Wire: testbed.Pipes, Host: host(0), Auth: testbed.Auth{Mode: testbed.Bearer,
		Users: map[string]string{name: secretOf(name)}, Service: name}}
	switch side.Login {
	case Basic:
		o.Auth.Mode = testbed.Basic
	case Anonymous:
		o.Auth.Anonymous = testbed.Pull
	case Apart:
		o.Auth.Realm = testbed.OtherListener
	}
	if side.Away {
		p.away = hostile.Serve(t, h, testbed.Options{Wire: testbed.Pipes, Host: host(1)}, f...)
		h = redirecting(h, p.away.URL)
	}
	p.Registry = hostile.Serve(t, h, o, f...)
	if p.Issuer != nil {
		p.apart = p.Issuer.Server
	}
	return p
}

// redirecting answers downloads of blobs with the address of another host.
func redirecting(next http.Handler, to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || testbed.Parse(r.URL.Path).Kind != testbed.Blob {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Location", to+r.URL.Path+"?signature=x")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
}

func secretOf(name string) string { return "secret-of-" + name }

// Config knows the registries as "src" and "dst".
func (s *Stage) Config() dray.Config {
	c := dray.Config{Registries: map[string]dray.Registry{}, Logins: credential.Chain{s.lookup}, Dial: s.dial()}
	for _, p := range []*party{s.src, s.dst} {
		set := dray.Settings{PlainHTTP: true}
		if p.apart != nil {
			set.TokenHosts = []string{p.apart.Host}
		}
		if p == s.dst && s.Pieces {
			set.ChunkSize = 4096
		}
		c.Registries[p.name] = dray.Registry{Host: p.Host, Settings: set}
	}
	return c
}

func (s *Stage) lookup(_ context.Context, at ref.Repo) (credential.Login, bool, error) {
	for _, p := range []*party{s.src, s.dst} {
		if p.Host == at.Host && p.login != Anonymous {
			return credential.Login{User: p.name, Password: credential.New(secretOf(p.name))}, true, nil
		}
	}
	return credential.Login{}, false, nil
}

func (s *Stage) dial() testbed.Dial {
	var all []*testbed.Registry
	for _, p := range []*party{s.src, s.dst} {
		all = append(all, p.hosts()...)
	}
	return testbed.Dialer(all...)
}

// hosts lists the hosts of a registry.
func (p *party) hosts() []*testbed.Registry {
	all := []*testbed.Registry{p.Registry, p.away, p.apart}
	return slices.DeleteFunc(all, func(r *testbed.Registry) bool { return r == nil })
}

// log returns the requests of this run to a host.
func (p *party) log(r *testbed.Registry) []testbed.Request { return r.Log()[p.from[r]:] }

// story tells what happened in this run.
func (s *Stage) story() string {
	var b strings.Builder
	for _, p := range []*party{s.src, s.dst} {
		for _, r := range p.hosts() {
			fmt.Fprintf(&b, "%s:\n", r.Host)
			for _, q := range p.log(r) {
				values, _ := url.ParseQuery(q.RawQuery)
				values.Del("_state") // long, and of the registry only
				fmt.Fprintf(&b, "%3d %-6s %s %s in=%d out=%d\n", q.Status, q.Method, q.Path, values.Encode(), q.In, q.Out)
			}
		}
	}
	return b.String()
}

// forget lets a run begin: what was logged before is not of it.
func (s *Stage) forget() {
	for _, p := range []*party{s.src, s.dst} {
		for _, r := range p.hosts() {
			p.from[r] = len(r.Log())
		}
	}
}
