package remote_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

// disagreeing is a registry and a mirror that has its content, but whose tag v1 is an older one.
type disagreeing struct {
	*mirrors
	registry, mirror string // what v1 is at each
}

// disagree runs test against a registry that has the given faults after v1 was pushed to it.
func disagree(t *testing.T, home []*hostile.Fault, test func(m disagreeing)) {
	t.Helper()
	var ready atomic.Bool // a request that the client gave up may still be at the registry
	for _, f := range home {
		f.When(func(*http.Request) bool { return ready.Load() })
	}
	mirroredAt(t, home, func(m *mirrors) {
		fresh, stale := testbed.RandomOptions{Seed: 1, Size: 100}, testbed.RandomOptions{Seed: 2, Size: 100}
		d := disagreeing{mirrors: m}
		d.registry = testbed.Random(m, m.home, "app", "v1", fresh).Root.Digest.String()
		testbed.Random(m, m.all[0], "app", "kept", fresh)
		d.mirror = testbed.Random(m, m.all[0], "app", "v1", stale).Root.Digest.String()
		m.home.Reset()
		m.all[0].Reset()
		ready.Store(true)
		test(d)
		ready.Store(false)
	}, nil)
}

// resolves checks what v1 is, and returns how long the answer took.
func (m disagreeing) resolves(want string) time.Duration {
	m.Helper()
	begin := time.Now()
	d, err := m.repo.Resolve(m.Context(), "v1")
	must(m, err)
	if string(d.Digest) != want {
		m.Errorf("v1 is %s; it is %s at the registry and %s at the mirror", d.Digest, m.registry, m.mirror)
	}
	return time.Since(begin)
}

func (m disagreeing) count(r *testbed.Registry, method string, want int) {
	m.Helper()
	n := 0
	for _, q := range r.Log() {
		if q.Method == method && q.Kind == testbed.Manifest {
			n++
		}
	}
	if n != want {
		m.Errorf("%d times %s of a manifest at %s, want %d", n, method, r.Host, want)
	}
}

// The registry counts no pull for a HEAD, and the mirror is there to save pulls.
func TestF91ATagIsTheRegistrysAndTheContentIsReadFromTheMirror(t *testing.T) {
	disagree(t, nil, func(m disagreeing) {
		m.resolves(m.registry)
		doc, err := m.repo.Document(m.Context(), "v1")
		must(m, err)
		if string(doc.Digest) != m.registry {
			m.Errorf("the document is %s, want %s", doc.Digest, m.registry)
		}
		m.count(m.home, "HEAD", 2)
		m.count(m.home, "GET", 0)
		m.count(m.all[0], "HEAD", 0)
		m.count(m.all[0], "GET", 1)
		m.told()
	})
}

func TestF91AMirrorAnswersForATagOnlyIfTheRegistryCannotBeAsked(t *testing.T) {
	page := http.Header{"Content-Type": {"text/html"}}
	for name, tt := range map[string]struct {
		fault *hostile.Fault
		after time.Duration // the longest time until the mirror answers
		cause string
	}{
		"silence":   {hostile.NoHeader(0), 5 * time.Second, "no answer for 5s"},
		"503":       {hostile.Status(503, nil, ""), 5 * time.Second, "the registry answers 503"},
		"429":       {hostile.Status(429, http.Header{"Retry-After": {"3600"}}, ""), 0, "the registry answers 429"},
		"web page":  {hostile.Status(200, page, "<html><body>Sign in</body></html>"), 0, "a web page of home.example:80 answers"},
		"no answer": {nil, 0, "no such registry"},
	} {
		t.Run(name, func(t *testing.T) {
			var faults []*hostile.Fault
			if tt.fault != nil {
				faults = append(faults, tt.fault)
			}
			disagree(t, faults, func(m disagreeing) {
				if tt.fault == nil {
					m.home.Host = "unreachable.example:80"
				}
				if took := m.resolves(m.mirror); took > tt.after {
					m.Errorf("the mirror answered after %v, want %v", took, tt.after)
				}
				asked := m.home.Requests()
				doc, err := m.repo.Document(m.Context(), "v1")
				must(m, err)
				if took := m.resolves(m.mirror); took != 0 || m.home.Requests() != asked || string(doc.Digest) != m.mirror {
					m.Errorf("the registry was asked again at once, for %v", took)
				}
				for _, note := range m.events.of(event.Noted) {
					if note.Host != "home.example:80" || !strings.Contains(note.Text, "home.example:80 cannot be asked for its "+
						"tags, so they are those of its mirror mirror-a.example:80, which may be older: ") ||
						!strings.Contains(note.Text, tt.cause) || note.Text != m.events.of(event.Noted)[0].Text {
						m.Errorf("noted %q for %s", note.Text, note.Host)
					}
				}
				if n := len(m.events.of(event.Noted)); n != 3 {
					m.Errorf("%d notes for 3 tags", n)
				}
			})
		})
	}
}

func TestF91ARegistryThatRefusesATagIsBelieved(t *testing.T) {
	for status, kind := range map[int]fault.Kind{404: fault.NotFound, 403: fault.Denied, 401: fault.Denied} {
		disagree(t, []*hostile.Fault{hostile.Status(status, nil, "")}, func(m disagreeing) {
			_, err := m.repo.Resolve(m.Context(), "v1")
			wantKind(m, err, kind)
			_, err = m.repo.Document(m.Context(), "v1")
			wantKind(m, err, kind)
			m.requests(m.home.Requests(), 0)
			m.told()
		})
	}
}

func TestF91ARegistryThatWasSilentIsAskedAgainAfterAMinute(t *testing.T) {
	disagree(t, []*hostile.Fault{hostile.NoHeader(0).Times(2)}, func(m disagreeing) {
		for _, wait := range []time.Duration{0, time.Minute} {
			time.Sleep(wait)
			if took := m.resolves(m.mirror); took != 5*time.Second {
				m.Errorf("the mirror answered after %v", took)
			}
			m.resolves(m.mirror)
		}
		time.Sleep(time.Minute)
		m.resolves(m.registry)
		m.resolves(m.registry)
		m.count(m.home, "HEAD", 4)
	})
}

// An error that passes soon is no reason to believe a mirror.
func TestF91ARegistryIsAskedMoreThanOnceBeforeAMirrorAnswersForATag(t *testing.T) {
	disagree(t, []*hostile.Fault{hostile.Status(502, nil, "").Times(2)}, func(m disagreeing) {
		m.resolves(m.registry)
		m.requests(3, 0)
		m.told()
	})
}

func TestF91ATagThatNoMirrorHasIsWaitedForAtTheRegistry(t *testing.T) {
	disagree(t, []*hostile.Fault{hostile.NoHeader(0).Once()}, func(m disagreeing) {
		_, err := m.repo.Resolve(m.Context(), "v2")
		wantKind(m, err, fault.NotFound)
		testbed.Random(m, m.home, "app", "v3", testbed.RandomOptions{Seed: 3, Size: 100})
		_, err = m.repo.Resolve(m.Context(), "v3")
		must(m, err)
		m.told()
	})
}

// Some caches keep a manifest by its tag and answer 404 to its digest.
func TestF91AMirrorThatKeepsAManifestByItsTagOnlyIsReadByTag(t *testing.T) {
	byDigest := hostile.Status(404, nil, "").On("GET", testbed.Manifest).
		When(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "sha256:") })
	mirroredAt(t, nil, func(m *mirrors) {
		fresh := testbed.RandomOptions{Seed: 1, Size: 100}
		want := testbed.Random(m, m.home, "app", "v1", fresh).Root.Digest.String()
		testbed.Random(m, m.all[0], "app", "v1", fresh)
		d := disagreeing{m, want, want}
		m.home.Reset()
		doc, err := m.repo.Document(m.Context(), "v1")
		must(m, err)
		if string(doc.Digest) != want {
			m.Error(doc.Digest)
		}
		d.count(m.home, "GET", 0)
	}, []*hostile.Fault{byDigest})
}
