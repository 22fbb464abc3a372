package dray

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/ref"
)

// Settings are how one registry is spoken to. The zero Settings are https, the
// system's certificates, and what its host name tells of its kind.
type Settings = credential.Settings

// Create says in Settings what a push may make where it meets nothing: ECR's
// repository, Harbor's project.
type Create = credential.Create

// Allowance is so many requests in so much time.
type Allowance = credential.Allowance

// Registry is a registry that has a name of its own: "prod" in "prod/app:v1".
type Registry struct {
	Host string // "prod.example.com:5000"
	Settings
}

// Config is all that New needs. The zero Config is usable: anonymous, default limits, no named registries.
type Config struct {
	Registries map[string]Registry // by name
	Default    string              // the registry that an import goes to when the request names none; "" for none
	Settings   Settings            // for every host that is not in Registries
	Logins     credential.Chain    // asked where a request brings no login of its own
	Limits     Limits
	UserAgent  string // default "dray"

	// StateDir is where uploads under way are recorded, so that one whose process
	// was killed goes on in the next, and which images were proven to be whole. It is made when needed, for its owner alone,
	// and may be shared by many processes; "" records nothing. What is in it is
	// never needed: no copy fails because of it.
	StateDir string

	// Cloud is how ECR's own API is asked: for Settings.Create, for immutable tags and
	// for listings with digests. Without Env it is not.
	Cloud credential.Cloud

	// Requests is told of each HTTP exchange with a registry when it has ended; nil is nobody.
	Requests event.Requests

	// Dial opens connections; nil means the system's network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Limits bound one Dray. Zero means the default named beside it; a negative value is Invalid.
type Limits struct {
	Images      int           // images in flight, default 32
	Blobs       int           // blobs in flight over all images, default 32; small ones and slow targets have some beside
	Connections int           // blob bodies per registry host and direction at most; 0 begins with 32 and goes up to 64 while that is faster
	Retries     int           // tries of one operation without progress in between, default 8
	Stall       time.Duration // longest time without a byte before a request is cut and resumed, default 30 s
	MaxWait     time.Duration // longest wait that a registry may ask for, default 10 min

	// Ahead is the memory in bytes, over all images, for what is read of a large blob
	// before its turn comes to be sent: that is how one is read over several connections
	// at once. Default 64 MiB; with less than 3 MiB each is read over one.
	Ahead int64

	// Bandwidth caps the bytes/s of blobs that are sent, over all images and targets;
	// 0 is no cap. Reading is not counted by itself: it is ahead of sending by Ahead at most.
	Bandwidth int64
}

// Dray holds what all requests share. Its methods are safe for concurrent use.
type Dray struct {
	base  *place.Base
	names *name.Reader
}

// New checks c and wires the parts together. It does no I/O but for the certificate files that c names.
func New(c Config) (*Dray, error) { return NewWith(c, place.Inside{}) }

// NewWith is New for programs of this module, with what only these may set.
func NewWith(c Config, in place.Inside) (*Dray, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	settings, names := make(map[string]credential.Settings, len(c.Registries)), make(map[string]string, len(c.Registries))
	for name, r := range c.Registries {
		host, err := ref.Host(r.Host)
		if err != nil {
			return nil, configFault(name, err)
		}
		settings[host], names[name] = r.Settings, host
	}
	var ecr *credential.ECRRepositories
	if c.Cloud.Env != nil {
		ecr = credential.ECR{Cloud: c.Cloud}.Repositories()
	}
	client, err := remote.New(remote.Options{
		Logins: c.Logins, Hosts: settings, Default: c.Settings, UserAgent: c.UserAgent, ECR: ecr, Dial: c.Dial, Proxied: in.Proxied, Draw: in.Draw,
		Connections: c.Limits.Connections, Retries: c.Limits.Retries, Stall: c.Limits.Stall, MaxWait: c.Limits.MaxWait,
		Uploads: ledger.NewUploads(c.StateDir),
	})
	if err != nil {
		return nil, err
	}
	engine := transfer.New(transfer.Options{
		Blobs: c.Limits.Blobs, Retries: c.Limits.Retries, Ahead: c.Limits.Ahead, Bandwidth: c.Limits.Bandwidth,
	})
	return &Dray{
		base: &place.Base{
			Remote: client, Engine: engine, Requests: c.Requests, Here: in.Local, Images: cmp.Or(c.Limits.Images, 32), MaxWait: cmp.Or(c.Limits.MaxWait, 10*time.Minute),
			Proofs: ledger.NewProofs(c.StateDir), Times: ledger.NewTimes(c.StateDir), Marks: ledger.NewMarks(c.StateDir), Earlier: ledger.NewWhereabouts(c.StateDir),
		},
		names: &name.Reader{Hosts: names, Default: c.Default, Pin: client.Pin},
	}, nil
}

// For returns a Dray that shares everything with d and works for one job of a server.
func (d *Dray) For(j place.Job) *Dray { return &Dray{base: d.base.For(j), names: d.names} }

// Close lets idle connections go.
func (d *Dray) Close() { d.base.Remote.Close() }

// Allowances tells what the registry at host is known to allow: what it publishes, or what
// Settings.RequestsPerSecond says. nil is nothing known.
func (d *Dray) Allowances(host string) []Allowance { return d.base.Remote.Allowances(host) }

// Host returns the canonical host of a registry: a configured name, or a host as
// people type it, with or without "https://". The error is Invalid.
func (d *Dray) Host(name string) (string, error) { return d.names.Host(name) }

// Name returns the canonical form of a full name as people type it. Its first
// component may be a configured registry's name. The error is Invalid.
func (d *Dray) Name(s string) (ref.Name, error) { return d.names.Parse(s) }

// RegistryHost returns the canonical host of what `az acr` means by a registry's
// name: a configured name, a login server, the name of an Azure container
// registry, or an ARM resource ID. "" is Config.Default. The error is Invalid.
func (d *Dray) RegistryHost(name string) (string, error) { return d.names.RegistryHost(name) }

// CheckLogin asks the registry whether it takes login, and returns the login that
// is worth keeping: for an Entra token the registry's refresh token that it was
// exchanged for, else login itself. Denied when the registry does not take it.
func (d *Dray) CheckLogin(ctx context.Context, host string, login credential.Login) (credential.Login, error) {
	return d.base.Remote.Check(ctx, host, login)
}

// AsksForLogin reports whether host has asked anybody for a login so far: after a
// CheckLogin, whether that checked anything.
func (d *Dray) AsksForLogin(host string) bool { return d.base.Remote.Asks(host) }

func (c *Config) check() error {
	l := c.Limits
	if slices.Min([]int{l.Images, l.Blobs, l.Connections, l.Retries}) < 0 || l.Stall < 0 || l.MaxWait < 0 || l.Ahead < 0 || l.Bandwidth < 0 {
		return configFault("limits", fmt.Errorf("a negative limit; 0 takes the default"))
	}
	for name := range c.Registries {
		if name == "" || ref.LooksLikeHost(name) || strings.Contains(name, "/") {
			return configFault("registry "+name, fmt.Errorf("a registry's name has no dot, colon or slash and is not localhost"))
		}
	}
	if _, known := c.Registries[c.Default]; c.Default != "" && !known && !ref.LooksLikeHost(c.Default) {
		return configFault("default registry "+c.Default, fmt.Errorf("not one of the named registries"))
	}
	return nil
}

func configFault(name string, err error) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "configure", Name: name, Err: err}
}
