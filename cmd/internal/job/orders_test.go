//go:build unix

package job_test

import (
	"database/sql"
	"slices"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
)

func TestNoOrderWaitsForTheManyOfAnotherPrincipal(t *testing.T) {
	for _, url := range []string{databases.Postgres(t), databases.SQLite(t)} {
		q := open(t, url, job.Config{Engine: suite.Divide})
		var all []string
		for range 50 {
			all = append(all, submit(t, q, job.Submission{}).ID)
		}
		bob := submit(t, q, job.Submission{Principal: "bob"})
		if _, err := q.Cancel(t.Context(), all[40], nil); err != nil {
			t.Fatal(err)
		}
		first, err := q.Orders(t.Context(), 10)
		if err != nil || len(first) != 10 {
			t.Fatal(first, err)
		}
		want := []string{"start " + all[0], "start " + bob.ID, "cancel " + all[40], "start " + all[1], "start " + all[2]}
		var got []string
		for _, o := range first[:5] {
			got = append(got, string(o.Kind)+" "+o.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if err := q.Carried(t.Context(), first[0].Seq, first[1].Seq, first[2].Seq); err != nil {
			t.Fatal(err)
		}
		if rest, err := q.Orders(t.Context(), 100); err != nil || len(rest) != 49 || rest[0].ID != all[1] {
			t.Error(len(rest), err)
		}
	}
}

// What a look for orders costs after b.N jobs, one after the other, while a transaction of long ago keeps
// PostgreSQL from forgetting the rows of those that were carried out.
func BenchmarkOrders(b *testing.B) {
	for _, old := range []bool{false, true} {
		name := "plain"
		if old {
			name = "old snapshot"
		}
		b.Run(name, func(b *testing.B) {
			db := openDB(b, databases.Postgres(b))
			q := open(b, "", job.Config{DB: db, Engine: suite.Divide})
			if old {
				tx, err := db.BeginTx(b.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
				if err != nil {
					b.Fatal(err)
				}
				defer tx.Rollback()
				if err := tx.QueryRowContext(b.Context(), `SELECT count(*) FROM jobs`).Scan(new(int)); err != nil {
					b.Fatal(err)
				}
			}
			var looking time.Duration
			for b.Loop() {
				submit(b, q, job.Submission{})
				began := time.Now()
				all, err := q.Orders(b.Context(), 256)
				looking += time.Since(began)
				if err != nil || len(all) != 1 || q.Carried(b.Context(), all[0].Seq) != nil {
					b.Fatal(all, err)
				}
			}
			b.ReportMetric(float64(looking.Microseconds())/float64(b.N), "µs/look")
		})
	}
}
