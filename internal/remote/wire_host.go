package remote

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

// lineOptions are what all hosts share.
type lineOptions struct {
	Retries     int           // further tries of an operation without progress
	Stall       time.Duration // how long a request may go without a byte
	MaxWait     time.Duration // the longest single wait that a registry may ask for
	Connections int           // blob bodies per host and direction at once, at most; 0 begins with 32, and goes up to 64 while that is faster
	UserAgent   string
	CertDirs    []string // directories like /etc/docker/certs.d

	Draw    func(ctx context.Context, d Draw) error                           // in place of the budgets kept here; nil keeps them
	Dial    func(ctx context.Context, network, addr string) (net.Conn, error) // nil is net.Dialer
	Proxied func(addr string) error                                           // asked about what a proxy is to dial; nil asks nobody
}

// line is one registry host: its connections, what may be asked of it at once, and
// whether it answers.
type line struct {
	name    string // canonical: "docker.io"
	api     string // where its API is: "registry-1.docker.io"
	set     credential.Settings
	options *lineOptions
	pieces  *sync.Pool
	dialect Dialect
	broken  error // why its settings can not be used

	meta  *http.Transport // HTTP/2 where offered: many small requests
	blobs *http.Transport // HTTP/1.1: a connection of its own for each body
	away  *http.Transport // other origins: storage behind redirects and upload locations
	homes homes

	spares spares // for blobs

	asking, down, up *crowd // places for small requests, for blob bodies read and written
	bytes            pace
	budgets          *budgets // of requests
	pulls            *pulls   // nil where nobody counts them
	pause            pause
	pulse            pulse

	probing gate // of the one question whether a loopback host speaks TLS

	mu        sync.Mutex
	scheme    string    // "" while a loopback host was not asked yet
	spare     *tls.Conn // of the probe that asked it; nil is none
	kindShown string    // what runs there, as its answers showed
}

const (
	// asks is how many requests without blob bodies a host gets at once, at most.
	asks = 64

	// bodies is how many blob bodies a host and direction begin with, where that is not configured.
	bodies = 32
)

// tries is how often an operation may go wrong without progress. A host that
// never answered is more likely misspelt than busy.
func (h *line) tries() int {
	if h.pulse.never() {
		return min(h.options.Retries, 3)
	}
	return h.options.Retries
}

// product is what runs at the host; "" when it is not known.
func (h *line) product() string {
	switch p := productOf(h.name, h.set); p {
	case "":
		return h.shown()
	case "dockerhub":
		return "hub"
	default:
		return p
	}
}

// kind is what runs at the host: configured, told from its name, or learned.
func (h *line) kind() string {
	if h.dialect.Kind != "" || h.set.Kind != "" {
		return h.dialect.Kind
	}
	return h.shown()
}

func (h *line) fail(kind fault.Kind, hint, format string, args ...any) error {
	return &fault.Fault{Kind: kind, Name: h.name, Hint: hint, Err: fmt.Errorf(format, args...)}
}

// shown is the kind that its answers showed; "" is none.
func (h *line) shown() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kindShown
}

// show notes the kind that an answer showed.
func (h *line) show(kind string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kindShown = kind
}

// pin settles the scheme of a loopback host: "http" or "https".
func (h *line) pin(scheme string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.scheme = scheme
}

// crowd are the places on a lane.
func (h *line) crowd(l lane) *crowd {
	switch l {
	case down:
		return h.down
	case up:
		return h.up
	}
	return h.asking
}
