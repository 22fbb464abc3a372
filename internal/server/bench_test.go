package server_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/dray/internal/access"
	"github.com/drayage/dray/internal/server"
)

// clients are many at one server, each with a connection of its own.
type clients struct {
	b     *testing.B
	r     *running
	token string
	each  []*http.Client
}

func newClients(b *testing.B, r *running, token string, n int) *clients {
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

// do asks n times, each at its time: every pause, or with none as fast as they are answered. How
// long one took counts from when it was due.
func (c *clients) do(b *testing.B, n int, pause time.Duration, ask func(client, i int)) {
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

// Over HTTP, with tokens and rules, beside 10,000 queued jobs.
func BenchmarkRequests(b *testing.B) {
	r := run(b, server.Config{Data: b.TempDir(), Slots: -1, Htpasswd: users(b, "admin"), Roles: map[string]access.Role{"admin": access.Admin},
		Rules: []access.Rule{{Principals: []string{"*"}, Verbs: []string{"*"}, Sources: []string{"**"}, Targets: []string{"**"}, Rights: []string{"create"}}}})
	c := newClients(b, r, r.token("ci", access.Submitter).Reveal(), 200)
	submit := func(client, i int) {
		c.ask(client, "POST", "/api/v1/imports", fmt.Sprintf(`{"source":"docker.io/library/busybox:1","images":["busybox:%d"]}`, i), 202)
	}
	b.Run("saturated", func(b *testing.B) {
		for b.Loop() {
			c.do(b, 10_000, 0, submit)
		}
	})
	b.Run("100 a second", func(b *testing.B) {
		for b.Loop() {
			c.do(b, 2000, 10*time.Millisecond, submit)
		}
	})
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			c.do(b, 1000, 10*time.Millisecond, func(client, _ int) { c.ask(client, "GET", "/api/v1/jobs?limit=50", "", 200) })
		}
	})
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	status, _ := os.ReadFile("/proc/self/status")
	_, rss, _ := bytes.Cut(status, []byte("VmRSS:"))
	b.Logf("resident, clients included: %s", bytes.TrimSpace(rss[:bytes.IndexByte(rss, '\n')]))
}
