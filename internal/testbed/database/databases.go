//go:build unix

package database

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// Databases provides the databases on which a package's tests run: a SQLite file, and one
// PostgreSQL server that all of these tests share and none stops. The zero value starts the server
// for the first test that asks for it.
type Databases struct {
	once    sync.Once
	cluster *PostgresServer
	err     error
}

// Main runs the tests, calls each function of ends, and stops the server. It fails if a goroutine is left
// running. It returns the exit code.
func (d *Databases) Main(m *testing.M, ends ...func()) int {
	code := m.Run()
	for _, end := range ends {
		end()
	}
	if d.cluster != nil {
		d.cluster.End()
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// SQLite returns the address of a new file in a temporary directory of the test.
func (d *Databases) SQLite(tb testing.TB) string {
	tb.Helper()
	return "sqlite:" + filepath.Join(tb.TempDir(), "a b?#%.db")
}

// Postgres returns the address of a new database for this test. Without PostgreSQL on this machine
// the test is skipped, and the message says why.
func (d *Databases) Postgres(tb testing.TB) string {
	tb.Helper()
	d.once.Do(func() { d.cluster, d.err = StartPostgres() })
	if errors.Is(d.err, ErrNoPostgres) {
		tb.Skip("SKIPPED:", d.err)
	}
	if d.err != nil {
		tb.Fatal(d.err)
	}
	return d.cluster.Database(tb)
}

// Both runs f on both databases, which must behave in the same way.
func (d *Databases) Both(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, d.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, d.Postgres(t)) })
}
