package hostile

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/drayage/dray/internal/testbed"
)

// Fault is one thing that goes wrong, and when it does. Narrow it before it is served. Fired may be
// called at any time.
type Fault struct {
	act act

	method string
	kind   testbed.Kind
	repo   string
	ref    string
	when   []func(*http.Request) bool
	times  int
	nth    []int

	mu    sync.Mutex
	hits  int
	fired int
}

// act answers a request instead of next, or changes the response of next.
type act func(w http.ResponseWriter, r *http.Request, next http.Handler)

// On says to which requests a fault applies. It replaces the choice of its constructor. "" is any
// method or kind.
func (f *Fault) On(method string, kind testbed.Kind) *Fault {
	f.method, f.kind = method, kind
	return f
}

// In narrows a fault to one repository.
func (f *Fault) In(repo string) *Fault {
	f.repo = repo
	return f
}

// At narrows a fault to one tag, digest or upload session.
func (f *Fault) At(ref string) *Fault {
	f.ref = ref
	return f
}

// When narrows a fault to requests for which fit returns true.
func (f *Fault) When(fit func(*http.Request) bool) *Fault {
	f.when = append(f.when, fit)
	return f
}

// Once lets a fault fire only at the first matching request.
func (f *Fault) Once() *Fault { return f.Times(1) }

// Times lets a fault fire only at the first n matching requests.
func (f *Fault) Times(n int) *Fault {
	f.times = n
	return f
}

// Nth lets a fault fire only at these matching requests; the first is 1.
func (f *Fault) Nth(hits ...int) *Fault {
	f.nth = hits
	return f
}

// Fired returns how often the fault fired.
func (f *Fault) Fired() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired
}

// Hits returns how many requests matched, whether the fault fired or not.
func (f *Fault) Hits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits
}

func (f *Fault) fires(r *http.Request) bool {
	if !f.fits(r) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hits++
	if f.times > 0 && f.hits > f.times || len(f.nth) > 0 && !slices.Contains(f.nth, f.hits) {
		return false
	}
	f.fired++
	return true
}

func (f *Fault) fits(r *http.Request) bool {
	e := testbed.Parse(r.URL.Path)
	if f.method != "" && f.method != r.Method || f.kind != "" && f.kind != e.Kind ||
		f.repo != "" && f.repo != e.Repo || f.ref != "" && f.ref != e.Ref {
		return false
	}
	for _, fit := range f.when {
		if !fit(r) {
			return false
		}
	}
	return true
}

// Wrap puts faults in front of a handler, the first outermost.
func Wrap(h http.Handler, faults ...*Fault) http.Handler {
	for _, f := range slices.Backward(faults) {
		next := h
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if f.fires(r) {
				f.act(w, r, next)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	return h
}

// New serves base over plain HTTP with faults in front of it.
func New(tb testing.TB, base http.Handler, faults ...*Fault) *testbed.Registry {
	tb.Helper()
	return Serve(tb, base, testbed.Options{}, faults...)
}

// Serve is New with a choice of wire and authentication. The faults are in front of o.Front and of
// the authentication.
func Serve(tb testing.TB, base http.Handler, o testbed.Options, faults ...*Fault) *testbed.Registry {
	tb.Helper()
	inner := o.Front
	o.Front = func(h http.Handler) http.Handler {
		if inner != nil {
			h = inner(h)
		}
		return Wrap(h, faults...)
	}
	return testbed.Serve(tb, base, o)
}
