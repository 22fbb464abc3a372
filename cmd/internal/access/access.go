package access

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// Access is safe for concurrent use.
type Access struct {
	db       *store.DB
	vault    *Vault
	users    *htpasswd
	ca       *caFile
	roles    map[string]Role
	rules    []rule
	loopback bool
	clock    func() time.Time

	tokens atomic.Bool // a token was seen: Local is gone for good
	mu     sync.Mutex
	used   map[string]time.Time // when a token's last use was written
}

func (a *Access) now() time.Time { return a.clock().UTC().Truncate(time.Microsecond) }

// roleOf is the role of who came without a token.
func (a *Access) roleOf(name string) Role {
	if role := a.roles[name]; role != "" {
		return role
	}
	return Reader
}

// dbFault gives a database's error our form; what the store already said stays as it is.
func dbFault(op, name string, err error) error {
	var f *fault.Fault
	if err == nil || errors.As(err, &f) {
		return err
	}
	kind := fault.Unavailable
	switch {
	case errors.Is(err, sql.ErrNoRows):
		kind, err = fault.NotFound, nil
	case errors.Is(err, context.Canceled):
		kind = fault.Canceled
	}
	return &fault.Fault{Kind: kind, Op: op, Name: name, Err: err}
}
