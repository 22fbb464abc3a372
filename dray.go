// Package dray imports, copies and re-tags container images and other OCI
// artifacts between registries, byte for byte, without Docker.
//
// Every verb is a plan: PlanImport, PlanCopy and PlanTag look at both ends and
// return a Plan; Apply carries one out. Nothing is written before Apply. A Plan
// can be printed, written to a file, read back and applied later: it moves
// exactly the digests that it names, or refuses. Whole registries are planned and
// transferred as streams, by PlanTransfer and Transfer; ApplyFile carries out a plan
// while it is read.
//
// The package prints nothing and logs nothing. What happens is told to an
// event.Observer; what went wrong is a *fault.Fault, whose Kind says what a
// caller can do about it.
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
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Settings are how one registry is spoken to. The zero Settings are https, the
// system's certificates, and what its host name tells of its kind.
type Settings = credential.Settings

// Create says in Settings what a push may make where it meets nothing: ECR's
// repository, Harbor's project.
type Create = credential.Create

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

	// Local gives the registries that are in this process, by host as names say it. They
	// are read and written without HTTP, and nobody is asked for a login; nil is none.
	Local func(host string) (Local, bool)

	// Draw waits until a request may be sent to a registry that limits them, for processes
	// that share its limits; nil keeps to them in this process alone.
	Draw func(ctx context.Context, d Draw) error

	// Dial opens connections; nil means the system's network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Proxied is asked about the HOST:PORT that a proxy of the environment is to dial, which
	// Dial does not see; its error ends the request. nil asks nobody.
	Proxied func(addr string) error
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
	config Config
	remote *remote.Client
	engine *transfer.Engine
	images int

	maxWait time.Duration
	proofs  *ledger.Proofs
	times   *ledger.Times
	marks   *ledger.Marks
	guard   func(context.Context, []plan.Step) error // asked before names are set; nil is nobody
	earlier *ledger.Whereabouts                      // where earlier runs saw blobs; nil is not known
}

// New checks c and wires the parts together. It does no I/O but for the certificate files that c names.
func New(c Config) (*Dray, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	hosts := make(map[string]credential.Settings, len(c.Registries))
	for name, r := range c.Registries {
		host, err := ref.Host(r.Host)
		if err != nil {
			return nil, configFault(name, err)
		}
		r.Host = host
		c.Registries[name] = r
		hosts[host] = r.Settings
	}
	var ecr *credential.ECRRepositories
	if c.Cloud.Env != nil {
		ecr = credential.ECR{Cloud: c.Cloud}.Repositories()
	}
	client, err := remote.New(remote.Options{
		Logins: c.Logins, Hosts: hosts, Default: c.Settings, UserAgent: c.UserAgent, ECR: ecr, Dial: c.Dial, Proxied: c.Proxied, Draw: c.Draw,
		Connections: c.Limits.Connections, Retries: c.Limits.Retries, Stall: c.Limits.Stall, MaxWait: c.Limits.MaxWait,
		Uploads: ledger.NewUploads(c.StateDir),
	})
	if err != nil {
		return nil, err
	}
	images := c.Limits.Images
	if images == 0 {
		images = 32
	}
	engine := transfer.New(transfer.Options{
		Blobs: c.Limits.Blobs, Retries: c.Limits.Retries, Ahead: c.Limits.Ahead, Bandwidth: c.Limits.Bandwidth,
	})
	return &Dray{config: c, remote: client, engine: engine, images: images, maxWait: cmp.Or(c.Limits.MaxWait, 10*time.Minute),
		proofs: ledger.NewProofs(c.StateDir), times: ledger.NewTimes(c.StateDir), marks: ledger.NewMarks(c.StateDir), earlier: ledger.NewWhereabouts(c.StateDir)}, nil
}

// Draw is one request on its way, for Config.Draw.
type Draw = remote.Draw

// Allowance is so many requests in so much time.
type Allowance = credential.Allowance

// Allowances tells what the registry at host is known to allow: what it publishes, or what
// Settings.RequestsPerSecond says. nil is nothing known.
func (d *Dray) Allowances(host string) []Allowance { return d.remote.Allowances(host) }

// Close lets idle connections go.
func (d *Dray) Close() { d.remote.Close() }

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
