package remote

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/echo"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/list"
	"github.com/drayage/dray/internal/remote/push"
	"github.com/drayage/dray/internal/remote/read"
	"github.com/drayage/dray/internal/remote/signin"
	"github.com/drayage/dray/internal/remote/subject"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/internal/room"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Options configures a Client. The options apply to all hosts, and the zero value works.
type Options struct {
	// Logins is asked for a login once per Repository, when a registry requires one. Nil means
	// anonymous access.
	Logins credential.Chain
	// Hosts holds the settings by host. The keys are names as people write them: "docker.io",
	// "localhost:5000".
	Hosts map[string]credential.Settings
	// Default holds the settings of every host that Hosts does not name. Its fields Kind, Mirrors,
	// TokenHosts and Create are ignored.
	Default credential.Settings

	// Retries is the number of further attempts of an operation that makes no progress. 0 means 8,
	// a negative number means none.
	Retries int
	// Stall is how long a request may go without transferring a byte. 0 means 30 s.
	Stall time.Duration
	// FirstByte is how long an answer may take to begin after a request was sent. Each attempt that
	// gets no answer doubles the time, up to 5 min. 0 means Stall.
	FirstByte time.Duration
	// MaxWait is the longest single wait that a registry may ask for. 0 means 10 min.
	MaxWait time.Duration
	// Connections limits the blob bodies that are transferred at once, per host and direction. 0
	// starts with 32 and grows to at most 64 while that increases the throughput.
	Connections int
	// Asks is the largest number of requests without blob bodies that a host gets at once. 0 means 64.
	Asks int
	// UserAgent is the User-Agent header. "" means "dray".
	UserAgent string
	// CertDirs are directories of certificates by host, like /etc/docker/certs.d. Nil means the
	// directories of docker and podman, an empty list means none.
	CertDirs []string

	// ECR creates the repositories that Settings.Create asks for, reports whether tags are
	// immutable, and lists images with their digests. Nil does none of this.
	ECR *credential.ECRRepositories

	// Uploads records large uploads that a process leaves unfinished, so that the next process can
	// resume them. Nil records none.
	Uploads *ledger.Uploads

	// Draw waits until a request may be sent. It replaces the request budgets that the Client keeps
	// for each host, so that several processes can share one budget. If Draw returns an error, the
	// request is not sent. Nil keeps the Client's own budgets.
	Draw func(ctx context.Context, d limit.Draw) error

	// Dial replaces net.Dialer. Its addr argument is not resolved: it contains the host name.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Proxied is called for each request that goes through a proxy of the environment, with the
	// HOST:PORT that the proxy will dial. If Proxied returns an error, the request is not sent. Nil
	// allows all.
	Proxied func(addr string) error

	// SignIn is the hint for a user who needs a login at host. Nil names dray login.
	SignIn func(host string) string
}

// Client reaches registries over HTTP. It is safe for concurrent use. Call Close when it is no
// longer needed.
type Client struct {
	options Options
	lines   wire.Options
	dock    *push.Dock
	// subjects brings together those that list documents below their subjects.
	subjects subject.Desk
	pieces   sync.Pool // buffers that bodies are copied through; see wire.New
	names    list.Names
	sent     echo.Sent

	mu    sync.Mutex
	hosts map[string]*registry
}

// registry is one host, with what its answers taught so far.
type registry struct {
	*ask.Host
	reading read.Lessons
	lists   *list.Lessons
	pushing *push.Lessons
}

// Actions names the actions that a Repository is opened for.
type Actions string

// Actions that a Repository is opened for.
const (
	Pull Actions = "pull"      // reading; the zero Actions means Pull
	Push Actions = "pull,push" // writing, and the reading that it needs
)

// Use says what a Repository is opened for, so that the first token request already covers every
// scope.
type Use struct {
	Actions   Actions
	MountFrom []string          // repository paths at the same host from which blobs may be mounted
	Login     *credential.Login // nil means that Options.Logins is asked
	Observe   event.Watch       // receives the requests, retries and waits

	// Target says that the repository is a target that is only looked at. A 404 is then believed at
	// once; of a source it is asked for again. Push implies Target.
	Target bool

	// Writing reports whether content is being written now, not only surveyed. While it returns
	// true, Missing may make no request and leave it to Put to find out which blobs exist. Nil
	// means never.
	Writing func() bool

	// Lists is asked before a referrers tag is set, see subject.Keeper. Nil allows all.
	Lists func(ctx context.Context, tag string, was oci.Digest, list oci.Descriptor) error

	// Yield is called when a request would have to wait because the pull limit is used up. If it
	// returns true, the request fails at once (see SpentUntil), so that the caller can do other
	// work first. If Yield is nil, the request waits.
	Yield func() bool
}

// New returns a Client with the options o. It returns an error of Kind Invalid if the settings of a
// host cannot be used.
func New(o Options) (*Client, error) {
	if err := credential.CheckProxies(os.Getenv); err != nil {
		return nil, err
	}
	if o.Retries == 0 {
		o.Retries = 8
	}
	o.Retries = max(o.Retries, 0)
	o.Stall = orDuration(o.Stall, 30*time.Second)
	o.FirstByte = orDuration(o.FirstByte, o.Stall)
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
	c.lines = wire.Options{
		Retries:     o.Retries,
		Stall:       o.Stall,
		FirstByte:   o.FirstByte,
		MaxWait:     o.MaxWait,
		Connections: o.Connections,
		Asks:        o.Asks,
		Short:       c.idle,
		UserAgent:   o.UserAgent,
		CertDirs:    o.CertDirs,
		Draw:        o.Draw,
		Dial:        o.Dial,
		Proxied:     o.Proxied,
		SignIn:      o.SignIn,
		Room:        room.New(maxReading),
		Sent:        &c.sent,
	}
	for name := range hosts {
		if h := c.host(name); h.Broken != nil {
			return nil, h.Broken
		}
	}
	return c, nil
}

// maxReading is the memory in bytes for the long documents that are read from all hosts at the same time. Each of
// at most oci.MaxDocument waits for its room. What their parts take is two to three times that.
const maxReading = 32 << 20

func orDuration(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}

// SignInHint is the hint for a user who needs a login at host, or another login.
func (c *Client) SignInHint(host string) string { return c.host(host).SignInHint() }

// Close closes idle connections. It does not interrupt requests in progress.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		h.Close()
	}
}

// idle closes the connections to all hosts that no request uses.
func (c *Client) idle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		h.Idle()
	}
}

// Pin sets the scheme that the user typed before host: "http" or "https". Plain http is allowed
// only for loopback hosts and for hosts that are configured for it. Any other combination is an
// error of Kind Invalid.
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
		return &fault.Fault{
			Kind: fault.Invalid,
			Op:   "use plain http with",
			Name: name,
			Err:  errors.New("plain http is for this machine only"),
			Hint: "set plain-http for this registry in the configuration, or use --plain-http",
		}
	case scheme == "https":
		return &fault.Fault{
			Kind: fault.Invalid,
			Op:   "use https with",
			Name: name,
			Err:  errors.New("the configuration sets plain-http for it"),
		}
	}
	return &fault.Fault{
		Kind: fault.Invalid,
		Op:   "use scheme " + scheme + " with",
		Name: name,
		Err:  errors.New("the scheme is neither http nor https"),
	}
}

// Check asks host whether it accepts login, and returns the login to keep. For an Entra token that
// is the refresh token that the host's token exchange returned; otherwise it is login itself. The
// error is Denied if the host rejects login. If the host requires no login, Check returns login and
// no error.
func (c *Client) Check(ctx context.Context, host string, login credential.Login) (credential.Login, error) {
	name, err := ref.Host(host)
	if err != nil {
		return credential.Login{}, err
	}
	h := c.host(name)
	call := &wire.Call{
		Op:     "log in to",
		Name:   name,
		Method: "GET",
		Path:   "/v2/",
		Access: wire.NewAccess(nil, ref.Repo{}, &login),
	}
	if _, err = h.Do(ctx, call, 200); err != nil {
		return credential.Login{}, err
	}
	refresh := h.Refresh(login)
	if refresh == "" {
		return login, nil
	}
	return credential.Login{Scheme: credential.Refresh, Password: credential.New(refresh), From: login.From}, nil
}

// Asks reports whether host has required a login in any answer so far.
func (c *Client) Asks(host string) bool {
	name, err := ref.Host(host)
	if err != nil {
		return false
	}
	return c.host(name).Asks()
}

// watched returns w for events and requests that do not repeat a login.
func (c *Client) watched(w event.Watch) event.Watch {
	out := w
	if w.Events != nil {
		out.Events = func(e event.Event) {
			e.Text, e.Err = c.sent.Cut(e.Text), c.sent.Error(e.Err)
			w.Events(e)
		}
	}
	if w.Requests != nil {
		out.Requests = func(q event.Request) {
			q.URL, q.Err = c.sent.Cut(q.URL), c.sent.Error(q.Err)
			w.Requests(q)
		}
	}
	return out
}

// served returns the configured registries whose tokens the host with the canonical name issues.
func (c *Client) served(name string) map[string]credential.Settings {
	served := map[string]credential.Settings{}
	for registry, set := range c.options.Hosts {
		for _, issuer := range signin.Issuers(registry, set) {
			if host, err := ref.Host(issuer); err == nil && host == name && registry != name {
				served[registry] = set
			}
		}
	}
	return served
}

// host returns the registry with the canonical host name, and creates it on first use.
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
		l := wire.New(name, set, c.served(name), &c.lines, &c.pieces)
		h := ask.New(l, signin.New(l, func(name string) *wire.Host { return c.host(name).Host.Host }))
		r = &registry{Host: h, pushing: push.NewLessons(l.Dialect),
			lists: list.NewLessons(h, func(name string) *ask.Host { return c.host(name).Host }, c.options.ECR, &c.names)}
		c.hosts[name] = r
	}
	return r
}
