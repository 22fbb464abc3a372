package serving

import (
	"context"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
)

// opening returns a function that opens the data of a server with open. It fails if a server uses the data.
func opening(
	open func(context.Context, server.Config) (*access.Access, func() error, error),
) func(context.Context, app.Setup) (app.Office, func() error, error) {
	return func(ctx context.Context, s app.Setup) (app.Office, func() error, error) {
		c, err := configOf(s)
		if err != nil {
			return nil, nil, err
		}
		acc, done, err := open(ctx, c)
		if err != nil {
			return nil, nil, err
		}
		return desk{acc}, done, nil
	}
}

// desk is the Office that works on the data itself.
type desk struct{ *access.Access }

func (d desk) MakeToken(ctx context.Context, n wire.NewToken) (wire.MadeToken, error) {
	secret, t, err := d.NewToken(ctx, wire.Token{
		Name:      n.Name,
		Principal: n.Principal,
		Role:      n.Role,
		Expires:   n.Expires,
		By:        access.Local,
	})
	return wire.MadeToken{Token: t, Secret: secret.Reveal()}, err
}

func (d desk) RevokeToken(ctx context.Context, id string) error {
	return d.Access.RevokeToken(ctx, access.Local, id)
}

func (d desk) PutSecret(ctx context.Context, id, place string, l credential.Login) error {
	return d.Access.PutSecret(ctx, access.Local, id, place, l)
}

func (d desk) DeleteSecret(ctx context.Context, id string) error {
	return d.Access.DeleteSecret(ctx, access.Local, id)
}

func (d desk) Entries(ctx context.Context, after int64) ([]wire.Entry, int64, error) {
	all, err := d.Access.Entries(ctx, after, 0)
	if err != nil || len(all) == 0 {
		return nil, 0, err
	}
	return all, all[len(all)-1].Seq, nil
}
