// Package access decides who may do what at a server, and keeps what that takes.
//
// Authenticate finds the Principal behind a request: an API token, a user of an htpasswd
// file, a client certificate, or, where nobody is configured and the server listens on
// loopback alone, the person at the machine. Allow holds what a principal asks for against
// its role and the rules, and denies what none of them grants. A Vault seals secrets, Lookup
// hands out the logins that are stored under it, an Egress says which addresses may be
// dialled, and the audit log chains what was done.
//
// Nothing is granted by a fault: what can not be read, verified or decided is Denied.
package access

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// What REST tells of who may ask is declared in package wire.
type (
	Role   = wire.Role
	Via    = wire.Via
	Token  = wire.Token
	Secret = wire.Secret
	Entry  = wire.Entry
)

// Roles, the least first.
const (
	Reader    = wire.Reader
	Submitter = wire.Submitter
	Admin     = wire.Admin
)

// Ways in which a principal shows who it is.
const (
	ViaToken       = wire.ViaToken
	ViaHtpasswd    = wire.ViaHtpasswd
	ViaCertificate = wire.ViaCertificate
	ViaLoopback    = wire.ViaLoopback
	ViaNothing     = wire.ViaNothing
)

// Names that nobody can take: they are what Authenticate makes up.
const (
	Local     = "local"     // the admin at the machine
	Anonymous = "anonymous" // a Reader
)

// Principal is who asks. The zero Principal may nothing.
type Principal struct {
	Name  string
	Role  Role
	Via   Via
	Token string // id of the API token behind it, or ""

	until time.Time // the end of what nobody can ask about later; zero where somebody can
}

// Admin reports whether p may do everything.
func (p Principal) Admin() bool { return p.Role == Admin }

// Config is what Open needs: DB and Vault are required.
type Config struct {
	DB    *store.DB
	Vault *Vault

	Htpasswd string // path of a file with bcrypt hashes, read again when it changes; "" for none
	ClientCA string // path of PEM certificates that sign clients', read again when it changes; "" for none

	// Roles are those of htpasswd's users and of certificates, by the principal's name;
	// who is not here is a Reader.
	Roles map[string]Role
	Rules []Rule

	// Loopback says that every listener of the server is bound to loopback. Then, and while
	// there is no token, no htpasswd file and no CA, requests from this machine are Local's.
	Loopback bool

	Clock func() time.Time // nil is time.Now
}

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

// Open checks c, brings the tables up to date and re-seals with the newest key what an
// older one sealed. Errors are Invalid for a bad rule, role or file, Conflict when the
// database was sealed by keys that c.Vault lacks, and those of the database.
func Open(ctx context.Context, c Config) (*Access, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	a := &Access{db: c.DB, vault: c.Vault, roles: c.Roles, loopback: c.Loopback, clock: c.Clock, used: map[string]time.Time{}}
	for name, role := range c.Roles {
		if !role.Known() {
			return nil, &fault.Fault{Kind: fault.Invalid, Op: "read role of", Name: name, Hint: "reader, submitter or admin", Err: errors.New("no such role: " + string(role))}
		}
	}
	var err error
	if a.rules, err = compile(c.Rules); err != nil {
		return nil, err
	}
	if c.Htpasswd != "" {
		a.users = newHtpasswd(c.Htpasswd)
		if _, err := a.users.current(); err != nil {
			return nil, err
		}
	}
	if c.ClientCA != "" {
		a.ca = &caFile{path: c.ClientCA}
		if _, err := a.ca.pool(); err != nil {
			return nil, err
		}
	}
	if err := c.DB.Migrate(ctx, "access", schema); err != nil {
		return nil, err
	}
	if err := a.guard(ctx); err != nil {
		return nil, dbFault("prepare", "audit log", err)
	}
	if err := a.adopt(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// schema is what Migrate is given.
var schema = []string{`
CREATE TABLE access_tokens (id TEXT PRIMARY KEY, name TEXT NOT NULL, principal TEXT NOT NULL, role TEXT NOT NULL,
	hash TEXT NOT NULL, made_by TEXT NOT NULL, created BIGINT NOT NULL, expires BIGINT NOT NULL,
	revoked BIGINT NOT NULL, used BIGINT NOT NULL);
CREATE TABLE access_secrets (id TEXT PRIMARY KEY, place TEXT NOT NULL UNIQUE, sealed TEXT NOT NULL,
	made_by TEXT NOT NULL, created BIGINT NOT NULL, changed BIGINT NOT NULL);
CREATE TABLE access_seal (id BIGINT PRIMARY KEY, sealed TEXT NOT NULL);
CREATE TABLE audit (seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, principal TEXT NOT NULL, verb TEXT NOT NULL,
	source TEXT NOT NULL, target TEXT NOT NULL, old TEXT NOT NULL, new TEXT NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE audit_head (id BIGINT PRIMARY KEY, seq BIGINT NOT NULL, hash TEXT NOT NULL);
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '')`}

// guard keeps the audit log from being changed by a slip; who means to has to drop the triggers first.
// They are statements with semicolons within, which no step of Migrate may be.
func (a *Access) guard(ctx context.Context) error {
	return a.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := a.db.Lock(ctx, tx, "audit guards"); err != nil {
			return err
		}
		ask, statements := `SELECT COUNT(*) FROM sqlite_master WHERE type = 'trigger' AND name IN ('audit_unchanged', 'audit_undeleted')`, []string{
			`CREATE TRIGGER IF NOT EXISTS audit_unchanged BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END`,
			`CREATE TRIGGER IF NOT EXISTS audit_undeleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END`,
		}
		if a.db.Postgres() {
			ask, statements = `SELECT COUNT(*) FROM pg_trigger WHERE tgname = 'audit_stays' AND tgrelid = 'audit'::regclass`, []string{
				`CREATE OR REPLACE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$`,
				`CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_stays()`,
			}
		}
		var have int
		if err := tx.QueryRowContext(ctx, ask).Scan(&have); err != nil || have > 0 {
			return err
		}
		for _, statement := range statements {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *Access) now() time.Time { return a.clock().UTC().Truncate(time.Microsecond) }

// roleOf is the role of who came without a token.
func (a *Access) roleOf(name string) Role {
	if role := a.roles[name]; role != "" {
		return role
	}
	return Reader
}

// checkName refuses what can not stand for a principal: nothing, what does not print, and the names that are made up.
func checkName(name string) error {
	switch {
	case name == "" || len(name) > 255 || name != strings.TrimSpace(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }):
		return errors.New("a principal's name has 1 to 255 characters, none of them a line break or another control character")
	case name == Local || name == Anonymous:
		return errors.New("the name " + name + " is not to be had")
	}
	return nil
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
