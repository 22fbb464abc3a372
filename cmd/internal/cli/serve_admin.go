package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

// office is where tokens, secrets and the audit log of a server are looked after: the server, as
// its admin, or its database, as whoever is at the machine.
type office interface {
	makeToken(context.Context, wire.Token) (credential.Secret, wire.Token, error)
	tokens(context.Context) ([]wire.Token, error)
	revokeToken(ctx context.Context, id string) error
	putSecret(ctx context.Context, id, place string, l credential.Login) error
	secrets(context.Context) ([]wire.Secret, error)
	deleteSecret(ctx context.Context, id string) error
	entries(ctx context.Context, after int64) (all []wire.Entry, next int64, err error)
	verify(context.Context) error
}

// inOffice calls do with the office that the flags name: a directory or database that a flag names,
// else a server, else the directory that serve would take.
func (a *app) inOffice(cmd *cobra.Command, f placeFlags, do func(context.Context, office) error) error {
	ctx := cmd.Context()
	if !f.given() {
		c, err := a.client(ctx)
		if err != nil {
			return err
		}
		if c != nil {
			defer c.Close()
			return reach(do(ctx, counter{c}))
		}
	}
	c, err := a.serverConfig(cmd, serveFlags{placeFlags: f})
	if err != nil {
		return err
	}
	acc, done, err := server.OpenAccess(ctx, c)
	if fault.Is(err, fault.Conflict) && strings.Contains(err.Error(), "another process holds it") {
		err = withHint(err, "a server runs there: ask it with --server URL, as an admin")
	}
	if err != nil {
		return err
	}
	defer done()
	return do(ctx, desk{acc})
}

// desk is the office at the machine.
type desk struct{ *access.Access }

func (d desk) makeToken(ctx context.Context, t wire.Token) (credential.Secret, wire.Token, error) {
	t.By = access.Local
	return d.NewToken(ctx, t)
}
func (d desk) tokens(ctx context.Context) ([]wire.Token, error) { return d.Tokens(ctx) }
func (d desk) revokeToken(ctx context.Context, id string) error {
	return d.RevokeToken(ctx, access.Local, id)
}
func (d desk) putSecret(ctx context.Context, id, place string, l credential.Login) error {
	return d.PutSecret(ctx, access.Local, id, place, l)
}
func (d desk) secrets(ctx context.Context) ([]wire.Secret, error) { return d.Secrets(ctx) }
func (d desk) deleteSecret(ctx context.Context, id string) error {
	return d.DeleteSecret(ctx, access.Local, id)
}
func (d desk) entries(ctx context.Context, after int64) ([]wire.Entry, int64, error) {
	all, err := d.Entries(ctx, after, 0)
	if err != nil || len(all) == 0 {
		return nil, 0, err
	}
	return all, all[len(all)-1].Seq, nil
}
func (d desk) verify(ctx context.Context) error { return d.Verify(ctx) }

// counter is the office at a server.
type counter struct{ *client.Client }

func (c counter) makeToken(ctx context.Context, t wire.Token) (credential.Secret, wire.Token, error) {
	made, err := c.MakeToken(ctx, wire.NewToken{Name: t.Name, Principal: t.Principal, Role: t.Role, Expires: t.Expires})
	return credential.New(made.Secret), made.Token, err
}
func (c counter) tokens(ctx context.Context) ([]wire.Token, error) { return c.Tokens(ctx) }
func (c counter) revokeToken(ctx context.Context, id string) error { return c.RevokeToken(ctx, id) }
func (c counter) putSecret(ctx context.Context, id, place string, l credential.Login) error {
	scheme := string(l.Scheme)
	if l.Scheme == credential.Basic {
		scheme = "basic"
	}
	return c.PutSecret(ctx, id, wire.PutSecret{Place: place, Scheme: scheme, User: l.User, Password: l.Password.Reveal()})
}
func (c counter) secrets(ctx context.Context) ([]wire.Secret, error) { return c.Secrets(ctx) }
func (c counter) deleteSecret(ctx context.Context, id string) error  { return c.DeleteSecret(ctx, id) }
func (c counter) entries(ctx context.Context, after int64) ([]wire.Entry, int64, error) {
	return c.Audit(ctx, after)
}
func (c counter) verify(ctx context.Context) error {
	v, err := c.VerifyAudit(ctx)
	if err == nil && !v.Whole {
		err = &fault.Fault{Kind: fault.Corrupt, Op: "verify audit log", Name: v.Problem, Hint: "compare with an export or a backup"}
	}
	return err
}
