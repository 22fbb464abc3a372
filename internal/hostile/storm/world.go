package storm

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/ref"
)

// The hosts of a World. Elsewhere must receive no credential.
const (
	sourceHost = "src.example:5000"
	targetHost = "dst.example:5000"
	elsewhere  = "elsewhere.example:5000"
)

// Stage is a source with the images of all works. Several Worlds can be on it at the same time.
type Stage struct {
	handler http.Handler
	places  map[Work]Place
	digests map[string]string // by REPO:TAG
}

// names lists what a work copies, as REPO:TAG.
func names(w Work) []string {
	switch w {
	case Image:
		return []string{"one/app:v1"}
	case Index:
		return []string{"many/app:v1"}
	}
	return []string{"team/a:v1", "team/a:v2", "team/b:v1"}
}

// NewStage returns a Stage. Call it outside of the bubble.
func NewStage(tb testing.TB) *Stage {
	tb.Helper()
	s := &Stage{
		handler: testbed.NewDistribution(tb, testbed.Options{Content: testbed.Open}),
		digests: map[string]string{}, places: map[Work]Place{},
	}
	r := testbed.Serve(tb, s.handler, testbed.Options{})
	image := func(repo, tag string, seed uint64, layers int) testbed.Image {
		m := testbed.Random(tb, r, repo, tag, testbed.RandomOptions{Seed: seed, Layers: layers, Size: Size})
		s.digests[repo+":"+tag] = m.Digest()
		return m
	}
	one := image("one/app", "v1", 1, 2)
	s.places[Image] = Place{Layer: digestOf(one), Root: one.Digest(), Type: v1.MediaTypeImageManifest}

	amd, arm := image("many/app", "amd64", 2, 1), image("many/app", "arm64", 3, 1)
	amd.Root.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	arm.Root.Platform = &v1.Platform{OS: "linux", Architecture: "arm64"}
	raw, err := json.Marshal(v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex,
		Manifests: []v1.Descriptor{amd.Root, arm.Root}})
	if err != nil {
		tb.Fatal(err)
	}
	index := r.Manifest(tb, "many/app", "v1", v1.MediaTypeImageIndex, raw).Digest.String()
	s.digests["many/app:v1"] = index
	s.places[Index] = Place{Layer: digestOf(amd), Root: index, Type: v1.MediaTypeImageIndex}

	first := image("team/a", "v1", 4, 2)
	image("team/a", "v2", 4, 1)
	image("team/b", "v1", 4, 3)
	s.places[Transfer] = Place{Layer: digestOf(first), Root: first.Digest(), Type: v1.MediaTypeImageManifest}
	s.places[Job] = s.places[Transfer]
	return s
}

// digestOf returns the digest of the first layer.
func digestOf(m testbed.Image) string { return m.Layers[0].Digest.String() }

// Place returns where the faults of w happen.
func (s *Stage) Place(w Work) Place { return s.places[w] }

// World is a source and a target in a bubble, with faults in front of them until Calm is called.
type World struct {
	Work           Work
	Source, Target *testbed.Registry

	tb     testing.TB
	stage  *Stage
	cases  []Case
	away   *hostile.Canary
	before map[string]string // the tags of the target before the work, by REPO:TAG

	calm chan struct{}
	over sync.Once

	mu    sync.Mutex
	early []string // tags that were set before their content was there
	wrong []string // uploads that the target itself refused to complete, because of their bytes
}

// Open serves the stage and the handler of an empty target inside a bubble, with the faults of cases. The
// target gets a few tags that no work copies, and one that each Transfer replaces.
func (s *Stage) Open(t *testing.T, w Work, to http.Handler, cases ...Case) *World {
	t.Helper()
	t.Cleanup(func() { time.Sleep(time.Second) }) // a server waits half a second before it closes a connection early
	x := &World{Work: w, tb: t, stage: s, cases: cases, calm: make(chan struct{}), before: map[string]string{}}
	t.Cleanup(x.Calm)
	faults := map[fault.Side][]*hostile.Fault{}
	for _, c := range cases {
		for _, f := range c.Faults {
			faults[c.Side] = append(faults[c.Side], f.When(x.stormy))
		}
	}
	x.Source = hostile.Serve(t, s.handler, options(sourceHost), faults[source]...)
	o := options(targetHost)
	o.Front = x.witness(to)
	x.Target = hostile.Serve(t, to, o, faults[target]...)
	x.away = hostile.Elsewhere(t, testbed.Options{Wire: testbed.Pipes, Host: elsewhere})
	for i, name := range []string{"one/app:kept", "many/app:kept", "team/a:kept", "still/app:kept", "team/a:v1"} {
		repo, tag, _ := strings.Cut(name, ":")
		x.before[name] = testbed.Random(t, x.Target, repo, tag, testbed.RandomOptions{Seed: uint64(100 + i)}).Digest()
	}
	return x
}

func options(host string) testbed.Options {
	name, _, _ := strings.Cut(host, ".")
	return testbed.Options{Wire: testbed.Pipes, Host: host, Auth: testbed.Auth{
		Mode: testbed.Bearer, Users: map[string]string{name: "secret of " + name}}}
}

func (x *World) stormy(*http.Request) bool {
	select {
	case <-x.calm:
		return false
	default:
		return true
	}
}

// Calm ends the faults.
func (x *World) Calm() { x.over.Do(func() { close(x.calm) }) }

// Config returns the configuration of a Dray that knows the registries as "src" and "dst".
func (x *World) Config() dray.Config {
	set := dray.Settings{PlainHTTP: true}
	for _, c := range x.cases {
		set.Kind, set.ChunkSize = cmp.Or(set.Kind, c.Product), cmp.Or(set.ChunkSize, c.Pieces)
	}
	plain := dray.Settings{PlainHTTP: true}
	return dray.Config{
		Registries: map[string]dray.Registry{
			"src": {Host: sourceHost, Settings: plain}, "dst": {Host: targetHost, Settings: set},
			"elsewhere": {Host: elsewhere, Settings: plain},
		},
		Logins: credential.Chain{func(_ context.Context, r ref.Repo) (credential.Login, bool, error) {
			name, _, _ := strings.Cut(r.Host, ".")
			return credential.Login{User: name, Password: credential.New("secret of " + name)}, true, nil
		}},
		Dial: testbed.Dialer(x.Source, x.Target, x.away.Registry),
	}
}

// witness looks at what reaches the target: is the content of each tag there when the tag is set, and are the
// bytes of each upload those of its digest?
func (x *World) witness(registry http.Handler) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			e := testbed.Parse(r.URL.Path)
			switch {
			case r.Method == http.MethodPut && e.Kind == testbed.Manifest && !strings.Contains(e.Ref, ":"):
				raw, err := io.ReadAll(r.Body)
				r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(raw), failing{err}))
				lacks := lacking(registry, e.Repo, raw)
				s := &seen{ResponseWriter: w}
				next.ServeHTTP(s, r)
				if s.status == http.StatusCreated && lacks != "" {
					x.say(&x.early, fmt.Sprintf("%s:%s was set without %s", e.Repo, e.Ref, lacks))
				}
				return
			case r.Method == http.MethodPut && e.Kind == testbed.Upload:
				s := &seen{ResponseWriter: w}
				next.ServeHTTP(s, r)
				if s.status == http.StatusBadRequest && strings.Contains(s.body.String(), "DIGEST_INVALID") {
					x.say(&x.wrong, r.URL.Path)
				}
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func (x *World) say(to *[]string, text string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	*to = append(*to, text)
}

// failing ends a body as the original ended.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

// seen keeps the status and the body of an answer.
type seen struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (s *seen) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *seen) WriteHeader(code int) {
	s.status = code
	s.ResponseWriter.WriteHeader(code)
}

func (s *seen) Write(p []byte) (int, error) {
	s.body.Write(p)
	return s.ResponseWriter.Write(p)
}

// lacking returns what a manifest needs and a registry does not have, or "".
func lacking(registry http.Handler, repo string, raw []byte) string {
	doc, err := testbed.ReadDocument(raw)
	if err != nil {
		return "" // the registry refuses it
	}
	has := func(kind string, d v1.Descriptor) bool {
		r := httptest.NewRequest(http.MethodHead, "/v2/"+repo+"/"+kind+"/"+d.Digest.String(), nil)
		for _, t := range testbed.EveryType()["Accept"] {
			r.Header.Set("Accept", t)
		}
		w := httptest.NewRecorder()
		registry.ServeHTTP(w, r)
		return w.Code == http.StatusOK
	}
	for _, d := range doc.Blobs() {
		if !has("blobs", d) {
			return d.Digest.String()
		}
	}
	i := slices.IndexFunc(doc.Manifests, func(d v1.Descriptor) bool { return !has("manifests", d) })
	if i >= 0 {
		return doc.Manifests[i].Digest.String()
	}
	return ""
}
