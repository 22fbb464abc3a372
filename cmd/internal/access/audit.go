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

// secretForms is what does not belong into a log that is kept for ever and shown to auditors:
// ids of subscriptions and resources, logins in addresses, our own tokens, JWTs. Names of images,
// which have colons and an '@' as well, stay whole.
var secretForms = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`(?i)/?subscriptions/[^\s"']*`),
		regexp.MustCompile(`//[^\s/@]*@`),
		regexp.MustCompile(`dray_[a-z2-7]{10}_[a-z2-7]+`),
		regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`),
	}
})

const maxField = 2048 // bytes of one field

// redact is s as it may stand in the log.
func redact(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd") // PostgreSQL takes neither
	for _, form := range secretForms() {
		s = form.ReplaceAllString(s, "[left out]")
	}
	if len(s) > maxField {
		s = strings.ToValidUTF8(s[:maxField], "")
	}
	return s
}

// Audit appends e within tx, so that it is there when what it tells of is, and not else. Seq, At
// and the hashes are set here. It is the last thing to do in tx: on PostgreSQL other
// transactions that audit wait from here until tx ends. Errors are the database's.
func (a *Access) Audit(tx *sql.Tx, e Entry) error {
	// The end of a transaction ends its statements; it was begun with the caller's context.
	ctx := context.Background()
	for _, field := range []*string{&e.Principal, &e.Verb, &e.Source, &e.Target, &e.Old, &e.New} {
		*field = redact(*field)
	}
	e.At = a.now()
	if err := tx.QueryRowContext(ctx, `UPDATE audit_head SET seq = seq + 1 WHERE id = 1 RETURNING seq, hash`).Scan(&e.Seq, &e.Prev); err != nil {
		return dbFault("write", "audit log", err)
	}
	e.Hash = sum(e)
	_, err := tx.ExecContext(ctx, `INSERT INTO audit (seq, at, principal, verb, source, target, old, new, prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		e.Seq, store.Micros(e.At), e.Principal, e.Verb, e.Source, e.Target, e.Old, e.New, e.Prev, e.Hash)
	if err == nil {
		_, err = tx.ExecContext(ctx, `UPDATE audit_head SET hash = $1 WHERE id = 1`, e.Hash)
	}
	return dbFault("write", "audit log", err)
}

// sum is the SHA-256 of e and of the hash before it, in hex. A JSON list of texts reads
// in one way only, and anybody can compute it from an export.
func sum(e Entry) string {
	text, _ := json.Marshal([]any{e.Seq, e.At.UnixMicro(), e.Principal, e.Verb, e.Source, e.Target, e.Old, e.New, e.Prev}) // numbers and texts
	h := sha256.Sum256(text)
	return hex.EncodeToString(h[:])
}

const maxEntries = 1000

// Entries lists what comes after seq in order, at most limit; 0 or more than 1000 is 1000.
func (a *Access) Entries(ctx context.Context, after int64, limit int) ([]Entry, error) {
	if limit <= 0 || limit > maxEntries {
		limit = maxEntries
	}
	rows, err := a.db.QueryContext(ctx, `SELECT seq, at, principal, verb, source, target, old, new, prev, hash FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2`, after, limit)
	if err != nil {
		return nil, dbFault("read", "audit log", err)
	}
	defer rows.Close()
	all := []Entry{}
	for rows.Next() {
		var e Entry
		var at int64
		if err := rows.Scan(&e.Seq, &at, &e.Principal, &e.Verb, &e.Source, &e.Target, &e.Old, &e.New, &e.Prev, &e.Hash); err != nil {
			return nil, dbFault("read", "audit log", err)
		}
		e.At = store.Time(at)
		all = append(all, e)
	}
	return all, dbFault("read", "audit log", rows.Err())
}

// Verify reads the whole chain. The error is Corrupt and names the first entry that is missing,
// was changed, or does not follow from the one before; an end that was cut off is noticed too.
func (a *Access) Verify(ctx context.Context) error {
	// What comes in the meantime is behind the head, which is read first.
	var head Entry
	if err := a.db.QueryRowContext(ctx, `SELECT seq, hash FROM audit_head WHERE id = 1`).Scan(&head.Seq, &head.Hash); err != nil {
		return dbFault("read", "audit log", err)
	}
	last, err := a.walk(ctx, head.Seq, func(Entry) error { return nil })
	if err == nil && (last.Seq != head.Seq || last.Hash != head.Hash) {
		err = broken(last.Seq+1, "the log ends before its end")
	}
	return err
}

// Export writes the log as JSON lines, in order, and verifies it on the way; the error is that of
// Verify or of w.
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

// walk hands over the entries up to end and holds each against the one before it.
func (a *Access) walk(ctx context.Context, end int64, visit func(Entry) error) (last Entry, err error) {
	for last.Seq < end {
		page, err := a.Entries(ctx, last.Seq, int(min(end-last.Seq, maxEntries)))
		if err != nil {
			return last, err
		}
		if len(page) == 0 {
			return last, broken(last.Seq+1, "the log ends before its end")
		}
		for _, e := range page {
			switch {
			case e.Seq != last.Seq+1:
				return last, broken(last.Seq+1, "an entry is missing")
			case e.Prev != last.Hash:
				return last, broken(e.Seq, "it does not follow from the entry before")
			case e.Hash != sum(e):
				return last, broken(e.Seq, "it was changed")
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
