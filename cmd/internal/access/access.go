package access

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
)

// Access authenticates and authorizes requests, with the state in a database. It is safe for
// concurrent use.
type Access struct {
	db       *store.DB
	vault    *Vault
	users    *htpasswd
	ca       *caFile
	roles    map[string]Role
	rules    []rule
	own      []string // names of the server's own registry
	hosts    map[string]string
	loopback bool
	marker   string
	clock    func() time.Time

	tokens atomic.Bool // a token exists or existed: from then on the principal Local has no access
	lost   atomic.Bool // the marker says so, and the database has no token
	mu     sync.Mutex
	used   map[string]time.Time // when the last use of a token was written, by the token's id
}

func (a *Access) now() time.Time { return a.clock().UTC().Truncate(time.Microsecond) }

// roleOf returns the role of a principal that did not show a token: a user or a certificate.
func (a *Access) roleOf(name string) Role {
	if role := a.roles[name]; role != "" {
		return role
	}
	return Reader
}

// dbFault returns an error of the database as a Fault. A Fault is returned as it is.
func dbFault(op, name string, err error) error {
	var f *fault.Fault
	if err == nil || errors.As(err, &f) {
		return err
	}
	kind, hint := fault.Unavailable, ""
	switch {
	case errors.Is(err, sql.ErrNoRows):
		kind, err = fault.NotFound, nil
		if verb, what, _ := strings.Cut(op, " "); verb == "revoke" || verb == "delete" {
			hint = "see " + shell.Dray("serve", what, "list")
		}
	case errors.Is(err, context.Canceled):
		kind = fault.Canceled
	}
	return &fault.Fault{Kind: kind, Op: op, Name: name, Err: err, Hint: hint}
}

// seal encrypts plain, and returns it in base64.
func (a *Access) seal(plain []byte, name string) (string, error) {
	sealed, err := a.vault.Seal(plain, name)
	return base64.StdEncoding.EncodeToString(sealed), err
}

// unseal decrypts text, which is in base64.
func (a *Access) unseal(text, name string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		changed := errors.New("the encrypted secret was changed")
		return nil, &fault.Fault{Kind: fault.Denied, Op: "open secret", Name: name, Err: changed}
	}
	return a.vault.Open(raw, name)
}
