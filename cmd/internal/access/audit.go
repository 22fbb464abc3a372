package access

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// secretForms matches text that must not be in a log that is kept forever and shown to auditors:
// Azure subscription and resource IDs, logins in URLs, dray's own tokens, and JWTs. It does not match
// names of images, although they contain colons and '@' too.
var secretForms = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`(?i)/?subscriptions/[^\s"']*`),
		regexp.MustCompile(`//[^\s/@]*@`),
		regexp.MustCompile(`dray_[a-z2-7]{10}_[a-z2-7]+`),
		regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`),
	}
})

const maxField = 2048 // the longest field, in bytes

// redact returns s without secrets and cut to maxField.
func redact(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd") // PostgreSQL accepts neither
	for _, form := range secretForms() {
		s = form.ReplaceAllString(s, "[left out]")
	}
	if len(s) > maxField {
		s = strings.ToValidUTF8(s[:maxField], "")
	}
	return s
}

const auditColumns = `seq, at, principal, verb, source, target, old, new, prev, hash`

// Audit appends e to the audit log within the transaction tx. So the entry is written if, and only
// if, the change that it records is written. Audit sets Seq, At and the hashes. Call it last in tx: on
// PostgreSQL, other transactions that call Audit wait until tx ends. Errors are those of the database.
func (a *Access) Audit(ctx context.Context, tx *sql.Tx, e Entry) error {
	for _, field := range []*string{&e.Principal, &e.Verb, &e.Source, &e.Target, &e.Old, &e.New} {
		*field = redact(*field)
	}
	e.At = a.now()
	head := tx.QueryRowContext(ctx, `UPDATE audit_head SET seq = seq + 1 WHERE id = 1 RETURNING seq, hash`)
	if err := head.Scan(&e.Seq, &e.Prev); err != nil {
		return dbFault("write", "audit log", err)
	}
	e.Hash = sum(e)
	_, err := tx.ExecContext(ctx, `INSERT INTO audit (`+auditColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		e.Seq, store.Micros(e.At), e.Principal, e.Verb, e.Source, e.Target, e.Old, e.New, e.Prev, e.Hash)
	if err == nil {
		_, err = tx.ExecContext(ctx, `UPDATE audit_head SET hash = $1 WHERE id = 1`, e.Hash)
	}
	return dbFault("write", "audit log", err)
}

// sum returns the SHA-256 of e and of the previous hash, in hex. It hashes a JSON list of numbers and
// strings, which is unambiguous and which anybody can compute from an export.
func sum(e Entry) string {
	fields := []any{e.Seq, e.At.UnixMicro(), e.Principal, e.Verb, e.Source, e.Target, e.Old, e.New, e.Prev}
	text, _ := json.Marshal(fields) // numbers and strings always have a JSON form
	h := sha256.Sum256(text)
	return hex.EncodeToString(h[:])
}

const maxEntries = 1000 // entries of one page

// Entries returns the entries after the sequence number after, in order. It returns at most limit
// entries; 0, or more than 1000, means 1000.
func (a *Access) Entries(ctx context.Context, after int64, limit int) ([]Entry, error) {
	if limit <= 0 || limit > maxEntries {
		limit = maxEntries
	}
	rows, err := a.db.QueryContext(ctx, `SELECT `+auditColumns+` FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2`,
		after, limit)
	if err != nil {
		return nil, dbFault("read", "audit log", err)
	}
	defer rows.Close()
	all := []Entry{}
	for rows.Next() {
		var e Entry
		var at int64
		err := rows.Scan(&e.Seq, &at, &e.Principal, &e.Verb, &e.Source, &e.Target, &e.Old, &e.New, &e.Prev, &e.Hash)
		if err != nil {
			return nil, dbFault("read", "audit log", err)
		}
		e.At = store.Time(at)
		all = append(all, e)
	}
	return all, dbFault("read", "audit log", rows.Err())
}

// Verify reads the whole log and checks its hash chain. The error is Corrupt and names the first entry
// that is missing, was changed, or does not follow from the previous entry. Verify also notices if
// the last entries are missing.
func (a *Access) Verify(ctx context.Context) error {
	// Read the head first: entries that are written meanwhile come after it.
	var head Entry
	row := a.db.QueryRowContext(ctx, `SELECT seq, hash FROM audit_head WHERE id = 1`)
	if err := row.Scan(&head.Seq, &head.Hash); err != nil {
		return dbFault("read", "audit log", err)
	}
	last, err := a.walk(ctx, head.Seq, func(Entry) error { return nil })
	if err == nil && (last.Seq != head.Seq || last.Hash != head.Hash) {
		err = broken(last.Seq+1, "the last entries are missing")
	}
	return err
}

// Export writes the log to w as JSON Lines, in order, and checks the chain of the entries that it
// writes. The error is one of Verify or of w.
func (a *Access) Export(ctx context.Context, w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	var head int64
	if err := a.db.QueryRowContext(ctx, `SELECT seq FROM audit_head WHERE id = 1`).Scan(&head); err != nil {
		return dbFault("read", "audit log", err)
	}
	_, err := a.walk(ctx, head, func(e Entry) error { return enc.Encode(e) })
	return err
}

// walk calls visit for each entry up to end, after checking the entry against the previous one.
func (a *Access) walk(ctx context.Context, end int64, visit func(Entry) error) (last Entry, err error) {
	for last.Seq < end {
		page, err := a.Entries(ctx, last.Seq, int(min(end-last.Seq, maxEntries)))
		if err != nil {
			return last, err
		}
		if len(page) == 0 {
			return last, broken(last.Seq+1, "the last entries are missing")
		}
		for _, e := range page {
			switch {
			case e.Seq != last.Seq+1:
				return last, broken(last.Seq+1, "an entry is missing")
			case e.Prev != last.Hash:
				return last, broken(e.Seq, "the entry does not match the hash of the previous entry")
			case e.Hash != sum(e):
				return last, broken(e.Seq, "the entry was changed")
			}
			if err := visit(e); err != nil {
				return last, err
			}
			last = e
		}
	}
	return last, nil
}

func broken(seq int64, cause string) error {
	return &fault.Fault{Kind: fault.Corrupt, Op: "verify audit log", Name: fmt.Sprintf("entry %d", seq),
		Hint: "compare with an export or a backup", Err: errors.New(cause)}
}
