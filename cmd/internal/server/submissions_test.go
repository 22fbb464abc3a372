//go:build unix

package server_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/internal/testbed/database"
)

// BenchmarkSubmissions measures submissions to a database by 32 clients, without HTTP: those of two servers
// on PostgreSQL, and of one on SQLite. Each is a job in a transaction of its own, with and without its entry
// in the audit log. The entries are chained meanwhile, as in a server.
func BenchmarkSubmissions(b *testing.B) {
	urls := map[string]func(*testing.B) []string{
		"sqlite": func(b *testing.B) []string {
			b.Helper()
			return []string{"sqlite:" + filepath.Join(b.TempDir(), "dray.db")}
		},
		"postgres": func(b *testing.B) []string {
			b.Helper()
			url := database.Postgres(b)
			return []string{url, url}
		},
	}
	for kind, url := range urls {
		for _, logged := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/audit=%v", kind, logged), func(b *testing.B) { submissions(b, url(b), logged) })
		}
	}
}

func submissions(b *testing.B, servers []string, logged bool) {
	b.Helper()
	vault, err := access.OpenVault(b.Context(), access.KeySource{File: filepath.Join(b.TempDir(), "key")})
	if err != nil {
		b.Fatal(err)
	}
	var submit []func() error
	for _, url := range servers {
		db, err := store.Open(b.Context(), url)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { db.Close() })
		a, err := access.Open(b.Context(), access.Config{DB: db, Vault: vault})
		if err != nil {
			b.Fatal(err)
		}
		cfg := job.Config{DB: db}
		if db.Postgres() {
			cfg.Engine = suite.Divide // nothing runs; the order of each job is written
		}
		q, err := job.Open(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		chaining(b, a)
		submit = append(submit, func() error {
			s := job.Submission{Kind: "import", Principal: "ci", Request: json.RawMessage(`{"source":"docker.io/library/busybox:1"}`), Source: "docker.io/library/busybox:1", Target: "busybox:1"}
			if logged {
				s.Also = func(ctx context.Context, tx *sql.Tx, j job.Job) error {
					return a.Audit(ctx, tx, access.Entry{Principal: j.Principal, Verb: "submit import", Source: j.Source, Target: j.Target, New: j.ID})
				}
			}
			_, _, err := q.Submit(b.Context(), s)
			return err
		})
	}
	const clients = 32
	var next atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	b.ResetTimer()
	for c := range clients {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := submit[c%len(submit)](); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "submissions/s")
}

func chaining(b *testing.B, a *access.Access) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { a.KeepChained(ctx, slog.New(slog.DiscardHandler)) })
	b.Cleanup(func() { stop(); wg.Wait() })
}
