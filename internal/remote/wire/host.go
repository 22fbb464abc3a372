package wire

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
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/product"
)

// Options are what all hosts share.
type Options struct {
	Retries     int           // further tries of an operation without progress
	Stall       time.Duration // how long a request may go without a byte
	MaxWait     time.Duration // the longest single wait that a registry may ask for
	Connections int           // blob bodies per host and direction at once, at most; 0 begins with 32, and goes up to 64 while that is faster
	UserAgent   string
	CertDirs    []string // directories like /etc/docker/certs.d

	Draw    func(ctx context.Context, d limit.Draw) error                     // in place of the budgets kept here; nil keeps them
	Dial    func(ctx context.Context, network, addr string) (net.Conn, error) // nil is net.Dialer
	Proxied func(addr string) error                                           // asked about what a proxy is to dial; nil asks nobody
}

// Host is one registry host: its connections, what may be asked of it at once, and
// whether it answers.
type Host struct {
	Name    string // canonical: "docker.io"
	api     string // where its API is: "registry-1.docker.io"
	Set     credential.Settings
	Options *Options
	pieces  *sync.Pool
	Dialect product.Dialect
	Broken  error // why its settings can not be used

	meta  *http.Transport // HTTP/2 where offered: many small requests
	blobs *http.Transport // HTTP/1.1: a connection of its own for each body
	away  *http.Transport // other origins: storage behind redirects and upload locations
	homes homes

	spares spares // for blobs

	asking, down, Up *limit.Crowd // places for small requests, for blob bodies read and written
	bytes            limit.Pace
	Budgets          *limit.Budgets // of requests
	Pulls            *limit.Pulls   // nil where nobody counts them
	Pause            limit.Pause
	Pulse            Pulse

	probing limit.Gate // of the one question whether a loopback host speaks TLS

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

// Tries is how often an operation may go wrong without progress. A host that
// never answered is more likely misspelt than busy.
func (h *Host) Tries() int {
	if h.Pulse.Never() {
		return min(h.Options.Retries, 3)
	}
	return h.Options.Retries
}

// Product is what runs at the host; "" when it is not known.
func (h *Host) Product() string {
	switch p := product.Of(h.Name, h.Set); p {
	case "":
		return h.shown()
	case "dockerhub":
		return "hub"
	default:
		return p
	}
}

// Kind is what runs at the host: configured, told from its name, or learned.
func (h *Host) Kind() string {
	if h.Dialect.Kind != "" || h.Set.Kind != "" {
		return h.Dialect.Kind
	}
	return h.shown()
}

// Fail is an error of the host, and of no call.
func (h *Host) Fail(kind fault.Kind, hint, format string, args ...any) error {
	return &fault.Fault{Kind: kind, Name: h.Name, Hint: hint, Err: fmt.Errorf(format, args...)}
}

// shown is the kind that its answers showed; "" is none.
func (h *Host) shown() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kindShown
}

// Show notes the kind that an answer showed.
func (h *Host) Show(kind string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kindShown = kind
}

// Pin settles the scheme of a loopback host: "http" or "https".
func (h *Host) Pin(scheme string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.scheme = scheme
}

// crowd are the places on a lane.
func (h *Host) crowd(l Lane) *limit.Crowd {
	switch l {
	case Down:
		return h.down
	case Up:
		return h.Up
	}
	return h.asking
}
