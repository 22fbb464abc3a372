//go:build unix

package job_test

import (
	"runtime"
	"testing"

	"github.com/drayage/dray/cmd/internal/job"
)

// The outcomes of parts that report much are read without all of them in memory.
func TestOutcomesAreReadAFewAtATime(t *testing.T) {
	db := openDB(t, databases.SQLite(t))
	q := open(t, "", job.Config{DB: db})
	j, _, err := q.Submit(t.Context(), job.Submission{Kind: "verify", Principal: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	const parts, size = 40, 256 << 10
	_, err = db.ExecContext(t.Context(), `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < $1)
		INSERT INTO job_parts (job, part, request, state, outcome) SELECT $2, i, '{}', 'done', '{"report":"' || hex(zeroblob($3)) || '"}' FROM n`,
		parts, j.ID, size/2) // hex makes two characters of a byte
	if err != nil {
		t.Fatal(err)
	}
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most, n := inUse(), uint64(0), 0
	for out, err := range q.Outcomes(t.Context(), j.ID) {
		if err != nil || out.State != job.Done || len(out.Report) < size {
			t.Fatalf("%s %d %v", out.State, len(out.Report), err)
		}
		if n++; n%5 == 0 {
			most = max(most, inUse()-min(before, inUse()))
		}
	}
	t.Logf("%d parts of %d KiB each take at most %d KiB at once", n, size>>10, most>>10)
	if n != parts || most > parts*size/2 {
		t.Errorf("%d parts take %d KiB", n, most>>10)
	}
}
