package access

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// Config holds what Open needs. DB and Vault are required.
type Config struct {
	DB    *store.DB
	Vault *Vault

	// Paths of files, which are read again when they change; "" means none.
	Htpasswd string // users with bcrypt hashes
	ClientCA string // the PEM certificates that sign client certificates

	// Roles holds the roles of users and client certificates, by the principal's name. A principal
	// that is not listed is a Reader.
	Roles map[string]Role
	Rules []Rule
	// Own are the names of the server's own registry. In rules, and in what is asked, each of them
	// means the first.
	Own []string
	// Hosts has the hosts of the configured registries by their names and aliases. In the place of a secret, each
	// of these means that host.
	Hosts map[string]string

	// Loopback says that every listener of the server is bound to loopback. Then requests from this
	// machine have the principal Local, until a token, an htpasswd file or a client CA exists.
	Loopback bool
	// Marker is a file outside the database that says that a token exists or existed. Local has no access from then on,
	// even if the database loses its tokens. "" means that there is no such file.
	Marker string

	Clock func() time.Time // nil means time.Now
}

// Open checks c, updates the tables, and encrypts with the newest key what an older key encrypted.
// Errors are Invalid for a wrong rule, role or file, Conflict if the database was encrypted with keys
// that c.Vault does not have, and those of the database.
func Open(ctx context.Context, c Config) (*Access, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	a := &Access{
		db:       c.DB,
		vault:    c.Vault,
		roles:    c.Roles,
		own:      c.Own,
		hosts:    c.Hosts,
		loopback: c.Loopback,
		marker:   c.Marker,
		clock:    c.Clock,
		used:     map[string]time.Time{},
	}
	for name, role := range c.Roles {
		if !role.Known() {
			return nil, &fault.Fault{
				Kind: fault.Invalid,
				Op:   "read role of",
				Name: name,
				Hint: "use reader, submitter or admin",
				Err:  errors.New("no such role: " + string(role)),
			}
		}
	}
	var err error
	if a.rules, err = compile(c.Rules, c.Own); err != nil {
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
	if err := a.protectLog(ctx); err != nil {
		return nil, dbFault("prepare", "audit log", err)
	}
	if err := a.checkKeys(ctx); err != nil {
		return nil, err
	}
	if _, err := a.anyToken(ctx); err != nil {
		return nil, err
	}
	// An older key may be removed after this start, so the entries that wait are checked with it now.
	return a, a.Chain(ctx)
}

// Fits returns the error with which Open would refuse db, because a newer dray has used it, or because v
// lacks the key of its secrets. It changes nothing. A nil v has no key. behind says what Open would upgrade, as in
// store.DB.Fits.
func Fits(ctx context.Context, db *store.DB, v *Vault) (behind string, err error) {
	if behind, err = db.Fits(ctx, "access", schema); err != nil {
		return "", err
	}
	var text string
	if err := db.QueryRowContext(ctx, `SELECT sealed FROM access_seal WHERE id = 1`).Scan(&text); err != nil {
		return behind, nil // Open creates the tables and this row
	}
	if v == nil {
		return "", otherKey()
	}
	if _, err := (&Access{vault: v}).unseal(text, witness); err != nil {
		return "", otherKey()
	}
	return behind, nil
}

// schema holds the migrations of the tables of this package, for store.DB.Migrate.
var schema = []string{`
CREATE TABLE access_tokens (id TEXT PRIMARY KEY, name TEXT NOT NULL, principal TEXT NOT NULL, role TEXT NOT NULL,
	hash TEXT NOT NULL, made_by TEXT NOT NULL, created BIGINT NOT NULL, expires BIGINT NOT NULL,
	revoked BIGINT NOT NULL, used BIGINT NOT NULL);
CREATE TABLE access_secrets (id TEXT PRIMARY KEY, place TEXT NOT NULL UNIQUE, sealed TEXT NOT NULL,
	made_by TEXT NOT NULL, created BIGINT NOT NULL, changed BIGINT NOT NULL);
CREATE TABLE access_seal (id BIGINT PRIMARY KEY, sealed TEXT NOT NULL);
CREATE TABLE audit (seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, principal TEXT NOT NULL, verb TEXT NOT NULL,
	source TEXT NOT NULL, target TEXT NOT NULL, old TEXT NOT NULL, new TEXT NOT NULL,
	prev TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE audit_head (id BIGINT PRIMARY KEY, seq BIGINT NOT NULL, hash TEXT NOT NULL);
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '')`, `
CREATE TABLE audit_waiting (id INTEGER PRIMARY KEY AUTOINCREMENT, seal TEXT NOT NULL, at BIGINT NOT NULL,
	principal TEXT NOT NULL, verb TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL,
	old TEXT NOT NULL, new TEXT NOT NULL)`}

// guards returns a query that counts the triggers of the audit log, and the statements that create
// them.
func (a *Access) guards() (count string, create []string) {
	if a.db.Postgres() {
		count = `SELECT COUNT(*) FROM pg_trigger WHERE tgname = 'audit_waits' AND tgrelid = 'audit_waiting'::regclass`
		return count, []string{
			`CREATE OR REPLACE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
				BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$`,
			// Only Chain deletes an entry that waits, when it gives the entry its place.
			`CREATE OR REPLACE FUNCTION audit_waits() RETURNS trigger LANGUAGE plpgsql AS $$
				BEGIN
					IF TG_OP <> 'DELETE' OR coalesce(current_setting('dray.chaining', true), '') <> 'on' THEN
						RAISE EXCEPTION 'the audit log is append-only';
					END IF;
					RETURN NULL;
				END $$`,
			`DROP TRIGGER IF EXISTS audit_stays ON audit`,
			`CREATE TRIGGER audit_waits BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_waiting
				FOR EACH STATEMENT EXECUTE FUNCTION audit_waits()`,
			`CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
				FOR EACH STATEMENT EXECUTE FUNCTION audit_stays()`,
		}
	}
	count = `SELECT COUNT(*) FROM sqlite_master
		WHERE type = 'trigger' AND name IN ('audit_unchanged', 'audit_undeleted')`
	return count, []string{
		`CREATE TRIGGER IF NOT EXISTS audit_unchanged BEFORE UPDATE ON audit
			BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END`,
		`CREATE TRIGGER IF NOT EXISTS audit_undeleted BEFORE DELETE ON audit
			BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END`,
	}
}

// protectLog creates triggers that refuse changes of the audit log. They prevent accidents: a person
// with access to the database can drop them. They are not in schema, because their statements contain
// semicolons, which Migrate does not allow.
func (a *Access) protectLog(ctx context.Context) error {
	return a.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := a.db.Lock(ctx, tx, "audit guards"); err != nil {
			return err
		}
		count, create := a.guards()
		var have int
		if err := tx.QueryRowContext(ctx, count).Scan(&have); err != nil || have > 0 {
			return err
		}
		for _, statement := range create {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}
