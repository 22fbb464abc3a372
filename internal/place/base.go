package place

import (
	"cmp"
	"context"
	"io"
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
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Base holds what all sessions of one Dray share. It does not change after it is made. For
// returns a copy that shares everything and works for another job.
type Base struct {
	// PerRange is how many names of a target repository are planned at a time; 0 is as many as survey likes.
	PerRange int

	Remote *remote.Client
	Engine *transfer.Engine
	// Here returns a registry inside this process; nil means that there are none.
	Here func(host string) (Local, bool)
	// Unnamed is a registry of Here whose name means nothing to anybody, such as that of a bundle. On disk, its images
	// have no host in their names. "" means that there is none.
	Unnamed string
	// Guard is called before tags are set, see Job.Guard; nil allows all.
	Guard func(context.Context, []plan.Step) error

	Words name.Words // how hints call the parts of a request

	// Gate is asked before an image moves; nil admits all.
	Gate gate.Gate
	// Gates returns a gate by the name that an entry of a list or a step of a plan has for it. nil means that there are
	// no such gates.
	Gates func(name string) (gate.Gate, error)
	// Subject returns what a document that is named by digest refers to, or "" if it is an image. The gate then decides
	// about its subject. nil means that each name by digest is an image.
	Subject func(context.Context, ref.Name) oci.Digest

	Ends   *ends.Reading // archives and directories that are read
	Output io.Writer     // for an archive that is the standard output; nil means that there is none

	Requests event.Requests // receives each exchange with a registry; nil ignores them

	Files Files // how many files this process may have open

	// Azure imports images into registries of Azure. Via says whether it is asked; "" leaves that to the settings of each
	// target.
	Azure *azure.Client
	Via   credential.Via
	// AcceptUnseen lets Azure import images that cannot be seen from here.
	AcceptUnseen bool

	Images  int           // number of images in flight at once; 0 leaves it to InFlight
	MaxWait time.Duration // the longest wait that is accepted when a registry asks for one

	// Foreign reads foreign layers, so that they are copied like all others. nil leaves them with their publishers.
	Foreign *foreign.Fetcher
	// Publishers is what Foreign is, or would be for a job that copies foreign layers.
	Publishers *foreign.Fetcher

	Proofs   *ledger.Proofs
	Refusals *ledger.Refusals
	Carried  *ledger.Carried
	Times    *ledger.Times
	Trims    *ledger.Trims
	Sparse   *ledger.Sparse
	Marks    *ledger.Marks
	Earlier  *ledger.Whereabouts // where earlier runs saw blobs; nil means that nothing is known
	Runs     *Runs               // divided runs of which this process carries out parts
}

// Draw is a request that is about to be sent to a registry with rate limits.
type Draw = remote.Draw

// Inside holds options that only programs of this module set.
type Inside struct {
	// Local returns the registry inside this process for a host, as names write the host. Such
	// registries are read and written without HTTP and without a login. nil means that there are
	// none.
	Local func(host string) (Local, bool)

	// Draw waits until a request may be sent to a registry with rate limits. It is for processes
	// that share these limits. If it is nil, this process keeps the limits alone.
	Draw func(ctx context.Context, d Draw) error

	// Publishers opens the connections to the publishers of foreign layers, without a check of the addresses. It is
	// for tests. nil dials public addresses only.
	Publishers foreign.Dial

	// Proxied is called with the HOST:PORT that a proxy from the environment will dial, because
	// Dial does not see that address. An error from Proxied ends the request. nil allows all.
	Proxied func(addr string) error

	// SignIn is the hint for a user who needs a login at a host. nil names dray login, which stores a
	// login for the processes of this machine.
	SignIn func(host string) string

	// PerRange is how many names of a target repository are planned at a time. It is for tests. 0 is 1000.
	PerRange int
}

// Job holds what is specific to one job of a server.
type Job struct {
	// Guard is called right before tags are set. Each call has the tags of one image in one
	// target repository, as steps, and Replaces in a step is the digest that the tag had. If
	// Guard returns an error, these tags stay as they are, and their steps fail with that error.
	// Guard is not called for content that is stored by digest, because that replaces nothing.
	// It is called for the tag under which a registry without the referrers API lists what refers to an
	// image. That step comes from the list, which is at the target, too.
	// Guard may be called from many goroutines at once. nil allows all.
	Guard func(context.Context, []plan.Step) error

	// Apart disables mounts from other repositories of a registry in which earlier runs saw a
	// blob. It is for servers that work for several principals with one login: a principal must
	// not get another one's content by naming its digest.
	Apart bool

	// Words are those that hints use for the parts of the request.
	Words name.Words

	// Hosts are those of registries by their names and aliases, and Default is the registry that an import goes to if
	// it names none. They precede what the configuration says, because names keep the meaning that they had where
	// the job was accepted. The zero values leave the configuration as it is.
	Hosts   map[string]string
	Default string

	// Via says who brings the blobs; "" leaves that to the configuration.
	Via credential.Via

	// AcceptUnseen lets Azure import images that cannot be seen from here.
	AcceptUnseen bool

	// IncludeForeign says whether foreign layers are copied; nil leaves it to the configuration.
	IncludeForeign *bool
}

// For returns a copy of b that shares everything with b and works for j.
func (b *Base) For(j Job) *Base {
	c := *b.Carrying(j.IncludeForeign)
	c.Guard, c.Words = j.Guard, j.Words
	c.Via, c.AcceptUnseen = cmp.Or(j.Via, b.Via), j.AcceptUnseen || b.AcceptUnseen
	if j.Apart {
		c.Earlier = nil
	}
	return &c
}

// Carrying returns a copy of b that shares everything with b, and copies foreign layers or leaves them; nil changes
// nothing.
func (b *Base) Carrying(include *bool) *Base {
	c := *b
	switch {
	case include == nil:
	case *include:
		c.Foreign = b.Publishers
	default:
		c.Foreign = nil
	}
	return &c
}

// ViaTo returns who brings blobs to the registry at host.
func (b *Base) ViaTo(host string) credential.Via {
	if _, here := b.Registry(host); here || b.Azure == nil {
		return credential.ViaDray
	}
	return cmp.Or(b.Via, b.Azure.Via(host), credential.ViaDray)
}

// InFlight returns how many images are copied at once.
func (b *Base) InFlight() int { return cmp.Or(b.Images, b.Files.AtOnce(32)) }

// Registry returns the registry inside this process at host, if there is one.
func (b *Base) Registry(host string) (Local, bool) {
	if b.Here == nil {
		return nil, false
	}
	return b.Here(host)
}

// Elsewhere reports whether repo is at a registry that is reached over its API.
func (b *Base) Elsewhere(repo ref.Repo) bool {
	_, here := b.Registry(repo.Host)
	return !here && !repo.IsLayout()
}

// Repositories lists the repositories of a registry inside or outside this process.
func (b *Base) Repositories(ctx context.Context, host string, use remote.Use, visit func(path string) error) error {
	if here, ok := b.Registry(host); ok {
		return here.Repositories(ctx, visit)
	}
	return b.Remote.Repositories(ctx, host, use, visit)
}

// ListsDigests reports whether a listing of tags also has their digests, and whether it has every
// tag.
func (b *Base) ListsDigests(host string) (tells, complete bool) {
	if _, here := b.Registry(host); here {
		return true, true
	}
	return b.Remote.ListsDigests(host)
}

// IsAbsent reports whether err proves that the repository does not exist.
func (b *Base) IsAbsent(repo ref.Repo, err error) bool {
	if _, here := b.Registry(repo.Host); here {
		return fault.Is(err, fault.NotFound)
	}
	return remote.IsAbsent(err)
}

// pulls returns the state of the pull limit of each registry in spent that has one. spent holds
// the number of pulls by host.
func (b *Base) pulls(spent map[string]int) map[string]report.Pulls {
	var all map[string]report.Pulls
	for host, n := range spent {
		budget, known := b.Remote.Budget(host)
		if !known {
			continue
		}
		p := report.Pulls{Spent: n, Limit: budget.Limit, Refills: report.Moment(budget.Resets)}
		if budget.Limit > 0 {
			p.Left = &budget.Remaining
		}
		if all == nil {
			all = map[string]report.Pulls{}
		}
		all[host] = p
	}
	return all
}
