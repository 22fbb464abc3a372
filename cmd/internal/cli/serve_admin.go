package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

// Office is where tokens, secrets and the audit log of a server are looked after: the server, as
// its admin, or its database, as whoever is at the machine.
type Office interface {
	MakeToken(context.Context, wire.NewToken) (wire.MadeToken, error)
	Tokens(context.Context) ([]wire.Token, error)
	RevokeToken(ctx context.Context, id string) error
	PutSecret(ctx context.Context, id, place string, l credential.Login) error
	Secrets(context.Context) ([]wire.Secret, error)
	DeleteSecret(ctx context.Context, id string) error
	Entries(ctx context.Context, after int64) (all []wire.Entry, next int64, err error)
	Verify(context.Context) error
}

// inOffice calls do with the office that the flags name: a directory or database that a flag names,
// else a server, else the directory that serve would take.
func (a *app) inOffice(cmd *cobra.Command, f PlaceFlags, do func(context.Context, Office) error) error {
	in, err := a.officeOf(cmd, f)
	if err != nil {
		return err
	}
	return in(do)
}

// officeOf finds the office and does not enter it yet.
func (a *app) officeOf(cmd *cobra.Command, f PlaceFlags) (in func(do func(context.Context, Office) error) error, err error) {
	ctx := cmd.Context()
	if !f.given() {
		c, err := a.client(ctx)
		if err != nil {
			return nil, err
		}
		if c != nil {
			return func(do func(context.Context, Office) error) error {
				defer c.Close()
				return reach(do(ctx, counter{c}))
			}, nil
		}
	}
	here, err := a.serving(ctx)
	if err != nil {
		return nil, err
	}
	return func(do func(context.Context, Office) error) error {
		s, err := a.serverSetup(cmd, ServeFlags{PlaceFlags: f})
		if err != nil {
			return err
		}
		o, done, err := here.Office(ctx, s)
		if fault.Is(err, fault.Conflict) && strings.Contains(err.Error(), "another process holds it") {
			err = withHint(err, "a server runs there: ask it with --server URL, as an admin")
		}
		if err != nil {
			return err
		}
		defer done()
		return do(ctx, o)
	}, nil
}

// counter is the office at a server.
type counter struct{ *client.Client }

func (c counter) PutSecret(ctx context.Context, id, place string, l credential.Login) error {
	scheme := string(l.Scheme)
	if l.Scheme == credential.Basic {
		scheme = "basic"
	}
	return c.Client.PutSecret(ctx, id, wire.PutSecret{Place: place, Scheme: scheme, User: l.User, Password: l.Password.Reveal()})
}

func (c counter) Entries(ctx context.Context, after int64) ([]wire.Entry, int64, error) {
	return c.Audit(ctx, after)
}

func (c counter) Verify(ctx context.Context) error {
	v, err := c.VerifyAudit(ctx)
	if err == nil && !v.Whole {
		err = &fault.Fault{Kind: fault.Corrupt, Op: "verify audit log", Name: v.Problem, Hint: "compare with an export or a backup"}
	}
	return err
}
