package verb

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// announce is called before names are set. It writes an entry for each name to the audit log, in the
// transaction that checks whether this attempt still holds the job. So no name changes without an entry
// in the log, even if the process ends before it knows whether the name was set.
func (w *work) announce(ctx context.Context, steps []plan.Step) error {
	var entries []access.Entry
	for _, s := range steps {
		if s.Backup != "" {
			entries = append(entries, access.Entry{
				Verb: w.run.Job.Kind + " (backup)", Source: s.To.String(), Target: s.Kept().String(),
				New: string(s.Replaces),
			})
		}
		entries = append(entries, w.entry(s, ""))
	}
	const tries = 3
	for n := 1; ; n++ {
		err := w.run.Tx(ctx, func(tx *sql.Tx) error { return w.write(ctx, tx, entries) })
		if n < tries && errors.Is(err, store.ErrUncertain) {
			continue // If the first commit took effect after all, the entry appears twice, which does no harm.
		}
		if err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, s := range steps {
				w.announced[s.To] = true
			}
		}
		return err
	}
}

// wasAnnounced reports whether name was announced, and forgets the announcement.
func (w *work) wasAnnounced(name ref.Name) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := w.announced[name]
	delete(w.announced, name)
	return said
}

func (w *work) entry(s plan.Step, more string) access.Entry {
	return access.Entry{
		Verb: w.run.Job.Kind + more, Source: s.From.String(), Target: s.To.String(),
		Old: string(s.Replaces), New: string(s.Digest()),
	}
}

func (w *work) write(ctx context.Context, tx *sql.Tx, entries []access.Entry) error {
	for _, e := range entries {
		e.Principal = w.run.Job.Principal
		if err := w.access.Audit(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}

// auditBatch is the maximum number of entries that one transaction writes to the audit log.
const auditBatch = 200

// audit writes entries for announced names whose steps failed: the registry did not confirm that they
// were set. If the entries cannot be written, that is reported in the job's log and changes nothing else.
func (w *work) audit(ctx context.Context, entries []access.Entry) {
	ctx = context.WithoutCancel(ctx)
	for some := range slices.Chunk(entries, auditBatch) {
		if err := w.db.Tx(ctx, func(tx *sql.Tx) error { return w.write(ctx, tx, some) }); err != nil {
			w.run.Log("the audit log could not be written: " + oneLine(err))
		}
	}
}
