package dray

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/azure"
	"github.com/drayage/dray/internal/ends"
	"github.com/drayage/dray/internal/foreign"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Settings says how dray talks to one registry. The zero Settings means HTTPS, the certificates of the
// system, and the product that the host name suggests.
type Settings = credential.Settings

// Create says what a push may create if it does not exist: the repository at Amazon ECR, or the project
// at Harbor. It is a field of [Settings].
type Create = credential.Create

// Via says who brings the blobs of images to a registry of Azure. It is a field of [Config] and of [Settings].
type Via = credential.Via

// The values of Via.
const (
	ViaDray  = credential.ViaDray
	ViaAzure = credential.ViaAzure
	ViaAuto  = credential.ViaAuto
)

// Allowance is a limit of a registry: a number of requests in a period.
type Allowance = credential.Allowance

// Registry is a registry that has a name in the configuration, such as "prod" in "prod/app:v1".
type Registry struct {
	Host string // "prod.example.com:5000"; it has a dot or a port, or is localhost

	// Aliases are other names, and other hosts, that mean this registry wherever a name is read. No two
	// registries have the same alias.
	Aliases []string

	Settings
}

// Config is the argument of [New]. The zero Config is usable: no logins, no named registries, the
// default limits.
type Config struct {
	// Registries are the registries that have a name, by this name. A name has no dot, colon or slash
	// and is not "localhost".
	Registries map[string]Registry

	// Default is the registry that an import copies to if the request names none: a name in
	// Registries or a host. "" means that there is none.
	Default string

	// Missing is the file from which the Registries would come, if it does not exist. Errors and notes
	// about names mention it. "" means that no file is missing.
	Missing string

	// Referrers is the choice of requests that make none. The zero value means that referrers travel
	// with each image that moves.
	Referrers plan.Referrers

	// Platforms is the choice of requests that make none. The zero value means all platforms. A request that
	// is to copy all the same has the form plan.Whole.
	Platforms plan.Platforms

	// Settings applies to every host that is not in Registries.
	Settings Settings

	// Logins finds the login for a registry, if the request does not contain one.
	Logins credential.Chain

	Limits    Limits
	UserAgent string // for the User-Agent header; default "dray"

	// StateDir is a directory in which dray records the uploads in progress, so that another process
	// can continue them if this one is killed, the images whose content was verified, and in which
	// repositories of a registry blobs are, so that they can be mounted into others. dray creates it
	// when needed, with access for its owner only. Many processes can share it. "" records nothing.
	// dray can do without the records: no copy fails because of them.
	StateDir string

	// Cloud is used to ask Amazon ECR's own API: for Settings.Create, for immutable tags, and for
	// listings with digests. If Cloud.Env is nil, dray does not ask that API. It also finds the identity that asks Azure
	// for imports, see Via.
	Cloud credential.Cloud

	// Gate is asked before an image moves, by every request that moves images; nil admits all. What it
	// does not admit is a step with the action plan.Refused, and stays where it is. A new name for an
	// image in its own repository is not a move.
	Gate gate.Gate

	// Gates returns a gate by the name that plan.Own.Gates has for it, and an error for an unknown name. nil means that
	// there are no such gates.
	Gates func(name string) (gate.Gate, error)

	// Input and Output are the standard input and output, for archives that are named "-", as in
	// "oci-archive:-". Without them such a name is an error. A Dray reads Input once.
	Input  io.Reader
	Output io.Writer

	// Requests receives each HTTP exchange with a registry after it has ended. nil ignores them.
	Requests event.Requests

	// IncludeForeign copies foreign layers too. These are layers, as in some images of Windows, that a manifest lists
	// with the URLs of their publisher. They are read from the repository if it has them, and else from these URLs,
	// without a login, and at public addresses only. false leaves them with their publisher, and only notes them.
	IncludeForeign bool

	// Via says who brings the blobs of images to targets that are registries of Azure: dray, Azure, or Azure if it can.
	// It precedes Settings.Via; "" leaves it to that. An identity that Cloud finds asks Azure, and not a login for
	// the registry. What Azure has imported is looked for at the target, all of it, before its tags are set.
	Via Via

	// AcceptUnseen lets Azure import images whose source cannot be seen from here, by their tags. What arrived is looked
	// at as a whole, but it cannot be compared with the source. Without it, such an image is fault.Refused. Gates admit
	// none of these images.
	AcceptUnseen bool

	// Dial opens network connections; nil means the network of the system.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Limits bounds the work of one [Dray]. A zero field means its default. A negative field is an error
// of [New], [fault.Invalid].
type Limits struct {
	// Images is how many images are copied at the same time. The default is 32, and 1 for a
	// TransferRequest with a Delay.
	Images int

	// Blobs is how many blobs are copied at the same time, over all images. The default is 32. Small
	// blobs, and blobs for slow targets, may be copied in addition to these.
	Blobs int

	// Connections is how many blob bodies are transferred at the same time, for each registry host and
	// direction. 0 begins with 32 and increases up to 64 as long as this makes the transfer faster.
	Connections int

	// Files is how many files and connections this process may have open at the same time, where that
	// is less than 400. The defaults of Images, Blobs and Connections are then smaller, down to 1
	// with 24 files, and so is the number of requests that a registry gets at once. 0 means that it is
	// no limit.
	Files int

	// Retries is how often one operation is tried without progress. The default is 8.
	Retries int

	// Stall is how long a request may transfer no byte before it is canceled and resumed. The default
	// is 30 seconds.
	Stall time.Duration

	// FirstByte is how long a registry may take until its answer begins, after a request was sent.
	// Each attempt that gets no answer doubles the time, up to 5 minutes. The default is Stall.
	// Settings.FirstByte replaces it for one registry.
	FirstByte time.Duration

	// MaxWait is the longest wait that a registry may ask for. The default is 10 minutes. If it asks
	// for more, the error is [fault.Throttled].
	MaxWait time.Duration

	// Ahead is the memory in bytes, over all images, for the parts of large blobs that are read before
	// they can be sent. This memory allows a blob to be read over several connections at the same
	// time. The default is 64 MiB. With less than 3 MiB, each blob is read over a single connection.
	Ahead int64

	// Bandwidth is the maximum rate in bytes per second at which blobs are sent, over all images and
	// targets; 0 means no limit. Reading has no limit of its own, but it is at most Ahead bytes ahead
	// of sending.
	Bandwidth int64
}

// Dray copies images. It holds the connections, the tokens and the limits that all its methods share,
// so a program usually has one of them. [New] makes it. Its methods are safe for concurrent use.
type Dray struct {
	base  *place.Base
	names *name.Reader

	referrers plan.Referrers // the choice of requests that make none
	platforms plan.Platforms // the same
}

// New returns a Dray for c. It makes no requests and reads only the certificate files that c names.
// The error is [fault.Invalid] if c is not valid.
func New(c Config) (*Dray, error) { return NewWith(c, place.Inside{}) }

// NewWith is [New] for the programs of this module, which can set more than a Config holds.
func NewWith(c Config, in place.Inside) (*Dray, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	settings, names, err := c.registries()
	if err != nil {
		return nil, err
	}
	few := place.Files(c.Limits.Files)
	var ecr *credential.ECRRepositories
	if c.Cloud.Env != nil {
		ecr = credential.ECR{Cloud: c.Cloud}.Repositories()
	}
	client, err := remote.New(remote.Options{
		Logins:      c.Logins,
		Hosts:       settings,
		Default:     c.Settings,
		UserAgent:   c.UserAgent,
		ECR:         ecr,
		Dial:        c.Dial,
		Proxied:     in.Proxied,
		SignIn:      in.SignIn,
		Draw:        in.Draw,
		Connections: cmp.Or(c.Limits.Connections, few.Bodies()),
		Asks:        few.Asks(),
		Retries:     c.Limits.Retries,
		Stall:       c.Limits.Stall,
		FirstByte:   c.Limits.FirstByte,
		MaxWait:     c.Limits.MaxWait,
		Uploads:     ledger.NewUploads(c.StateDir),
	})
	if err != nil {
		return nil, err
	}
	engine := transfer.New(transfer.Options{
		Blobs: cmp.Or(c.Limits.Blobs, few.Bodies()), Retries: c.Limits.Retries,
		Ahead: c.Limits.Ahead, Bandwidth: c.Limits.Bandwidth,
	})
	publishers := c.publishers(in)
	var carried *foreign.Fetcher
	if c.IncludeForeign {
		carried = publishers
	}
	return &Dray{
		base: &place.Base{
			Foreign:    carried,
			Publishers: publishers,

			Remote:   client,
			Engine:   engine,
			Ends:     &ends.Reading{Input: c.Input},
			Output:   c.Output,
			Requests: c.Requests,
			Azure:    c.azure(settings),
			Via:      c.Via,

			AcceptUnseen: c.AcceptUnseen,
			Gate:         c.Gate,
			Gates:        c.Gates,
			Here:         in.Local,
			PerRange:     in.PerRange,
			Images:       c.Limits.Images,
			Files:        few,
			MaxWait:      cmp.Or(c.Limits.MaxWait, 10*time.Minute),
			Proofs:       ledger.NewProofs(c.StateDir),
			Refusals:     ledger.NewRefusals(c.StateDir),
			Carried:      ledger.NewCarried(c.StateDir),
			Times:        ledger.NewTimes(c.StateDir),
			Trims:        ledger.NewTrims(c.StateDir),
			Sparse:       ledger.NewSparse(c.StateDir),
			Marks:        ledger.NewMarks(c.StateDir),
			Earlier:      ledger.NewWhereabouts(c.StateDir),
			Runs:         &place.Runs{},
		},
		names: &name.Reader{Hosts: names, Default: c.Default, Missing: c.Missing, Pin: client.Pin},

		referrers: c.Referrers,
		platforms: c.Platforms,
	}, nil
}

// azure returns what imports images into registries of Azure. settings are those of the registries by their hosts.
func (c Config) azure(settings map[string]credential.Settings) *azure.Client {
	return azure.New(azure.Options{
		Settings:   func(host string) credential.Settings { return settings[host] },
		Tokens:     credential.Azure{Cloud: c.Cloud}.Managers(),
		Dial:       c.Dial,
		UserAgent:  c.UserAgent,
		MaxWait:    cmp.Or(c.Limits.MaxWait, 10*time.Minute),
		Operations: ledger.NewOperations(c.StateDir),
	})
}

// publishers returns what reads foreign layers.
func (c Config) publishers(in place.Inside) *foreign.Fetcher {
	if in.Publishers != nil {
		return foreign.Unchecked(in.Publishers)
	}
	return foreign.New(c.Dial)
}

// Choices returns what a request copies that makes these choices: what they leave open is as in Config.Referrers and
// Config.Platforms.
func (d *Dray) Choices(r plan.Referrers, p plan.Platforms) (plan.Referrers, plan.Platforms) {
	return r.Or(d.referrers), p.Or(d.platforms)
}

// For returns a Dray that shares everything with d and works for one job of dray's server.
func (d *Dray) For(j place.Job) *Dray {
	names := *d.names
	names.Words = j.Words
	if len(j.Hosts) > 0 {
		names.Hosts = maps.Clone(names.Hosts)
		maps.Copy(names.Hosts, j.Hosts)
	}
	names.Default = cmp.Or(j.Default, names.Default)
	return &Dray{base: d.base.For(j), names: &names, referrers: d.referrers, platforms: d.platforms}
}

// Close closes the idle connections of d, and the archives that it read.
func (d *Dray) Close() {
	d.base.Remote.Close()
	_ = d.base.Ends.Close() // nothing depends on what was only read
	d.base.Publishers.Close()
	d.base.Azure.Close()
}

// Allowances returns the limits that the registry at host is known to have: those that its operator
// publishes, or that of Settings.RequestsPerSecond. nil means that none is known.
func (d *Dray) Allowances(host string) []Allowance { return d.base.Remote.Allowances(host) }

// Host returns the canonical host of a registry. name is a key of Config.Registries, an alias, or a host as
// people type it, with or without "https://". The error is [fault.Invalid].
func (d *Dray) Host(name string) (string, error) { return d.names.Host(name) }

// Name returns the canonical form of a full name as people type it. Its first component may be a key of
// Config.Registries, or an alias: "prod/app:v1". A name without a registry, such as "team/app", is one of
// Docker Hub, unless side is [fault.Target]: then it is an error. The error is [fault.Invalid].
func (d *Dray) Name(s string, side fault.Side) (ref.Name, error) { return d.names.Parse(s, side) }

// RegistryHost returns the canonical host of a registry that is named as the az acr commands name it:
// a key of Config.Registries, a login server, the name of an Azure container registry, or an ARM
// resource ID, which means that registry's login server. "" means Config.Default. side is the side of the
// errors. obs gets a note if an Azure container registry is named that is not configured. If its name
// resembles one in Config.Registries, that is an error. The error is [fault.Invalid].
func (d *Dray) RegistryHost(name string, side fault.Side, obs event.Observer) (string, error) {
	return d.names.Noting(obs).RegistryHost(name, side)
}

// CheckLogin asks the registry at host whether it accepts login, and returns the login to store. For a
// Microsoft Entra token, this is the registry's refresh token that dray exchanged it for; otherwise it
// is login itself. The error is [fault.Denied] if the registry does not accept login.
func (d *Dray) CheckLogin(ctx context.Context, host string, login credential.Login) (credential.Login, error) {
	return d.base.Remote.Check(ctx, host, login)
}

// AsksForLogin reports whether the registry at host has asked for a login so far. If it is false after
// [Dray.CheckLogin], the registry does not check logins, and CheckLogin proved nothing.
func (d *Dray) AsksForLogin(host string) bool { return d.base.Remote.Asks(host) }

func (c *Config) check() error {
	l := c.Limits
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"Images", int64(l.Images)}, {"Blobs", int64(l.Blobs)}, {"Connections", int64(l.Connections)},
		{"Retries", int64(l.Retries)}, {"Stall", int64(l.Stall)}, {"FirstByte", int64(l.FirstByte)},
		{"MaxWait", int64(l.MaxWait)},
		{"Ahead", l.Ahead}, {"Bandwidth", l.Bandwidth},
	} {
		if limit.value < 0 {
			return configFault("Limits."+limit.name, fmt.Errorf("%d is negative; 0 means the default", limit.value))
		}
	}
	if err := cmp.Or(c.Referrers.Check(), c.Platforms.Check()); err != nil {
		return err
	}
	if c.Via != "" && !c.Via.Known() {
		return configFault("Via", fmt.Errorf("%q is not dray, azure or auto", c.Via))
	}
	for name := range c.Registries {
		if name == "" || ref.LooksLikeHost(name) || strings.Contains(name, "/") {
			err := errors.New("the name of a registry cannot contain a dot, a colon or a slash, or be localhost")
			return configFault("registry "+name, err)
		}
	}
	return nil
}

// registries returns the settings of the registries by their hosts, and their hosts by their names and
// aliases.
func (c *Config) registries() (settings map[string]credential.Settings, names map[string]string, err error) {
	settings, names = make(map[string]credential.Settings, len(c.Registries)), make(map[string]string, len(c.Registries))
	for name, r := range c.Registries {
		host, err := ref.Host(r.Host)
		if err == nil && !ref.LooksLikeHost(host) {
			err = errors.New("the host " + host + " has no dot and no port, so names cannot begin with it; add the port")
		}
		if err != nil {
			return nil, nil, configFault(name, err)
		}
		settings[host], names[name] = r.Settings, host
	}
	for name, r := range c.Registries {
		for _, alias := range r.Aliases {
			if ref.LooksLikeHost(alias) {
				if alias, err = ref.Host(alias); err != nil {
					return nil, nil, configFault(name, err)
				}
			}
			_, named := names[alias]
			if _, taken := settings[alias]; alias == "" || strings.Contains(alias, "/") || named || taken {
				err := fmt.Errorf("the alias %q is not a name, or is the name or the host of a registry already", alias)
				return nil, nil, configFault(name, err)
			}
			names[alias] = names[name]
		}
	}
	if _, known := names[c.Default]; c.Default != "" && !known && !ref.LooksLikeHost(c.Default) {
		err := errors.New("not a host and not one of the configured registries")
		return nil, nil, configFault("default registry "+c.Default, err)
	}
	return settings, names, nil
}

func configFault(name string, err error) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "configure", Name: name, Err: err}
}
