package job

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
)

// filePiece is the size of the pieces in which a File is stored, in bytes.
const filePiece = 64 << 10

// fileLife is how long a File is kept that was not submitted. It is much longer than any request may take.
const fileLife = time.Hour

// tries is how often a transaction runs if the answers to its commits are lost.
const tries = 3

// NewFile returns an empty File. The caller calls Write, and then Submit with it, or Drop. A File that is neither
// submitted nor dropped, because the process died, is deleted after an hour.
func (q *Queue) NewFile() *File {
	now := q.now()
	return &File{q: q, id: q.id(now), at: now}
}

// Write adds p to the file. The errors are those of the database.
func (f *File) Write(ctx context.Context, p []byte) error {
	for len(p) > 0 {
		if f.piece == nil {
			f.piece = make([]byte, 0, filePiece)
		}
		n := min(len(p), filePiece-len(f.piece))
		f.piece, p = append(f.piece, p[:n]...), p[n:]
		if len(f.piece) == filePiece {
			if err := f.store(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// store stores the last piece.
func (f *File) store(ctx context.Context) error {
	if len(f.piece) == 0 {
		return nil
	}
	var err error
	for range tries {
		err = f.q.db.Tx(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO job_files (job, part, data) VALUES ($1, $2, $3)
				ON CONFLICT (job, part) DO NOTHING`, f.id, f.parts, f.piece)
			return err
		})
		if !errors.Is(err, store.ErrUncertain) || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return f.q.db.Explain("store file of job", err)
	}
	f.parts, f.piece = f.parts+1, f.piece[:0]
	return nil
}

// Drop deletes the file, unless a job was submitted with it.
func (f *File) Drop(ctx context.Context) {
	f.piece = nil
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	_ = f.q.db.Tx(ctx, func(tx *sql.Tx) error { // else it is deleted with old history
		_, err := tx.ExecContext(ctx, `DELETE FROM job_files WHERE job = $1 AND NOT EXISTS
			(SELECT 1 FROM jobs WHERE id = $1)`, f.id)
		return err
	})
}

// dropFiles deletes files that were neither submitted nor dropped.
func (q *Queue) dropFiles(ctx context.Context) error {
	return q.db.Explain("delete old files", q.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM job_files WHERE job < $1 AND NOT EXISTS
			(SELECT 1 FROM jobs WHERE id = job_files.job)`, bound(q.now().Add(-fileLife)))
		return err
	}))
}

// File returns the File that was submitted with the job. It is empty if there was none. It is deleted when the job
// ends.
func (r *Run) File(ctx context.Context) io.Reader { return &fileReader{ctx: ctx, run: r} }

type fileReader struct {
	ctx   context.Context //nolint:containedctx // an io.Reader has no other way to a context
	run   *Run
	part  int64
	piece []byte
}

func (f *fileReader) Read(p []byte) (int, error) {
	if len(f.piece) == 0 {
		err := retryOutage(f.ctx, func() error {
			err := f.run.q.db.QueryRowContext(f.ctx, `SELECT data FROM job_files WHERE job = $1 AND part = $2`,
				f.run.Job.ID, f.part).Scan(&f.piece)
			if errors.Is(err, sql.ErrNoRows) {
				return io.EOF
			}
			return f.run.q.db.Explain("read file of job", err)
		})
		if err != nil {
			return 0, err
		}
		f.part++
	}
	n := copy(p, f.piece)
	f.piece = f.piece[n:]
	return n, nil
}
