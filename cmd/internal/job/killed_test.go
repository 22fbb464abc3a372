//go:build unix

package job_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
)

// kills returns how many processes a test kills: 25, or the number in DRAY_SOAK.
func kills(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("DRAY_SOAK"))
	if err != nil || n < 1 {
		return 25
	}
	t.Logf("soak: %d kills", n)
	return n
}

// clients submit jobs through any server that runs, until each key is accepted. They remember the ID
// with which each key was accepted.
type clients struct {
	t       *testing.T
	mu      sync.Mutex
	servers []*node
	waits   map[string]chan string // by key: the answers
	ids     map[string]string      // by key: the accepted job
	stop    atomic.Bool
	wg      sync.WaitGroup
}

func newClients(t *testing.T, n int) *clients {
	t.Helper()
	c := &clients{t: t, waits: map[string]chan string{}, ids: map[string]string{}}
	for i := range n {
		c.wg.Go(func() {
			for k := 0; !c.stop.Load(); k++ {
				c.submit(fmt.Sprintf("%d-%d", i, k))
			}
		})
	}
	return c
}

func (c *clients) submit(key string) {
	answers := make(chan string, 100)
	c.mu.Lock()
	c.waits[key] = answers
	c.mu.Unlock()
	for {
		c.mu.Lock()
		var s *node
		if len(c.servers) > 0 {
			s = c.servers[rand.IntN(len(c.servers))]
		}
		c.mu.Unlock()
		if s == nil {
			time.Sleep(time.Millisecond)
			continue
		}
		if _, err := fmt.Fprintln(s.in, key); err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		select {
		case a := <-answers:
			if a == "accepted" {
				return
			}
		case <-s.gone: // the answer is lost, so the same key is submitted again
		case <-time.After(2 * time.Second): // the server is suspended
		}
	}
}

// hear receives an answer of a server.
func (c *clients) hear(line string) {
	words := strings.Fields(line)
	c.mu.Lock()
	defer c.mu.Unlock()
	if words[0] == "accepted" {
		if was := c.ids[words[1]]; was != "" && was != words[2] {
			c.t.Errorf("key %s is job %s and job %s", words[1], was, words[2])
		}
		c.ids[words[1]] = words[2]
	}
	select {
	case c.waits[words[1]] <- words[0]:
	default:
	}
}

func (c *clients) use(s *node, instead *node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var left []*node
	for _, o := range c.servers {
		if o != instead {
			left = append(left, o)
		}
	}
	if c.servers = left; s != nil {
		c.servers = append(c.servers, s)
	}
}

// judge runs the remaining jobs and then checks all counts.
func (c *clients) judge(t *testing.T, url string) {
	t.Helper()
	db := openDB(t, url)
	q := open(t, url, job.Config{DB: db})
	work(t, q, 4, perform)
	for key, id := range c.ids {
		if j := ended(t, q, id); j.State != job.Done {
			t.Errorf("%s: %+v", key, j)
		}
	}
	jobs := count(t, db, `SELECT count(*) FROM jobs`)
	t.Logf("%d jobs accepted; %d attempts, %d of them lost with their worker", len(c.ids),
		count(t, db, `SELECT sum(attempt) FROM jobs`), count(t, db, `SELECT sum(lost) FROM jobs`))
	if jobs != len(c.ids) {
		t.Errorf("%d jobs for %d keys", jobs, len(c.ids))
	}
	if n := count(t, db, `SELECT count(*) FROM jobs WHERE state <> 'done'`); n != 0 {
		t.Errorf("%d jobs have not ended", n)
	}
	for _, table := range []string{"effects", "ends"} {
		rows, distinct := count(t, db, `SELECT count(*) FROM `+table), count(t, db, `SELECT count(DISTINCT job) FROM `+table)
		if rows != jobs || distinct != jobs {
			t.Errorf("%s: %d of %d jobs, of %d", table, rows, distinct, jobs)
		}
	}
}

// The server is killed again and again while it accepts and runs jobs. Every accepted job must be done
// once.
func TestNoAcceptedJobIsLostOrDoneTwiceWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "dray.db")
	witness(t, url)
	c := newClients(t, 8)
	for range kills(t) {
		s := start(t, url, c.hear)
		s.up(t)
		c.use(s, nil)
		// A random moment for the kill, counted in jobs: a job that is alone in three kills has failed, and on a slow
		// machine that would happen to one that is not the cause.
		for range 1 + rand.IntN(30) {
			s.until(t, s.ran)
		}
		s.kill()
		c.use(nil, s)
	}
	s := start(t, url, c.hear)
	c.use(s, nil)
	c.stop.Store(true)
	c.wg.Wait()
	s.stop()
	c.judge(t, url)
}

func TestASecondServerOnTheFileIsRefused(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "dray.db")
	s := start(t, url, nil)
	s.up(t)
	second := start(t, url, nil)
	<-second.gone
	if second.cmd.ProcessState.ExitCode() != 1 {
		t.Error(second.cmd.ProcessState)
	}
	s.kill()
	third := start(t, url, nil) // the lock of a killed process does not remain
	third.up(t)
}
