package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

// A token has the form dray_ID_SECRETSUM in lower-case base32. ID has 10 characters, SECRET has 52
// (256 bits), and SUM has 7: the CRC-32 of everything before it. A secret scanner finds tokens by
//
//	dray_[a-z2-7]{10}_[a-z2-7]{59}
//
// and can check the sum without asking a server.
const (
	tokenPrefix = wire.TokenPrefix
	idLength    = 10
	secretSize  = 32
	sumLength   = 7
	tokenLength = len(tokenPrefix) + idLength + 1 + 52 + sumLength
)

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// How long a token is valid, and how often its last use is written.
const (
	DefaultTokenLife = 90 * 24 * time.Hour
	MaxTokenLife     = 366 * 24 * time.Hour
	usedEvery        = time.Hour
)

// mint returns the id and the text of a new token.
func mint() (id string, text credential.Secret) {
	raw := make([]byte, secretSize+7)
	rand.Read(raw) // never fails
	id = letters.EncodeToString(raw[secretSize:])[:idLength]
	body := tokenPrefix + id + "_" + letters.EncodeToString(raw[:secretSize])
	return id, credential.New(body + sumOf(body))
}

func sumOf(body string) string {
	return letters.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
}

// readToken returns the id and the hash of a token's text. ok is false for a text that mint cannot
// have made.
func readToken(s string) (id string, hash [sha256.Size]byte, ok bool) {
	if len(s) != tokenLength || !strings.HasPrefix(s, tokenPrefix) || s[len(tokenPrefix)+idLength] != '_' {
		return "", hash, false
	}
	body, sum := s[:tokenLength-sumLength], s[tokenLength-sumLength:]
	id, secret := body[len(tokenPrefix):len(tokenPrefix)+idLength], body[len(tokenPrefix)+idLength+1:]
	raw, err := letters.DecodeString(secret)
	canonical := err == nil && letters.EncodeToString(raw) == secret
	if !canonical || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") != "" || sum != sumOf(body) {
		return "", hash, false
	}
	return id, sha256.Sum256([]byte(s)), true
}

// NewToken creates a token with t's Name, Principal, Role, By and Expires. It returns the token and
// its secret, which is not stored and cannot be shown again. A zero Expires means DefaultTokenLife.
// After the first token, the principal Local has no access any more. Errors are Invalid for a wrong
// name or role, or an Expires in the past or beyond MaxTokenLife, and those of the database.
func (a *Access) NewToken(ctx context.Context, t Token) (credential.Secret, Token, error) {
	now := a.now()
	if t.Expires.IsZero() {
		t.Expires = now.Add(DefaultTokenLife)
	}
	t.Expires = t.Expires.UTC().Truncate(time.Microsecond)
	bad := func(hint string, err error) (credential.Secret, Token, error) {
		f := &fault.Fault{Kind: fault.Invalid, Op: "create token for", Name: t.Principal, Hint: hint, Err: err}
		return credential.Secret{}, Token{}, f
	}
	if err := cmp.Or(checkName(t.Principal), wire.CheckNote(t.Name)); err != nil {
		return bad("", err)
	}
	switch {
	case !t.Role.Known():
		return bad("use reader, submitter or admin", errors.New("no such role: "+string(t.Role)))
	case !t.Expires.After(now):
		return bad("", errors.New("the expiry is in the past"))
	case t.Expires.Sub(now) > MaxTokenLife:
		return bad("create a new token before this one expires", errors.New("a token is valid for at most 366 days"))
	}
	id, text := mint()
	t.ID, t.Created, t.Revoked, t.Used = id, now, time.Time{}, time.Time{}
	_, hash, _ := readToken(text.Reveal())
	err := a.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO access_tokens (id, name, principal, role, hash, made_by, created, expires, revoked, used)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0)`,
			t.ID, t.Name, t.Principal, string(t.Role), hex.EncodeToString(hash[:]), t.By,
			store.Micros(t.Created), store.Micros(t.Expires))
		if err != nil {
			return err
		}
		if err := a.mark(); err != nil {
			return err
		}
		return a.Audit(ctx, tx, Entry{Principal: t.By, Verb: "token create", Target: t.Principal, New: t.ID})
	})
	if err != nil {
		return credential.Secret{}, Token{}, dbFault("create token for", t.Principal, err)
	}
	a.tokens.Store(true)
	a.lost.Store(false)
	return text, t, nil
}

const tokenColumns = `id, name, principal, role, made_by, created, expires, revoked, used`

// Tokens lists all tokens, the newest first, including expired and revoked tokens.
func (a *Access) Tokens(ctx context.Context) ([]Token, error) {
	rows, err := a.db.QueryContext(ctx, `SELECT `+tokenColumns+` FROM access_tokens ORDER BY created DESC, id`)
	if err != nil {
		return nil, dbFault("list", "tokens", err)
	}
	defer rows.Close()
	all := []Token{}
	for rows.Next() {
		t, err := scanToken(rows.Scan)
		if err != nil {
			return nil, dbFault("list", "tokens", err)
		}
		all = append(all, t)
	}
	return all, dbFault("list", "tokens", rows.Err())
}

func scanToken(scan func(...any) error, more ...any) (Token, error) {
	var t Token
	var created, expires, revoked, used int64
	into := []any{&t.ID, &t.Name, &t.Principal, &t.Role, &t.By, &created, &expires, &revoked, &used}
	err := scan(append(into, more...)...)
	t.Created, t.Expires = store.Time(created), store.Time(expires)
	t.Revoked, t.Used = store.Time(revoked), store.Time(used)
	return t, err
}

// RevokeToken ends a token at once. by is the principal for the audit log. To revoke a token again
// changes nothing. The error is NotFound if the id does not exist, else that of the database.
func (a *Access) RevokeToken(ctx context.Context, by, id string) error {
	id = wire.TokenID(id) // a whole token in a message would be a secret
	err := a.db.Tx(ctx, func(tx *sql.Tx) error {
		var principal string
		var revoked int64
		row := tx.QueryRowContext(ctx, `SELECT principal, revoked FROM access_tokens WHERE id = $1`, id)
		if err := row.Scan(&principal, &revoked); err != nil || revoked != 0 {
			return err
		}
		now := store.Micros(a.now())
		if _, err := tx.ExecContext(ctx, `UPDATE access_tokens SET revoked = $1 WHERE id = $2`, now, id); err != nil {
			return err
		}
		return a.Audit(ctx, tx, Entry{Principal: by, Verb: "token revoke", Target: principal, Old: id})
	})
	return dbFault("revoke token", id, err)
}

// byToken returns the principal of a token's text.
func (a *Access) byToken(ctx context.Context, text string) (Principal, error) {
	id, hash, ok := readToken(text)
	if !ok {
		return Principal{}, denied("not a token of dray", "use a whole token, which begins with dray_")
	}
	row := a.db.QueryRowContext(ctx, `SELECT `+tokenColumns+`, hash FROM access_tokens WHERE id = $1`, id)
	var kept string
	t, err := scanToken(row.Scan, &kept)
	if errors.Is(err, sql.ErrNoRows) {
		return Principal{}, denied("this server does not know the token", "")
	}
	if err != nil {
		return Principal{}, dbFault("look up", "token "+id, unspecific(err))
	}
	if subtle.ConstantTimeCompare([]byte(kept), []byte(hex.EncodeToString(hash[:]))) != 1 {
		return Principal{}, denied("this server does not know the token", "")
	}
	return a.alive(ctx, t)
}

// alive returns the principal of t if t is neither revoked nor expired.
func (a *Access) alive(ctx context.Context, t Token) (Principal, error) {
	now := a.now()
	switch {
	case !t.Revoked.IsZero():
		return Principal{}, denied("the token was revoked", "ask an admin for a new token")
	case !now.Before(t.Expires):
		return Principal{}, denied("the token has expired", "ask an admin for a new token")
	}
	a.tokens.Store(true)
	a.touch(ctx, t, now)
	return Principal{Name: t.Principal, Role: t.Role, Via: ViaToken, Token: t.ID}, nil
}

// touch writes the time of a token's use, at most once an hour. It ignores a failed write, because the
// next request tries again.
func (a *Access) touch(ctx context.Context, t Token, now time.Time) {
	a.mu.Lock()
	last := a.used[t.ID]
	if t.Used.After(last) {
		last = t.Used
	}
	due := now.Sub(last) >= usedEvery
	if due {
		a.used[t.ID] = now
	}
	a.mu.Unlock()
	if !due {
		return
	}
	err := a.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			`UPDATE access_tokens SET used = $1 WHERE id = $2 AND used < $1`, store.Micros(now), t.ID)
		return err
	})
	if err != nil {
		a.mu.Lock()
		delete(a.used, t.ID)
		a.mu.Unlock()
	}
}

// anyToken reports whether a token was ever created, even if it has ended, or if the database has lost it.
func (a *Access) anyToken(ctx context.Context) (bool, error) {
	if a.tokens.Load() {
		return true, nil
	}
	var one int
	err := a.db.QueryRowContext(ctx, `SELECT 1 FROM access_tokens LIMIT 1`).Scan(&one)
	marked := false
	switch {
	case errors.Is(err, sql.ErrNoRows):
		if marked, err = a.marked(); !marked || err != nil {
			return false, err
		}
	case err != nil:
		return false, dbFault("check", "the login", unspecific(err))
	default:
		if err := a.mark(); err != nil {
			return false, err
		}
	}
	a.lost.Store(marked)
	a.tokens.Store(true)
	return true, nil
}

// unspecific returns err without the address and the user of the database, for callers without a login.
func unspecific(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return errors.New("the database of the server does not answer")
}
