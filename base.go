package dray

import (
	"context"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// base is what all sessions of one Dray share. It is made once and not changed; a copy works
// for somebody else beside it.
type base struct {
	remote *remote.Client
	engine *transfer.Engine
	here   func(host string) (Local, bool)          // registries of this process; nil is none
	guard  func(context.Context, []plan.Step) error // asked before names are set; nil is nobody

	images  int           // in flight
	maxWait time.Duration // the longest wait that a registry may ask for

	proofs  *ledger.Proofs
	times   *ledger.Times
	marks   *ledger.Marks
	earlier *ledger.Whereabouts // where earlier runs saw blobs; nil is not known
}

func (b *base) begin(source, target *credential.Login, obs event.Observer) *session {
	return &session{
		base: b, watch: obs,
		mounts: map[ref.Repo][]string{}, docs: map[oci.Digest]oci.Document{}, pulled: map[string]int{}, backs: map[place]*transfer.Back{}, traffic: map[string]Traffic{}, places: map[opened]place{}, layouts: map[opened]*layout.Dir{},
		logins: map[fault.Side]*credential.Login{fault.Source: source, fault.Target: target},
	}
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
func (b *base) For(j Job) *base {
	c := *b
	c.guard = j.Guard
	if j.Apart {
		c.earlier = nil
	}
	return &c
}
