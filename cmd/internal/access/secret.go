package access

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

var idForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]+(?:[._-][a-z0-9]+)*$`) })

// sealedLogin is the form in which a login is encrypted.
type sealedLogin struct {
	Scheme   credential.Scheme `json:"scheme,omitempty"`
	User     string            `json:"user,omitempty"`
	Password string            `json:"password"`
}

// sealName returns the name that the encryption of a login is bound to.
func sealName(id, place string) string { return "secret " + id + " for " + place }

// place returns "HOST[/PATH]" in its normal form. HOST may be the name or an alias of a configured registry.
func (a *Access) place(s string) (string, error) {
	first, path, _ := strings.Cut(ref.CutTransport(s), "/")
	host, known := a.hosts[first]
	if !known {
		var err error
		if host, err = ref.Host(first); err != nil {
			return "", err
		}
		if !ref.LooksLikeHost(first) {
			return "", &fault.Fault{Kind: fault.Invalid, Op: "read place", Name: s,
				Hint: "write the name of a registry in the server's configuration, or HOST:PORT",
				Err:  errors.New(strconv.Quote(first) + " is neither a configured registry nor a host")}
		}
		if alias, known := a.hosts[host]; known {
			host = alias
		}
	}
	path = strings.Trim(path, "/")
	if path == "" {
		return host, nil
	}
	repo, err := ref.NewRepo(host, path)
	if err != nil {
		return "", err
	}
	return repo.String(), nil
}

// PutSecret stores the login l under id, for the place where: "HOST" or "HOST/PATH", where HOST may also be the name
// or an alias of a configured registry. It replaces the
// login that id holds. by is the principal for the audit log. Errors are Invalid, Conflict if another
// id already has a login for this place, and those of the database.
func (a *Access) PutSecret(ctx context.Context, by, id, where string, l credential.Login) error {
	at, err := a.place(where)
	switch {
	case err != nil:
		return err
	case len(id) > 128 || !idForm().MatchString(id):
		hint := "use lower-case letters, digits, '.', '_' and '-'"
		return secretFault(fault.Invalid, id, hint, "not a valid name of a secret")
	case l.IsAnonymous():
		return secretFault(fault.Invalid, id, "", "the login is empty")
	}
	plain, err := json.Marshal(sealedLogin{l.Scheme, l.User, l.Password.Reveal()})
	if err != nil {
		return &fault.Fault{Kind: fault.Internal, Op: "store secret", Name: id, Err: err}
	}
	sealed, err := a.vault.Seal(plain, sealName(id, at))
	if err != nil {
		return err
	}
	err = a.db.Tx(ctx, func(tx *sql.Tx) error {
		var other string
		err := tx.QueryRowContext(ctx, `SELECT id FROM access_secrets WHERE place = $1 AND id <> $2`, at, id).Scan(&other)
		if err == nil {
			return secretFault(fault.Conflict, id, "change or delete that secret", at+" already has the secret "+other)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		now := store.Micros(a.now())
		_, err = tx.ExecContext(ctx, `
			INSERT INTO access_secrets (id, place, sealed, made_by, created, changed) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (id) DO UPDATE SET place = excluded.place, sealed = excluded.sealed,
				made_by = excluded.made_by, changed = excluded.changed`,
			id, at, base64.StdEncoding.EncodeToString(sealed), by, now, now)
		if err != nil {
			return err
		}
		return a.Audit(ctx, tx, Entry{Principal: by, Verb: "secret put", Target: at, New: id})
	})
	return dbFault("store secret", id, err)
}

// Secrets lists the stored logins in the order of their ids, without user names and passwords.
func (a *Access) Secrets(ctx context.Context) ([]Secret, error) {
	rows, err := a.db.QueryContext(ctx, `SELECT id, place, made_by, created, changed FROM access_secrets ORDER BY id`)
	if err != nil {
		return nil, dbFault("list", "secrets", err)
	}
	defer rows.Close()
	all := []Secret{}
	for rows.Next() {
		var s Secret
		var created, changed int64
		if err := rows.Scan(&s.ID, &s.Place, &s.By, &created, &changed); err != nil {
			return nil, dbFault("list", "secrets", err)
		}
		s.Created, s.Changed = store.Time(created), store.Time(changed)
		all = append(all, s)
	}
	return all, dbFault("list", "secrets", rows.Err())
}

// DeleteSecret deletes the login id. by is the principal for the audit log. The error is NotFound if
// it does not exist, else that of the database.
func (a *Access) DeleteSecret(ctx context.Context, by, id string) error {
	err := a.db.Tx(ctx, func(tx *sql.Tx) error {
		var at string
		err := tx.QueryRowContext(ctx, `DELETE FROM access_secrets WHERE id = $1 RETURNING place`, id).Scan(&at)
		if err != nil {
			return err
		}
		return a.Audit(ctx, tx, Entry{Principal: by, Verb: "secret delete", Target: at, Old: id})
	})
	return dbFault("delete secret", id, err)
}

// Lookup is a credential.Lookup over the stored logins. It returns the login of the longest place
// that is repo or a parent of repo. Errors are Denied if the login cannot be decrypted, and those of
// the database.
func (a *Access) Lookup(ctx context.Context, repo ref.Repo) (credential.Login, bool, error) {
	places := []any{repo.Host}
	marks := "$1"
	for i, r := range repo.Path + "/" {
		if r == '/' && i > 0 {
			places = append(places, repo.Host+"/"+repo.Path[:i])
			marks += ", $" + strconv.Itoa(len(places))
		}
	}
	longest := a.db.QueryRowContext(ctx, `SELECT id, place, sealed FROM access_secrets
		WHERE place IN (`+marks+`) ORDER BY LENGTH(place) DESC LIMIT 1`, places...)
	var id, at, text string
	err := longest.Scan(&id, &at, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return credential.Login{}, false, nil
	}
	if err != nil {
		return credential.Login{}, false, dbFault("look up secret for", repo.Host, err)
	}
	var k sealedLogin
	plain, err := a.unseal(text, sealName(id, at))
	if err != nil {
		return credential.Login{}, false, err
	}
	if err := json.Unmarshal(plain, &k); err != nil {
		return credential.Login{}, false, &fault.Fault{Kind: fault.Internal, Op: "read secret", Name: id}
	}
	return credential.Login{
		Scheme:   k.Scheme,
		User:     k.User,
		Password: credential.New(k.Password),
		From:     "secret " + id,
	}, true, nil
}

const witness = "the key of this database" // encrypted by the first server that uses a database

// checkKeys checks that the vault has the key of this database: it must decrypt what the first
// server encrypted. So a second server with another key fails when it starts. If an older key
// encrypted the secrets, checkKeys encrypts them with the newest key. After that, the old key may be
// removed.
func (a *Access) checkKeys(ctx context.Context) error {
	err := a.db.Tx(ctx, func(tx *sql.Tx) error {
		fresh, err := a.seal([]byte(witness), witness)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx,
			`INSERT INTO access_seal (id, sealed) VALUES (1, $1) ON CONFLICT (id) DO NOTHING`, fresh)
		if err != nil {
			return err
		}
		var text string
		if err := tx.QueryRowContext(ctx, `SELECT sealed FROM access_seal WHERE id = 1`).Scan(&text); err != nil {
			return err
		}
		if _, err := a.unseal(text, witness); err != nil {
			return otherKey()
		}
		if raw, err := base64.StdEncoding.DecodeString(text); err != nil || a.vault.newest(raw) {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE access_seal SET sealed = $1 WHERE id = 1`, fresh); err != nil {
			return err
		}
		return a.reseal(ctx, tx)
	})
	return dbFault("open", "database", err)
}

func otherKey() error {
	return &fault.Fault{
		Kind: fault.Conflict,
		Op:   "open database",
		Hint: "give every server the same key; to change it, list the new one before the old",
		Err:  errors.New("the secrets of this database are encrypted with another key"),
	}
}

// reseal encrypts all stored logins with the newest key.
func (a *Access) reseal(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, place, sealed FROM access_secrets`)
	if err != nil {
		return err
	}
	defer rows.Close()
	renewed := map[string]string{}
	for rows.Next() {
		var id, at, text string
		if err := rows.Scan(&id, &at, &text); err != nil {
			return err
		}
		plain, err := a.unseal(text, sealName(id, at))
		if err == nil {
			renewed[id], err = a.seal(plain, sealName(id, at))
		}
		if err != nil {
			return err
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for id, text := range renewed {
		if _, err := tx.ExecContext(ctx, `UPDATE access_secrets SET sealed = $1 WHERE id = $2`, text, id); err != nil {
			return err
		}
	}
	return nil
}

func secretFault(kind fault.Kind, id, hint, cause string) error {
	return &fault.Fault{Kind: kind, Op: "store secret", Name: id, Hint: hint, Err: errors.New(cause)}
}
