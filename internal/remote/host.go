package remote

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// host is what is known of one registry host.
type host struct {
	name    string // canonical: "docker.io"
	api     string // where its API is: "registry-1.docker.io"
	set     credential.Settings
	options *Options
	client  *Client
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

	first   *firstContact
	trial   gate // of the one mount that finds out whether mounts tell
	probing gate // of the one question whether a loopback host speaks TLS
	made    places

	mu        sync.Mutex
	scheme    string    // "" while a loopback host was not asked yet
	spare     *tls.Conn // of the probe that asked it; nil is none
	until     time.Time
	answered  bool      // it ever answered
	heardAt   time.Time // when it last did
	open      *circuit  // it went down; nil while it did not
	known     *challenge
	tokens    map[tokenKey]*tokenCell
	traded    map[tokenKey]string // refresh tokens that came of an exchange
	learned   learned
	mountless map[string]bool // "from" paths that were refused
}

const (
	// asks is how many requests without blob bodies a host gets at once, at most.
	asks = 64

	// bodies is how many blob bodies a host and direction begin with, where that is not configured.
	bodies = 32

	// small is how many of them one question about many blobs or manifests takes.
	small = 32
)

func newHost(name string, set credential.Settings, c *Client) *host {
	h := &host{name: name, api: name, set: set, options: &c.options, client: c,
		tokens: map[tokenKey]*tokenCell{}, traded: map[tokenKey]string{}, mountless: map[string]bool{}}
	if name == ref.DockerHub {
		h.api = "registry-1.docker.io"
	}
	h.dialect = dialectOf(name, set)
	switch {
	case set.PlainHTTP:
		h.scheme = "http"
	case !ref.IsLoopback(name):
		h.scheme = "https"
	}
	start, top := bodies, 2*bodies
	if wide := cmp.Or(max(set.Connections, 0), c.options.Connections); wide > 0 {
		start, top = min(start, wide), wide
	}
	h.asking, h.down, h.up = newCrowd(asks/2, asks, false), newCrowd(start, top, true), newCrowd(start, top, true)
	h.budgets = newBudgets(name, productOf(name, set), set.RequestsPerSecond)
	h.bytes.perSecond = float64(set.BytesPerSecond)
	h.first = newFirstContact()
	h.trial, h.probing = make(gate, 1), make(gate, 1)
	h.pulls = newPulls(name, h.dialect.Kind)
	h.broken = h.connect()
	return h
}

func (h *host) close() {
	h.spares.close()
	for _, t := range []*http.Transport{h.meta, h.blobs, h.away} {
		if t != nil {
			t.CloseIdleConnections()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.spare != nil {
		h.spare.Close()
		h.spare = nil
	}
}

// origin returns the registry's scheme and host. The first time that a
// loopback host is used it is asked whether it speaks TLS; no other host is
// ever used without, unless configured so.
func (h *host) origin(ctx context.Context) (*url.URL, error) {
	if h.broken != nil {
		return nil, h.broken
	}
	if h.pinned() == "" {
		if err := h.probing.enter(ctx); err != nil {
			return nil, h.dialFault(ctx, err)
		}
		defer h.probing.leave()
	}
	scheme := h.pinned()
	if scheme == "" {
		var err error
		if scheme, err = h.probe(ctx); err != nil {
			return nil, err
		}
		h.mu.Lock()
		h.scheme = scheme
		h.mu.Unlock()
	}
	return &url.URL{Scheme: scheme, Host: h.api}, nil
}

// pinned is the scheme, "" while it is not known.
func (h *host) pinned() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.scheme
}

// probe shakes hands. The connection is kept for the first request; where the
// handshake fails by anything but an answer that is no TLS, that request will say why.
func (h *host) probe(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, h.options.Stall)
	defer cancel()
	conn, err := h.dialHome(ctx, "tcp", withPort(h.api, "443"))
	if err != nil {
		return "", h.dialFault(ctx, err)
	}
	shaken := h.overTLS(conn)
	err = shaken.HandshakeContext(ctx)
	var notTLS tls.RecordHeaderError
	switch {
	case err == nil:
		h.mu.Lock()
		h.spare = shaken
		h.mu.Unlock()
		return "https", nil
	case errors.As(err, &notTLS):
		conn.Close()
		return "http", nil
	}
	conn.Close()
	return "https", nil
}

// overTLS begins what the transport for small requests would.
func (h *host) overTLS(conn net.Conn) *tls.Conn {
	config := h.meta.TLSClientConfig.Clone()
	config.ServerName, _, _ = net.SplitHostPort(withPort(h.api, "443"))
	config.NextProtos = []string{"h2", "http/1.1"}
	return tls.Client(conn, config)
}

// dialSpare gives out the connection of the probe, and then new ones. The transport shakes hands.
func (h *host) dialSpare(ctx context.Context, network, addr string) (net.Conn, error) {
	h.mu.Lock()
	spare := h.spare
	h.spare = nil
	h.mu.Unlock()
	if spare != nil {
		return spare, nil
	}
	conn, err := h.dialHome(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return h.overTLS(conn), nil
}

func (h *host) dialFault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &fault.Fault{Kind: fault.Canceled, Op: "reach", Name: h.name, Err: context.Cause(ctx)}
	}
	var already *fault.Fault
	if errors.As(err, &already) {
		return err // Options.Dial refuses the address
	}
	return &fault.Fault{Kind: fault.Unavailable, Op: "reach", Name: h.name, Err: err, Hint: "is a registry running there?"}
}

func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return host + ":" + port
}

// pause makes every request of the host wait until t. news is false when it
// would have waited about as long anyway.
func (h *host) pause(t time.Time) (news bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	news = t.Sub(h.until) > 100*time.Millisecond
	if t.After(h.until) {
		h.until = t
	}
	return news
}

// await returns when no pause holds the host.
func (h *host) await(ctx context.Context) error {
	for {
		h.mu.Lock()
		d := time.Until(h.until)
		h.mu.Unlock()
		if d <= 0 {
			return nil
		}
		if err := sleep(ctx, d); err != nil {
			return err
		}
	}
}

func (h *host) heard() {
	h.mu.Lock()
	h.answered, h.heardAt, h.open = true, time.Now(), nil
	h.mu.Unlock()
}

// stranger reports whether the host never answered.
func (h *host) stranger() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.answered
}

// tries is how often an operation may go wrong without progress. A host that
// never answered is more likely misspelt than busy.
func (h *host) tries() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.answered {
		return min(h.options.Retries, 3)
	}
	return h.options.Retries
}

// learned is what a registry's answers taught; it overrules the Dialect.
type learned struct {
	noRanges bool  // it answered a Range with something else
	noHead   bool  // it answered 405 to HEAD
	tagQuery bool  // it answered OCI-Tag
	chunk    int64 // what a 413 left of the largest body; 0 is any
	minChunk int64 // OCI-Chunk-Min-Length
	openRead bool  // it let somebody read without a login

	kind    string // what runs there, where name and configuration do not say
	digests bool   // its tags/list tells digests
	noBulk  bool   // its own list of tags can not be had

	noReferrers bool // it has no referrers API

	mounts verdict // whether its answer to a mount tells what is there
}

func (h *host) knows() learned {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.learned
}

func (h *host) learn(f func(*learned)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(&h.learned)
}

// sleep waits for d or for the end of ctx, whose cause it returns.
func sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// gate has as many places as its capacity. The nil gate lets everybody pass.
type gate chan struct{}

func (g gate) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if g == nil {
		return nil
	}
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g gate) leave() {
	if g != nil {
		<-g
	}
}

// pace spreads units evenly over time. The zero pace lets everything pass.
type pace struct {
	perSecond float64

	mu   sync.Mutex
	next time.Time
}

// take waits until n more units may pass.
func (p *pace) take(ctx context.Context, n int64) error {
	if p.perSecond <= 0 {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	wait := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(float64(n) / p.perSecond * float64(time.Second)))
	p.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	return sleep(ctx, wait)
}

func (h *host) fail(kind fault.Kind, hint, format string, args ...any) error {
	return &fault.Fault{Kind: kind, Name: h.name, Hint: hint, Err: fmt.Errorf(format, args...)}
}
