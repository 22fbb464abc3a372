package place

import (
	"context"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Base is what all sessions of one Dray share. It is made once and not changed; a copy works
// for somebody else beside it.
type Base struct {
	Remote *remote.Client
	Engine *transfer.Engine
	Here   func(host string) (Local, bool)          // registries of this process; nil is none
	Guard  func(context.Context, []plan.Step) error // asked before names are set; nil is nobody

	Requests event.Requests // told of each exchange with a registry; nil is nobody

	Images  int           // in flight
	MaxWait time.Duration // the longest wait that a registry may ask for

	Proofs  *ledger.Proofs
	Times   *ledger.Times
	Marks   *ledger.Marks
	Earlier *ledger.Whereabouts // where earlier runs saw blobs; nil is not known
}

// Draw is one request on its way to a registry that limits them.
type Draw = remote.Draw

// Inside is what only programs of this module set.
type Inside struct {
	// Local gives the registries that are in this process, by host as names say it. They
	// are read and written without HTTP, and nobody is asked for a login; nil is none.
	Local func(host string) (Local, bool)

	// Draw waits until a request may be sent to a registry that limits them, for processes
	// that share its limits; nil keeps to them in this process alone.
	Draw func(ctx context.Context, d Draw) error

	// Proxied is asked about the HOST:PORT that a proxy of the environment is to dial, which
	// Dial does not see; its error ends the request. nil asks nobody.
	Proxied func(addr string) error
}

// Job is for whom a Dray works, where that is one job of a server.
type Job struct {
	// Guard is asked right before names are set, those of one image in one target repository
	// at a time. The steps are those of the names: Replaces is what each held. Where it
	// returns an error, these names are left as they are, and the error is that of their
	// steps. Content by digest arrives unguarded: it takes nothing from anybody. Guard may be
	// called from many goroutines; nil is nobody.
	Guard func(context.Context, []plan.Step) error

	// Apart leaves out what earlier runs saw in other repositories of a registry, and mounts
	// nothing from there. It is for those who work for several principals with one login:
	// who names a digest does not get what another has.
	Apart bool
}

// For returns a base that shares everything with b and works for j.
func (b *Base) For(j Job) *Base {
	c := *b
	c.Guard = j.Guard
	if j.Apart {
		c.Earlier = nil
	}
	return &c
}

// Registry is the registry of this process at host, if there is one.
func (b *Base) Registry(host string) (Local, bool) {
	if b.Here == nil {
		return nil, false
	}
	return b.Here(host)
}

// Elsewhere reports whether repo is behind a registry's API.
func (b *Base) Elsewhere(repo ref.Repo) bool {
	_, here := b.Registry(repo.Host)
	return !here && !repo.IsLayout()
}

// Repositories lists a registry, wherever it is.
func (b *Base) Repositories(ctx context.Context, host string, use remote.Use, visit func(path string) error) error {
	if here, ok := b.Registry(host); ok {
		return here.Repositories(ctx, visit)
	}
	return b.Remote.Repositories(ctx, host, use, visit)
}

// ListsDigests reports whether a listing of tags tells their digests, and tells of every tag.
func (b *Base) ListsDigests(host string) (tells, complete bool) {
	if _, here := b.Registry(host); here {
		return true, true
	}
	return b.Remote.ListsDigests(host)
}

// IsAbsent reports whether err says for certain that there is no such repository.
func (b *Base) IsAbsent(repo ref.Repo, err error) bool {
	if _, here := b.Registry(repo.Host); here {
		return fault.Is(err, fault.NotFound)
	}
	return remote.IsAbsent(err)
}

// Deleter opens a repository to take something away from it.
func (b *Base) Deleter(repo ref.Repo, use remote.Use) (interface {
	Resolve(ctx context.Context, reference string) (oci.Descriptor, error)
	Delete(ctx context.Context, reference string, tags ...string) error
}, error) {
	if here, ok := b.Registry(repo.Host); ok {
		return here.Open(repo)
	}
	return b.Remote.Open(repo, use), nil
}

// pulls says what each registry with a pull limit has left, of those where pulls were spent.
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
