package server

import (
	"context"
	"errors"
	"os"

	"github.com/drayage/dray/cmd/internal/access"
)

// OpenAccess opens what a server knows about who may do what, for a person at its machine: where
// the database is a file, no server runs meanwhile, which is Conflict. done closes it.
func OpenAccess(ctx context.Context, c Config) (a *access.Access, done func() error, err error) {
	if c, err = c.filled(); err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, nil, dataFault(c.Data, err)
	}
	p := &parts{config: c}
	if err := p.openAccess(ctx); err != nil {
		return nil, nil, errors.Join(err, p.close())
	}
	return p.access, p.close, nil
}
