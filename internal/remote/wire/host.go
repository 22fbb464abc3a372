package wire

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/echo"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/room"
)

// Options are the options that all hosts share. See remote.Options for the defaults.
type Options struct {
	Retries int           // further attempts of an operation without progress
	Stall   time.Duration // how long a request may go without transferring a byte
	// FirstByte is how long an answer may take to begin, in the first attempt.
	FirstByte time.Duration
	MaxWait   time.Duration // the longest single wait that a registry may ask for
	// Connections limits the blob bodies that are transferred at once, per host and direction. 0
	// starts with 32 and grows to at most 64 while that increases the throughput.
	Connections int
	Asks        int // the largest number of other requests that a host gets at once; 0 means 64
	// Short is called if a connection cannot be dialed because this process has too many files open. It closes the
	// connections to all hosts that no request uses. Nil closes none.
	Short     func()
	UserAgent string
	CertDirs  []string   // directories like /etc/docker/certs.d
	Sent      *echo.Sent // logins that were sent to any host
	Room      *room.Room // memory for the documents and lists that are being read from all hosts

	// Draw replaces the budgets that are kept here, if it is not nil.
	Draw func(ctx context.Context, d limit.Draw) error
	// Dial replaces net.Dialer, if it is not nil.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Proxied is called with the address that a proxy is to dial. Nil allows all.
	Proxied func(addr string) error
	// SignIn is the hint for a user who needs a login at host. Nil names dray login.
	SignIn func(host string) string
}

// Host is one registry host: its connections, how many requests it may get at once, and whether it
// answers.
type Host struct {
	Name    string // canonical name: "docker.io"
	api     string // host of its API: "registry-1.docker.io"
	Set     credential.Settings
	serves  map[string]credential.Settings // registries whose tokens this host issues
	Options *Options
	pieces  *sync.Pool
	Dialect product.Dialect
	Broken  error // why the settings of this host cannot be used

	meta  *http.Transport // HTTP/2 if offered: many small requests
	blobs *http.Transport // HTTP/1.1: a connection of its own for each body
	away  *http.Transport // other origins: storage that redirects and upload locations lead to
	homes homes

	spares spares // connections for blobs, dialed early

	// asking limits small requests; down and Up limit the blob bodies that are read and written.
	asking, down, Up *limit.Crowd
	bytes            limit.Pace
	Budgets          *limit.Budgets // request rates
	Pulls            *limit.Pulls   // nil if the registry does not count pulls
	Pause            limit.Pause
	Pulse            limit.Pulse

	// plain is true after an answer by plain http that a port for TLS does not give.
	plain atomic.Bool

	probing limit.Gate // for the single probe that finds out whether a loopback host speaks TLS

	mu        sync.Mutex
	scheme    string    // "" while a loopback host was not probed yet
	spare     *tls.Conn // connection of that probe; nil if there is none
	kindShown string    // the product that its answers showed
}

const (
	// asks is the largest number of requests without blob bodies that a host gets at once, unless Options set one.
	asks = 64

	// bodies is the number of blob bodies that a host starts with per direction, if the
	// configuration sets none.
	bodies = 32
)

// Takes says that c is sent to this host, so that its errors repeat no login.
func (h *Host) Takes(c *Call) {
	if c.Sent == nil {
		c.Sent = h.Options.Sent
	}
}

// Tries returns how many times an operation may fail without progress. A host that has never
// answered is more likely misspelled than busy, so it gets at most 3 retries.
func (h *Host) Tries() int {
	if h.Pulse.Never() {
		return min(h.Options.Retries, 3)
	}
	return h.Options.Retries
}

// SignInHint is the hint for a user who needs a login at this host, or another login.
func (h *Host) SignInHint() string {
	if h.Options.SignIn != nil {
		return h.Options.SignIn(h.Name)
	}
	return product.SignInHint(h.Name)
}

// Product returns the product that runs at the host, including kinds without a dialect. "" means
// unknown.
func (h *Host) Product() string {
	switch p := product.Of(h.Name, h.Set); p {
	case "":
		return h.shown()
	case "dockerhub":
		return "dockerhub"
	default:
		return p
	}
}

// Kind returns the kind whose dialect applies: configured, implied by the host name, or learned
// from answers. "" means unknown.
func (h *Host) Kind() string {
	if h.Dialect.Kind != "" || h.Set.Kind != "" {
		return h.Dialect.Kind
	}
	return h.shown()
}

// Fail returns an error that concerns the host and not a single call.
func (h *Host) Fail(kind fault.Kind, hint, format string, args ...any) error {
	return &fault.Fault{Kind: kind, Name: h.Name, Hint: hint, Err: fmt.Errorf(format, args...)}
}

// shown returns the kind that the host's answers showed, or "".
func (h *Host) shown() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kindShown
}

// Show records the kind that an answer showed.
func (h *Host) Show(kind string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kindShown = kind
}

// Pin sets the scheme of a loopback host: "http" or "https".
func (h *Host) Pin(scheme string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.scheme = scheme
}

// crowd returns the limit on concurrent requests in a lane.
func (h *Host) crowd(l Lane) *limit.Crowd {
	switch l {
	case Down:
		return h.down
	case Up:
		return h.Up
	}
	return h.asking
}

// maxFirstByte is the longest time that an answer may take to begin after other attempts got none,
// unless the configuration allows more.
const maxFirstByte = 5 * time.Minute

// firstByte returns how long the answer to c may take to begin, once c is sent. The time doubles
// with each attempt that got no answer: a cache that fetches the content first has more of it by then.
func (h *Host) firstByte(c *Call) time.Duration {
	first := h.Options.FirstByte
	if h.Set.FirstByte > 0 {
		first = h.Set.FirstByte
	}
	return c.within(min(first<<min(c.Late, 10), max(first, maxFirstByte)) + c.Closing)
}
