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

// Databases are those on which a package's tests run: a SQLite file, and one PostgreSQL that all
// of them share and none stops. The zero value starts it for the first test that asks.
type Databases struct {
	once    sync.Once
	cluster *PostgresServer
	err     error
}

// Main runs the tests, ends the cluster, and holds it against the package when a goroutine is left.
// It returns the code to exit with.
func (d *Databases) Main(m *testing.M) int {
	code := m.Run()
	if d.cluster != nil {
		d.cluster.End()
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// SQLite is the address of a file that is not there yet, in a directory of the test.
func (d *Databases) SQLite(tb testing.TB) string {
	return "sqlite:" + filepath.Join(tb.TempDir(), "a b?#%.db")
}

// Postgres is the address of a database of the test's own. It is skipped, by name, where there is
// no PostgreSQL.
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

// Both holds both databases to one behaviour.
func (d *Databases) Both(t *testing.T, f func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { f(t, d.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, d.Postgres(t)) })
}
