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

// Cloud says what the lookups for the registries of clouds ([Azure], [ECR], [Google]) may use of the machine on
// which they run. The zero Cloud has no variables and no home directory, so its lookups ask only metadata
// services and programs.
//
// A lookup answers only for the hosts of its cloud. It asks the sources that are configured, in order, and uses
// the first one. If a configured source returns no login, that is an error, which names the source and its
// answer: [fault.Denied]; [fault.Unavailable] for network trouble and for the statuses 429 and 5xx;
// [fault.Invalid] for a setting or a file that is not valid; [fault.Canceled] if ctx ended. No error shows a
// secret, even if an answer contains one. Metadata services that are not configured come last. They get one
// second to accept a connection. If there is no such service, the lookup does not ask again.
//
// If many callers need a login at the same time, the lookup asks for it once. It keeps tokens of Entra and
// Google for three quarters of their lifetime, passwords of ECR until five minutes before they expire, and
// errors for ten seconds. The lookups are safe for concurrent use.
//
// Credentials are sent over HTTPS, or over plain HTTP to a loopback or link-local address. Redirects are not
// followed.
type Cloud struct {
	// Env returns the value of an environment variable, like os.Getenv; nil means that none is set.
	Env func(string) string

	// Home is the user's home directory; "" means that the files below it are not used.
	Home string

	// HTTP is used for HTTPS requests; nil means http.DefaultTransport.
	HTTP http.RoundTripper

	// Dial opens the connections for plain HTTP, which never uses a proxy; nil means the network of the
	// system.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// ProgramTimeout is how long one run of az or of a credential_process may take; 0 means
	// [HelperTimeout].
	ProgramTimeout time.Duration
}

const (
	connectLimit = time.Second      // for a connection to a metadata service
	troubleKept  = 10 * time.Second // how long an error is kept, so that goroutines do not all wait for the same failure
)

// machine is a Cloud with a cache.
type machine struct {
	Cloud
	local http.RoundTripper // for plain HTTP

	mu     sync.Mutex
	absent map[string]bool  // the addresses at which there is no metadata service
	cells  map[string]*cell // the cached logins
}

func (c Cloud) machine() *machine {
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	local := &http.Transport{
		DisableKeepAlives: true, // there are only a few requests an hour
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

// found is the answer of a source and the time until which it is valid.
type found struct {
	login Login
	ok    bool
	until time.Time // zero means forever
	err   error
}

// token is a token of a cloud and the time at which it expires.
type token struct {
	value string
	ends  time.Time
}

// good returns l as an answer that is valid for three quarters of the lifetime of t.
func (t token) good(l Login) found {
	return found{login: l, ok: true, until: lasting(time.Until(t.ends) / 4 * 3)}
}

// lasting returns when what lasts for d from now on is fetched again. If the clock of this machine differs from that of
// the service, d is too short or too long: what has just been issued is used for a while, and nothing for a day.
func lasting(d time.Duration) time.Time { return time.Now().Add(max(briefLife/5, min(d, maxLife))) }

const (
	// briefLife is how long a token is used if its lifetime is not known.
	briefLife = 5 * time.Minute
	maxLife   = 12 * time.Hour
)

type cell struct {
	turn chan struct{} // a lock: whoever asks for the login holds it
	found
	full bool
}

// once returns the cached answer for key, or calls get if there is none or it has expired. Only one caller at a
// time calls get for a key.
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
	if ctx.Err() == nil { // do not cache the result of a canceled call
		c.found, c.full = f, true
	}
	return f.login, f.ok, f.err
}

// first asks the sources in order. If none has a login, this answer is valid forever.
func first(ctx context.Context, sources ...func(context.Context) found) found {
	for _, ask := range sources {
		if f := ask(ctx); f.ok || f.err != nil {
			return f
		}
	}
	return found{}
}

// short shortens an identifier so that it can still be recognized.
func short(id string) string {
	if r := []rune(id); len(r) > 8 {
		return string(r[:8]) + "…"
	}
	return id
}

// listed reports whether host, in the canonical form of package ref, is among names, which are in the form in
// which people write them.
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
