package access

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/drayage/dray/cmd/internal/access/kept"
	"github.com/drayage/dray/cmd/internal/access/redact"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

const (
	auditFields  = `at, principal, verb, source, target, old, new`
	auditColumns = `seq, ` + auditFields + `, prev, hash`
)

// Audit writes e to the audit log within the transaction tx. So the entry is written if, and only if, the
// change that it records is written. Audit sets At. Errors are those of the database.
//
// On SQLite the entry is in the hash chain at once. On PostgreSQL it waits for Chain, because transactions would
// otherwise wait for each other until each is synced. The entries of one transaction keep their order, and an
// entry comes before those of transactions that began after its own was committed.
func (a *Access) Audit(ctx context.Context, tx *sql.Tx, e Entry) error {
	for _, field := range []*string{&e.Principal, &e.Verb, &e.Source, &e.Target, &e.Old, &e.New} {
		*field = redact.Text(*field)
	}
	e.At, e.Seq, e.Prev = a.now(), 0, ""
	if a.db.Postgres() {
		seal, err := a.seal([]byte(sum(e)), waitingSeal)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO audit_waiting (seal, `+auditFields+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			seal, store.Micros(e.At), e.Principal, e.Verb, e.Source, e.Target, e.Old, e.New)
		return dbFault("write", "audit log", err)
	}
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

const (
	waitingSeal   = "audit"                                            // the name of the seal of an entry that waits
	changedBefore = "the next entry was changed before it was chained" // the verb of an entry that Chain adds
)

// KeepChained calls Chain every half second until ctx ends. It logs a failure at once and then one each
// minute. On SQLite it returns at once, because no entry waits.
func (a *Access) KeepChained(ctx context.Context, log *slog.Logger) {
	const interval, limit, each = 500 * time.Millisecond, 30 * time.Second, time.Minute
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var told time.Time
	for a.db.Postgres() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		once, done := context.WithTimeout(ctx, limit)
		err := a.Chain(once)
		done()
		if err != nil && ctx.Err() == nil && time.Since(told) >= each {
			told = time.Now()
			level := slog.LevelError
			if fault.Is(err, fault.Unavailable) {
				level = slog.LevelInfo // the process says once that its database does not answer
			}
			log.LogAttrs(ctx, level, "entries of the audit log wait to be chained", slog.Any("err", err))
		}
	}
}

// Chain gives the entries that wait their sequence numbers and hashes. It returns nil if none waits. Any
// number of processes may call it; one at a time does it. Errors are those of the database.
func (a *Access) Chain(ctx context.Context) error {
	const tries = 3 // if the answers to the commits are lost
	for unsure := 0; a.db.Postgres(); {
		waits := false
		err := a.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM audit_waiting)`).Scan(&waits)
		if err != nil || !waits {
			return dbFault("chain", "audit log", err)
		}
		err = a.db.Tx(ctx, func(tx *sql.Tx) error { return a.chainSome(ctx, tx) })
		if errors.Is(err, store.ErrUncertain) && unsure < tries {
			unsure++ // perhaps chained: look again
		} else if err != nil {
			return dbFault("chain", "audit log", err)
		}
	}
	return nil
}

const chainBatch = 500 // entries that one transaction chains

func (a *Access) chainSome(ctx context.Context, tx *sql.Tx) error {
	var head Entry
	last := tx.QueryRowContext(ctx, `SELECT seq, hash FROM audit_head WHERE id = 1`+a.db.ForUpdate())
	if err := last.Scan(&head.Seq, &head.Hash); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `SELECT set_config('dray.chaining', 'on', true)`); err != nil {
		return err
	}
	// What is deleted is exactly what is read: an entry with a lower number may be committed meanwhile.
	rows, err := tx.QueryContext(ctx, `WITH taken AS (DELETE FROM audit_waiting
			WHERE id IN (SELECT id FROM audit_waiting ORDER BY id LIMIT $1) RETURNING id, seal, `+auditFields+`)
		SELECT seal, `+auditFields+` FROM taken ORDER BY id`, chainBatch)
	if err != nil {
		return err
	}
	defer rows.Close()
	batch := []stored{}
	for rows.Next() {
		var e Entry
		var seal string
		var at int64
		if err := rows.Scan(&seal, &at, &e.Principal, &e.Verb, &e.Source, &e.Target, &e.Old, &e.New); err != nil {
			return err
		}
		e.At = store.Time(at)
		if plain, err := a.unseal(seal, waitingSeal); err != nil || string(plain) != sum(e) {
			head = follow(&batch, head, Entry{At: a.now(), Verb: changedBefore})
		}
		head = follow(&batch, head, e)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	text, err := json.Marshal(batch)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO audit (`+auditColumns+`)
		SELECT `+auditColumns+` FROM json_populate_recordset(NULL::audit, $1::text::json)`, string(text)); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE audit_head SET seq = $1, hash = $2 WHERE id = 1`, head.Seq, head.Hash)
	return err
}

// stored is an entry with its time as the table has it.
type stored struct {
	Entry
	At int64 `json:"at"`
}

// follow appends e to the batch, chained to last, and returns it.
func follow(batch *[]stored, last, e Entry) Entry {
	e.Seq, e.Prev = last.Seq+1, last.Hash
	e.Hash = sum(e)
	*batch = append(*batch, stored{e, store.Micros(e.At)})
	return e
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

// Entries returns the entries after the sequence number after, in order, after chaining those that wait. It
// returns at most limit entries; 0, or more than 1000, means 1000.
func (a *Access) Entries(ctx context.Context, after int64, limit int) ([]Entry, error) {
	if err := a.Chain(ctx); err != nil {
		return nil, err
	}
	return a.chained(ctx, after, limit)
}

func (a *Access) chained(ctx context.Context, after int64, limit int) ([]Entry, error) {
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
// the last entries are missing. Entries that wait are chained first.
func (a *Access) Verify(ctx context.Context) error {
	if err := a.Chain(ctx); err != nil {
		return err
	}
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
// writes. Entries that wait are chained first. The error is one of Verify or of w.
func (a *Access) Export(ctx context.Context, w io.Writer) error {
	if err := a.Chain(ctx); err != nil {
		return err
	}
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
		page, err := a.chained(ctx, last.Seq, int(min(end-last.Seq, maxEntries)))
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
			case last.Verb == changedBefore:
				return last, broken(e.Seq, "the entry was changed before it was chained")
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

// Head chains the entries that wait, and returns the last entry of the audit log, signed with the newest key of the
// vault. Who can write the database, but does not have this key, cannot make a head. Errors are those of the database.
func (a *Access) Head(ctx context.Context) (wire.Head, error) {
	if err := a.Chain(ctx); err != nil {
		return wire.Head{}, err
	}
	h := wire.Head{At: a.now().Truncate(time.Millisecond)} // as exact as a log in text shows it
	row := a.db.QueryRowContext(ctx, `SELECT seq, hash FROM audit_head WHERE id = 1`)
	if err := row.Scan(&h.Seq, &h.Hash); err != nil {
		return wire.Head{}, dbFault("read", "audit log", err)
	}
	public := func(k vaultKey) string {
		return base64.StdEncoding.EncodeToString(k.heads.Public().(ed25519.PublicKey))
	}
	h.Key = public(a.vault.keys[0])
	for _, k := range a.vault.keys[1:] {
		h.Older = append(h.Older, public(k))
	}
	h.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(a.vault.keys[0].heads, h.Text()))
	return h, nil
}

// KeepHeads signs the head of the audit log each minute in which entries were added, and once more when ctx ends. It
// writes each head to log, and appends it to the file as a line of JSON; "" means that there is no file. It logs a
// failure at once and then one each hour.
func (a *Access) KeepHeads(ctx context.Context, log *slog.Logger, file string) {
	const interval, limit, each = time.Minute, 30 * time.Second, time.Hour
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var last wire.Head
	var told time.Time
	for {
		ended := false
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
		}
		once, done := context.WithTimeout(context.WithoutCancel(ctx), limit)
		err := a.keepHead(once, log, file, &last)
		done()
		if err != nil && (ended || time.Since(told) >= each) {
			told = time.Now()
			log.LogAttrs(ctx, slog.LevelError, "the head of the audit log was not kept", slog.Any("err", err))
		}
		if ended {
			return
		}
	}
}

func (a *Access) keepHead(ctx context.Context, log *slog.Logger, file string, last *wire.Head) error {
	h, err := a.Head(ctx)
	if err != nil || h.Seq == last.Seq && h.Hash == last.Hash || h.Seq == 0 {
		return err
	}
	h.Older = nil
	log.LogAttrs(ctx, slog.LevelInfo, "audit head", slog.Int64("seq", h.Seq), slog.String("hash", h.Hash),
		slog.Time("at", h.At), slog.String("key", h.Key), slog.String("signature", h.Signature))
	if file != "" {
		if err := kept.Append(file, h); err != nil {
			return err
		}
	}
	*last = h
	return nil
}
