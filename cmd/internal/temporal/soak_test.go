//go:build unix

package temporal_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/internal/testbed/database"
	bed "github.com/drayage/dray/internal/testbed/temporal"
)

// kills returns how many times a test kills something: 4, or the number in DRAY_SOAK.
func kills(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("DRAY_SOAK"))
	if err != nil || n < 1 {
		return 4
	}
	t.Logf("soak: %d kills", n)
	return n
}

// Two servers, three workers, the database and Temporal are killed or suspended in turn. Each accepted job
// must be done, and have its effect once.
func TestNoAcceptedJobIsLostOrDoneTwice(t *testing.T) {
	t.Parallel()
	pg, tm := database.NewPostgres(t), bed.New(t)
	p := place{db: pg.URL, temporal: tm.Namespace(t), lease: lease}
	db := witness(t, p)
	q := open(t, p)
	slots := []int{0, 0, 3, 3, 3}
	nodes := make([]*node, len(slots))
	for i, n := range slots {
		nodes[i] = start(t, p, n)
	}
	var accepted sync.Map // key to id
	var over atomic.Bool
	var clients sync.WaitGroup
	for c := range 2 {
		clients.Go(func() {
			for k := 0; !over.Load(); k++ {
				key := fmt.Sprintf("%d-%d", c, k)
				accepted.Store(key, accept(t, q, key, []string{"done", "sleep 100", "parts 3", "wait"}[rand.IntN(4)]))
				time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
			}
		})
	}
	for k := range kills(t) {
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond) // a random moment
		i := rand.IntN(len(nodes))
		switch k % 4 {
		case 1: // a suspended process continues next to its successor
			nodes[i].signal(syscall.SIGSTOP)
			time.Sleep(lease + lease/2)
			nodes[i].signal(syscall.SIGCONT)
		case 2:
			must(t, pg.Stop("immediate"))
			must(t, pg.Start())
		case 3:
			must(t, tm.Kill())
			must(t, tm.Start())
		default:
			nodes[i].kill()
			nodes[i] = start(t, p, slots[i])
		}
	}
	over.Store(true)
	clients.Wait()
	jobs, attempts := 0, 0
	accepted.Range(func(key, id any) bool {
		j := ended(t, q, id.(string))
		if j.State != job.Done {
			t.Errorf("%s: %+v %v", key, j, j.Failure)
		}
		jobs, attempts = jobs+1, attempts+j.Attempt
		return true
	})
	t.Log(jobs, "jobs,", attempts, "attempts")
	if n := count(t, db, `SELECT count(*) FROM jobs`); n != jobs {
		t.Error(n, "jobs in the database, and", jobs, "accepted")
	}
	if n := count(t, db, `SELECT count(*) FROM (SELECT job, part FROM effects GROUP BY job, part HAVING count(*) > 1) AS twice`); n != 0 {
		t.Error(n, "effects twice")
	}
	if n := count(t, db, `SELECT count(*) FROM (SELECT 1 FROM jobs j LEFT JOIN effects e ON e.job = j.id
			GROUP BY j.id, j.kind HAVING count(e.job) <> CASE WHEN j.kind = 'parts 3' THEN 3 ELSE 1 END) AS bad`); n != 0 {
		t.Error(n, "jobs without their effects")
	}
}

// accept submits a job until it is accepted.
func accept(t *testing.T, q *job.Queue, key, kind string) (id string) {
	t.Helper()
	for {
		j, _, err := q.Submit(t.Context(), job.Submission{Kind: kind, Principal: "ann", Key: key, Request: []byte(`{}`)})
		if err == nil {
			return j.ID
		}
		time.Sleep(50 * time.Millisecond)
	}
}
