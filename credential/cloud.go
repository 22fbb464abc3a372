package credential

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// Cloud is what the lookups for the registries of clouds may use of the machine they run on. The
// zero value has no variables and no home; it asks metadata services and programs only.
//
// Each lookup is silent about hosts that are not its cloud's, asks only sources that are
// configured, and takes the first. A configured source that gives nothing is a fault that names it
// and what it answered: Denied, or Unavailable for network trouble, 429 and 5xx; Invalid for a
// setting or file that makes no sense; Canceled when ctx ended. No fault shows a secret, even
// where an answer repeats one. Metadata services that nothing configures are tried last, with a
// second to connect, and one that is not there is remembered for the life of the lookup.
//
// A login is asked for once by however many callers want it at the same time, and kept: tokens of
// Entra and Google for three quarters of their life, tokens of ECR until five minutes before
// their end. Trouble is kept for ten seconds. The lookups may be used concurrently.
//
// A credential goes over https, or over plain http to a loopback or link-local address. No
// redirect is followed.
type Cloud struct {
	Env  func(string) string // how variables are read, as os.Getenv; nil means none is set
	Home string              // the user's home directory; "" leaves the files below it out

	// HTTP carries what goes over https; nil is http.DefaultTransport.
	HTTP http.RoundTripper
	// Dial opens the connections for plain http, which knows no proxy; nil is the system's network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// ProgramTimeout bounds one run of az or of a credential_process; 0 is HelperTimeout.
	ProgramTimeout time.Duration
}

const (
	connectLimit = time.Second      // to reach a metadata service
	troubleKept  = 10 * time.Second // so that many workers do not each wait for the same failure
)

// machine is a Cloud with a memory.
type machine struct {
	Cloud
	local http.RoundTripper

	mu     sync.Mutex
	absent map[string]bool // by address: nobody answers there
	cells  map[string]*cell
}

func (c Cloud) machine() *machine {
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	local := &http.Transport{
		DisableKeepAlives: true, // a few requests an hour leave no connections behind
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, connectLimit)
			defer cancel()
			return dial(ctx, network, addr)
		},
		MaxResponseHeaderBytes: maxReply,
	}
	return &machine{Cloud: c, local: local, absent: map[string]bool{}, cells: map[string]*cell{}}
}

func (c Cloud) env(name string) string {
	if c.Env == nil {
		return ""
	}
	return c.Env(name)
}

// found is the answer of a source, with how long it holds.
type found struct {
	login Login
	ok    bool
	until time.Time // zero: for ever
	err   error
}

// token is what a cloud hands out, and its end.
type token struct {
	value string
	ends  time.Time
}

// good is a login that is used for three quarters of t's life.
func (t token) good(l Login) found {
	return found{login: l, ok: true, until: time.Now().Add(time.Until(t.ends) / 4 * 3)}
}

type cell struct {
	turn chan struct{} // held by the one who asks
	found
	full bool
}

// once returns what get found, now or earlier, and lets one caller at a time ask.
func (m *machine) once(ctx context.Context, key string, get func(context.Context) found) (Login, bool, error) {
	m.mu.Lock()
	c, ok := m.cells[key]
	if !ok {
		c = &cell{turn: make(chan struct{}, 1)}
		m.cells[key] = c
	}
	m.mu.Unlock()
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return Login{}, false, &fault.Fault{Kind: fault.Canceled, Op: "wait for a login", Err: context.Cause(ctx)}
	}
	if c.full && (c.until.IsZero() || time.Now().Before(c.until)) {
		return c.login, c.ok, c.err
	}
	f := get(ctx)
	if f.err != nil {
		f.until = time.Now().Add(troubleKept)
	}
	if ctx.Err() == nil { // a canceled question is no answer
		c.found, c.full = f, true
	}
	return f.login, f.ok, f.err
}

// first asks sources in turn; ok=false of all of them holds for ever.
func first(ctx context.Context, sources ...func(context.Context) found) found {
	for _, ask := range sources {
		if f := ask(ctx); f.ok || f.err != nil {
			return f
		}
	}
	return found{}
}

// short keeps enough of an identifier to know it by.
func short(id string) string {
	if r := []rune(id); len(r) > 8 {
		return string(r[:8]) + "…"
	}
	return id
}

// listed reports whether host, as ref writes hosts, is among names, as people write them.
func listed(names []string, host string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		h, err := ref.Host(n)
		return err == nil && h == host
	})
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
