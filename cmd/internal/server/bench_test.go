package server_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/store"
)

// clients is a number of clients of one server, each with its own connection.
type clients struct {
	b     *testing.B
	r     *running
	token string
	each  []*http.Client
}

func newClients(b *testing.B, r *running, token string, n int) *clients {
	b.Helper()
	c := &clients{b: b, r: r, token: token}
	for range n {
		t := &http.Transport{MaxConnsPerHost: 1, DialContext: (&net.Dialer{}).DialContext}
		b.Cleanup(t.CloseIdleConnections)
		c.each = append(c.each, &http.Client{Transport: t})
	}
	return c
}

func (c *clients) ask(client int, method, path, body string, want int) {
	req, err := http.NewRequest(method, c.r.base+path, strings.NewReader(body))
	if err != nil {
		c.b.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.each[client].Do(req)
	if err != nil {
		c.b.Error(err)
		return
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != want {
		c.b.Errorf("%s: %s", resp.Status, said)
	}
}

// do calls ask n times: one call every pause, or, if pause is 0, as fast as the answers come. The time
// that a call took counts from the moment when it was due.
func (c *clients) do(b *testing.B, n int, pause time.Duration, ask func(client, i int)) {
	b.Helper()
	took := make([]time.Duration, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for client := range c.each {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				due := time.Now()
				if pause > 0 {
					due = start.Add(time.Duration(i) * pause)
					time.Sleep(time.Until(due))
				}
				ask(client, i)
				took[i] = time.Since(due)
			}
		})
	}
	wg.Wait()
	spent := time.Since(start)
	slices.Sort(took)
	b.ReportMetric(float64(n)/spent.Seconds(), "requests/s")
	b.ReportMetric(float64(took[n/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[n*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkRequests measures requests over HTTP, with a token and rules: first 10,000 submissions as
// fast as they are answered, then 100 submissions a second on top of the jobs of the first, and pages
// of the list. The database holds a history of ended jobs from the beginning.
func BenchmarkRequests(b *testing.B) {
	data := b.TempDir()
	c := server.Config{Data: data, Slots: -1, Htpasswd: users(b, "admin"), Roles: map[string]access.Role{"admin": access.Admin},
		Rules: []access.Rule{{Principals: []string{"*"}, Verbs: []string{"*"}, Sources: []string{"**"}, Targets: []string{"**"}, Rights: []string{"create"}}}}
	first := run(b, c)
	token := first.token("ci", access.Submitter).Reveal()
	first.stop()
	first.wait()
	past(b, data, 100_000)

	r := run(b, c)
	all := newClients(b, r, token, 200)
	submit := func(client, i int) {
		all.ask(client, "POST", "/api/v1/imports", fmt.Sprintf(`{"source":"127.0.0.1:1/app:v1","images":["app:v%d"]}`, i), 202)
	}
	b.Run("saturated", func(b *testing.B) {
		for b.Loop() {
			all.do(b, 10_000, 0, submit)
		}
	})
	b.Run("100 a second", func(b *testing.B) {
		for b.Loop() {
			all.do(b, 2000, 10*time.Millisecond, submit)
		}
	})
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			all.do(b, 1000, 10*time.Millisecond, func(client, _ int) { all.ask(client, "GET", "/api/v1/jobs?limit=50", "", 200) })
		}
	})
	b.Run("resident", func(b *testing.B) { // the figure includes the clients, which run in this process
		for b.Loop() {
		}
		b.ReportMetric(resident(b), "MB")
	})
	r.stop()
	r.wait()
	b.Run("restart to first dispatch", func(b *testing.B) {
		c.Slots = 1
		for b.Loop() {
			again := run(b, c)
			for {
				resp := again.as("admin", "GET", "/metrics", nil)
				if raw, _ := io.ReadAll(resp.Body); bytes.Contains(raw, []byte("dray_job_runs_total{")) {
					break
				}
			}
			b.StopTimer()
			again.stop()
			again.wait()
			b.StartTimer()
		}
	})
}

// past fills the database of a stopped server with n ended jobs.
func past(b *testing.B, data string, n int) {
	b.Helper()
	db, err := store.Open(b.Context(), "sqlite:"+filepath.Join(data, "dray.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(b.Context(), `WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < $1)
		INSERT INTO jobs (id, kind, principal, request, source, target, state, attempt, created, claimed, started, ended)
		SELECT printf('01JAAA%020d', i), 'import', 'ci', '{"kind":"import"}', 'docker.io/library/busybox:' || i, 'app:' || i, 'done', 1, i AS created, i AS claimed, i AS started, $2 + i FROM s`,
		n, time.Now().UnixMicro()-int64(n))
	if err != nil {
		b.Fatal(err)
	}
}

func resident(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("SKIPPED: no /proc here")
	}
	var kB float64
	_, rss, _ := strings.Cut(string(status), "VmRSS:")
	if _, err := fmt.Sscan(rss, &kB); err != nil {
		b.Fatal(err)
	}
	return kB / 1000
}
