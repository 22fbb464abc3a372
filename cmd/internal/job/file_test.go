package job_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// text is longer than some pieces of a file, and no piece is like another.
func text() []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < 300_000; i++ {
		_ = json.NewEncoder(&b).Encode(i)
	}
	return b.Bytes()
}

func pieces(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM job_files`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func write(t *testing.T, q *job.Queue) *job.File {
	t.Helper()
	f := q.NewFile()
	for rest := text(); len(rest) > 0; {
		n := min(1000, len(rest))
		if err := f.Write(t.Context(), rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	return f
}

func TestARunReadsTheFileOfItsJobInEachAttemptAndTheEndDeletesIt(t *testing.T) {
	databases.Both(t, func(t *testing.T, url string) {
		t.Helper()
		db := openDB(t, url)
		q := open(t, url, job.Config{DB: db})
		attempts := 0
		stop := work(t, q, 1, func(ctx context.Context, r *job.Run) job.Outcome {
			got, err := io.ReadAll(r.File(ctx))
			if err != nil || !bytes.Equal(got, text()) {
				t.Errorf("%v: %d bytes", err, len(got))
			}
			if attempts++; attempts == 1 {
				return job.Outcome{State: job.Waiting, After: time.Millisecond}
			}
			return job.Outcome{State: job.Done}
		})
		j, fresh, err := q.Submit(t.Context(), job.Submission{Kind: "k", Principal: "ann", Request: []byte(`{}`), File: write(t, q)})
		if err != nil || !fresh {
			t.Fatal(err)
		}
		if j = ended(t, q, j.ID); j.State != job.Done {
			t.Errorf("%+v", j)
		}
		stop()
		if n := pieces(t, db); n != 0 || attempts != 2 {
			t.Errorf("%d pieces are left after %d attempts", n, attempts)
		}
	})
}

func TestAFileThatNoJobTakesIsDropped(t *testing.T) {
	databases.Both(t, func(t *testing.T, url string) {
		t.Helper()
		db := openDB(t, url)
		now := time.Now()
		q := open(t, url, job.Config{DB: db, Clock: func() time.Time { return now }})
		sub := job.Submission{Kind: "k", Principal: "ann", Request: []byte(`{}`), Key: "key"}
		send := func() (job.Job, bool, error) {
			sub.File = write(t, q)
			return q.Submit(t.Context(), sub)
		}
		first, fresh, err := send()
		if err != nil || !fresh {
			t.Fatal(err)
		}
		one := pieces(t, db)
		if again, fresh, err := send(); err != nil || fresh || again.ID != first.ID || pieces(t, db) != one {
			t.Errorf("a second request with the key: %v %v, %d pieces, not %d", fresh, err, pieces(t, db), one)
		}
		sub.Request = []byte(`{"other":1}`)
		if _, _, err := send(); !fault.Is(err, fault.Conflict) || pieces(t, db) != one {
			t.Errorf("another request with the key: %v, %d pieces, not %d", err, pieces(t, db), one)
		}
		write(t, q).Drop(t.Context())
		if n := pieces(t, db); n != one {
			t.Errorf("%d pieces after a drop, not %d", n, one)
		}
		write(t, q) // its process dies
		for _, tt := range []struct {
			age  time.Duration
			want bool
		}{{30 * time.Minute, true}, {2 * time.Hour, false}} {
			now = now.Add(tt.age)
			if err := q.Clean(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := pieces(t, db); (n > one) != tt.want || n < one {
				t.Errorf("%d pieces after %v, and %d are those of a job", n, tt.age, one)
			}
		}
		if _, err := q.Cancel(t.Context(), first.ID, nil); err != nil {
			t.Fatal(err)
		}
		if n := pieces(t, db); n != 0 {
			t.Errorf("%d pieces are left after a cancel", n)
		}
	})
}
