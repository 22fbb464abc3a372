package remote

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/list"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/push"
	"github.com/drayage/dray/internal/remote/read"
	"github.com/drayage/dray/internal/remote/signin"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/ref"
)

// Options are what all hosts of a Client share. The zero value works.
type Options struct {
	Logins  credential.Chain               // asked once per Repository, when a registry wants a login; nil is anonymous
	Hosts   map[string]credential.Settings // settings by host, as people write it: "docker.io", "localhost:5000"
	Default credential.Settings            // settings of every other host; Kind, Mirrors, TokenHosts and Create in it do not count

	Retries     int           // further tries of an operation without progress; 0 is 8, negative none
	Stall       time.Duration // how long a request may go without a byte; 0 is 30 s
	MaxWait     time.Duration // the longest single wait that a registry may ask for; 0 is 10 min
	Connections int           // blob bodies per host and direction at once, at most; 0 begins with 32, and goes up to 64 while that is faster
	UserAgent   string        // "" is "dray"
	CertDirs    []string      // directories like /etc/docker/certs.d; nil is docker's and podman's, empty is none

	// ECR makes the repositories that Settings.Create asks for, tells whether tags are
	// immutable and lists images with their digests; nil does none of it.
	ECR *credential.ECRRepositories

	// Uploads remembers large uploads that a process leaves unfinished, so that the
	// next one goes on with them; nil remembers none.
	Uploads *ledger.Uploads

	// Draw waits until a request may be sent, in place of the budgets that each Client keeps
	// of what registries allow: for several processes that share one. Its error ends the
	// request. nil keeps the Client's own.
	Draw func(ctx context.Context, d limit.Draw) error

	// Dial replaces net.Dialer. The address it is given is not resolved.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Proxied is asked, with each request that a proxy of the environment takes, about the
	// HOST:PORT that the proxy is to dial; its error ends the request. nil asks nobody.
	Proxied func(addr string) error
}

// Client is registries over HTTP. It is safe for concurrent use; Close it.
type Client struct {
	options Options
	lines   wire.Options
	dock    *push.Dock
	pieces  sync.Pool // of bytes on their way to a connection

	mu    sync.Mutex
	hosts map[string]*registry
}

// registry is one host, and what its answers taught.
type registry struct {
	*ask.Host
	reading read.Lessons
	lists   *list.Lessons
	pushing *push.Lessons
}

// Actions is what a Repository is opened for.
type Actions string

const (
	Pull Actions = "pull"      // reading; the zero Actions is Pull, too
	Push Actions = "pull,push" // writing, and the reading that it needs
)

// Use says what a Repository is opened for, so that the first token request
// already carries every scope.
type Use struct {
	Actions   Actions
	MountFrom []string          // repository paths at the same host that blobs may be mounted from
	Login     *credential.Login // nil asks Options.Logins
	Observe   event.Watch       // hears of requests, retries and waits

	// Writing reports whether content is being written now, as opposed to looked at: then
	// Missing may leave to Put what that finds out without a further request. nil is never.
	Writing func() bool

	// Yield is asked where a request would wait for a spent pull limit: on true it
	// fails at once (see SpentUntil), so that the caller can do other work first.
	// nil waits.
	Yield func() bool
}

// New checks the settings. The error is Invalid.
func New(o Options) (*Client, error) {
	if o.Retries == 0 {
		o.Retries = 8
	}
	o.Retries = max(o.Retries, 0)
	o.Stall = orDuration(o.Stall, 30*time.Second)
	o.MaxWait = orDuration(o.MaxWait, 10*time.Minute)
	if o.UserAgent == "" {
		o.UserAgent = "dray"
	}
	if o.CertDirs == nil {
		o.CertDirs = wire.CertDirs()
	}
	hosts := make(map[string]credential.Settings, len(o.Hosts))
	for name, set := range o.Hosts {
		canonical, err := ref.Host(name)
		if err != nil {
			return nil, err
		}
		hosts[canonical] = set
	}
	o.Hosts = hosts
	c := &Client{options: o, dock: push.NewDock(o.Uploads, o.ECR), hosts: map[string]*registry{}}
	c.lines = wire.Options{Retries: o.Retries, Stall: o.Stall, MaxWait: o.MaxWait, Connections: o.Connections, UserAgent: o.UserAgent,
		CertDirs: o.CertDirs, Draw: o.Draw, Dial: o.Dial, Proxied: o.Proxied}
	for name := range hosts {
		if h := c.host(name); h.Broken != nil {
			return nil, h.Broken
		}
	}
	return c, nil
}

func orDuration(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}

// Close drops idle connections. Requests under way go on.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		h.Close()
	}
}

// Pin says which scheme a person typed before host: "http" or "https". Plain
// http is for loopback hosts and for hosts configured so; anything else is Invalid.
func (c *Client) Pin(host, scheme string) error {
	name, err := ref.Host(host)
	if err != nil {
		return err
	}
	h := c.host(name)
	switch {
	case scheme == "https" && !h.Set.PlainHTTP, scheme == "http" && (h.Set.PlainHTTP || ref.IsLoopback(name)):
		h.Pin(scheme)
		return nil
	case scheme == "http":
		return &fault.Fault{Kind: fault.Invalid, Op: "use plain http with", Name: name, Err: errors.New("it is not on this machine"),
			Hint: "set plain-http for this registry in the configuration, or --plain-http"}
	case scheme == "https":
		return &fault.Fault{Kind: fault.Invalid, Op: "use https with", Name: name, Err: errors.New("it is configured for plain http")}
	}
	return &fault.Fault{Kind: fault.Invalid, Op: "use scheme " + scheme + " with", Name: name, Err: errors.New("only http and https are known")}
}

// Check asks host whether it takes login, and returns the login that is worth
// keeping: for an Entra token the refresh token that the host's exchange gave,
// else login itself. It is Denied when the host does not take it, and no error
// where the host asks nobody for a login.
func (c *Client) Check(ctx context.Context, host string, login credential.Login) (credential.Login, error) {
	name, err := ref.Host(host)
	if err != nil {
		return credential.Login{}, err
	}
	h := c.host(name)
	_, err = h.Do(ctx, &wire.Call{Op: "sign in to", Name: name, Method: "GET", Path: "/v2/", Access: wire.NewAccess(nil, ref.Repo{}, &login)}, 200)
	if err != nil {
		return credential.Login{}, notSignIn(err, h.Name, login)
	}
	refresh := h.Refresh(login)
	if refresh == "" {
		return login, nil
	}
	return credential.Login{Scheme: credential.Refresh, Password: credential.New(refresh), From: login.From}, nil
}

// Asks reports whether host has asked anybody for a login so far.
func (c *Client) Asks(host string) bool {
	name, err := ref.Host(host)
	if err != nil {
		return false
	}
	return c.host(name).Asks()
}

// notSignIn takes the advice to sign in to host from whoever is doing that.
func notSignIn(err error, host string, login credential.Login) error {
	var f *fault.Fault
	rest, told := strings.CutSuffix(fault.HintOf(err), product.SignInHint(host))
	if !errors.As(err, &f) || !told {
		return err
	}
	g := *f
	g.Hint = strings.TrimSuffix(rest, "; else ")
	switch {
	case g.Hint != "":
	case login.Scheme == credential.Basic:
		g.Hint = "check the user and the password"
	default:
		g.Hint = "check that the token is for this registry and has not ended"
	}
	return &g
}

// host returns what is known of a host with a canonical name.
func (c *Client) host(name string) *registry {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.hosts[name]
	if !ok {
		set, known := c.options.Hosts[name]
		if !known {
			set = c.options.Default
			set.Kind, set.Mirrors, set.TokenHosts, set.Create = "", nil, nil, ""
		}
		l := wire.New(name, set, &c.lines, &c.pieces)
		h := ask.New(l, signin.New(l, func(name string) *wire.Host { return c.host(name).Host.Host }))
		r = &registry{Host: h, pushing: push.NewLessons(l.Dialect),
			lists: list.NewLessons(h, func(name string) *ask.Host { return c.host(name).Host }, c.options.ECR)}
		c.hosts[name] = r
	}
	return r
}
