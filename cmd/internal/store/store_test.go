//go:build unix

package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed/database"
)

var databases database.Databases

func TestMain(m *testing.M) {
	if url := os.Getenv(holderURL); url != "" {
		os.Exit(hold(url))
	}
	os.Exit(databases.Main(m))
}

func open(t *testing.T, url string) *store.DB {
	t.Helper()
	d, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func table(t *testing.T, d *store.DB) {
	t.Helper()
	if err := d.Migrate(t.Context(), "test", []string{`CREATE TABLE things (name TEXT PRIMARY KEY, n BIGINT NOT NULL, bytes BLOB)`}); err != nil {
		t.Fatal(err)
	}
}

func put(ctx context.Context, tx *sql.Tx, name string, n int) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO things (n, name) VALUES ($2, $1)`, name, n)
	return err
}

func names(t *testing.T, d *store.DB) string {
	t.Helper()
	rows, err := d.QueryContext(t.Context(), `SELECT name FROM things ORDER BY name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func TestWritesOfATransactionAreKeptOnSuccessAndUndoneOnFailure(t *testing.T) {
	databases.Both(t, func(t *testing.T, url string) {
		t.Helper()
		d := open(t, url)
		table(t, d)
		if err := d.Tx(t.Context(), func(tx *sql.Tx) error { return put(t.Context(), tx, "kept", 1) }); err != nil {
			t.Fatal(err)
		}
		mine := errors.New("mine")
		if err := d.Tx(t.Context(), func(tx *sql.Tx) error { return errors.Join(put(t.Context(), tx, "undone", 1), mine) }); !errors.Is(err, mine) {
			t.Fatal(err)
		}
		if _, err := d.ExecContext(t.Context(), `UPDATE things SET bytes = $2, n = n + $3 WHERE name = $1 AND name = $1`, "kept", []byte{0, 1}, 41); err != nil {
			t.Fatal(err)
		}
		var n int
		var b []byte
		if err := d.QueryRowContext(t.Context(), `SELECT n, bytes FROM things`).Scan(&n, &b); err != nil || n != 42 || string(b) != "\x00\x01" {
			t.Fatal(n, b, err)
		}
		if got := names(t, d); got != "kept" {
			t.Error(got)
		}
	})
}

// On SQLite, concurrent transactions share commits. What happens to one must not affect the others.
func TestATransactionThatFailsPanicsOrIsCanceledLeavesItsNeighboursAlone(t *testing.T) {
	databases.Both(t, func(t *testing.T, url string) {
		t.Helper()
		d := open(t, url)
		table(t, d)
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				defer func() {
					if p := recover(); (p != nil) != (i%5 == 3) {
						t.Error(i, p)
					}
				}()
				err := d.Tx(ctx, func(tx *sql.Tx) error {
					if err := put(ctx, tx, fmt.Sprintf("t%03d", i), i); err != nil {
						return err
					}
					switch i % 5 {
					case 1:
						return errors.New("no")
					case 2:
						cancel()
						return put(ctx, tx, fmt.Sprintf("u%03d", i), i)
					case 3:
						panic("no")
					case 4: // a violated constraint aborts the transaction on PostgreSQL, but only the statement on SQLite
						return put(ctx, tx, fmt.Sprintf("t%03d", i), i)
					}
					return nil
				})
				if (err == nil) != (i%5 == 0) {
					t.Error(i, err)
				}
			})
		}
		wg.Wait()
		var want []string
		for i := 0; i < 200; i += 5 {
			want = append(want, fmt.Sprintf("t%03d", i))
		}
		if got := names(t, d); got != strings.Join(want, " ") {
			t.Error(got)
		}
	})
}

func TestConcurrentIncrementsLoseNothing(t *testing.T) {
	databases.Both(t, func(t *testing.T, url string) {
		t.Helper()
		d := open(t, url)
		table(t, d)
		if _, err := d.ExecContext(t.Context(), `INSERT INTO things (name, n) VALUES ('a', 0), ('b', 0)`); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				first, second := "a", "b" // the reverse order causes deadlocks, after which one transaction runs again
				if i%2 == 1 {
					first, second = second, first
				}
				if err := d.Tx(t.Context(), func(tx *sql.Tx) error {
					for _, name := range []string{first, second} {
						var n int
						if err := tx.QueryRowContext(t.Context(), `SELECT n FROM things WHERE name = $1`+d.ForUpdate(), name).Scan(&n); err != nil {
							return err
						}
						if _, err := tx.ExecContext(t.Context(), `UPDATE things SET n = $1 WHERE name = $2`, n+1, name); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
			})
			if i%2 == 1 { // PostgreSQL needs a second to detect a deadlock
				wg.Wait()
			}
		}
		wg.Wait()
		var a, b int
		if err := d.QueryRowContext(t.Context(), `SELECT min(n), max(n) FROM things`).Scan(&a, &b); err != nil || a != 20 || b != 20 {
			t.Error(a, b, err)
		}
	})
}

func TestMigrationsRunOnceInOrderAndTogether(t *testing.T) {
	databases.Both(t, func(t *testing.T, url string) {
		t.Helper()
		d := open(t, url)
		steps := []string{`CREATE TABLE a (x BIGINT); CREATE TABLE b (x BIGINT)`, `INSERT INTO a VALUES (1)`}
		for range 2 {
			if err := d.Migrate(t.Context(), "test", steps); err != nil {
				t.Fatal(err)
			}
		}
		err := d.Migrate(t.Context(), "test", append(steps, `INSERT INTO a VALUES (2)`, `INSERT INTO nowhere VALUES (1)`))
		if err == nil || !strings.Contains(err.Error(), "step 4 of test") {
			t.Error(err)
		}
		if err := d.Migrate(t.Context(), "other", []string{`INSERT INTO a VALUES (10)`}); err != nil {
			t.Fatal(err)
		}
		var sum int
		if err := d.QueryRowContext(t.Context(), `SELECT sum(x) FROM a`).Scan(&sum); err != nil || sum != 11 {
			t.Error(sum, err)
		}
		if err := d.Migrate(t.Context(), "test", steps[:1]); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "have version 2, and this dray knows version 1") {
			t.Error("a newer schema:", err)
		}
	})
}

func TestProcessesThatStartTogetherMigrateOnce(t *testing.T) {
	url := databases.Postgres(t)
	var wg sync.WaitGroup
	for range 6 {
		d := open(t, url)
		wg.Go(func() {
			if err := d.Migrate(t.Context(), "test", []string{`CREATE TABLE once (x BIGINT)`, `INSERT INTO once VALUES (1)`}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestASecondProcessOnAFileIsRefusedUnlessItOnlyReads(t *testing.T) {
	url := databases.SQLite(t)
	d := open(t, url)
	table(t, d)
	if _, err := store.Open(t.Context(), url); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "another process holds it") {
		t.Error(err)
	}
	r, err := store.OpenReadOnly(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := d.ExecContext(t.Context(), `INSERT INTO things (name, n) VALUES ('seen', 1)`); err != nil {
		t.Fatal(err)
	}
	if got := names(t, r); got != "seen" {
		t.Error(got)
	}
	if _, err := r.ExecContext(t.Context(), `DELETE FROM things`); !fault.Is(err, fault.Refused) {
		t.Error(err)
	}
	for _, pool := range []*sql.DB{r.DB, d.DB} {
		if _, err := pool.ExecContext(t.Context(), `DELETE FROM things`); err == nil {
			t.Error("the pool for reading accepted a write")
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, url) // the file was unlocked
	if _, err := store.OpenReadOnly(t.Context(), databases.SQLite(t)); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func TestABackupIsCompleteAndReplacesNothing(t *testing.T) {
	url := databases.SQLite(t)
	d := open(t, url)
	table(t, d)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // the backup runs while the database is in use
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := d.Tx(t.Context(), func(tx *sql.Tx) error {
				return errors.Join(put(t.Context(), tx, fmt.Sprintf("a%d", i), i), put(t.Context(), tx, fmt.Sprintf("b%d", i), i))
			}); err != nil {
				t.Error(err)
			}
		}
	})
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := d.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	r, err := store.OpenReadOnly(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Backup(t.Context(), path+"2"); err != nil { // as from another process
		t.Error(err)
	}
	close(stop)
	wg.Wait()
	if err := d.Backup(t.Context(), path); !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	c := open(t, "sqlite:"+path)
	var n, odd int
	if err := c.QueryRowContext(t.Context(), `SELECT count(*), count(*) % 2 FROM things`).Scan(&n, &odd); err != nil || odd != 0 {
		t.Error(n, odd, err)
	}
	if err := open(t, databases.Postgres(t)).Backup(t.Context(), path+"3"); !fault.Is(err, fault.Refused) {
		t.Error(err)
	}
}

// The test has a separate PostgreSQL, because it crashes it.
func TestWorkGoesOnAfterPostgresWasRestarted(t *testing.T) {
	p := database.NewPostgres(t)
	here := open(t, p.URL)
	table(t, here)
	if err := p.Stop("immediate"); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		failed <- here.Tx(t.Context(), func(tx *sql.Tx) error { return put(t.Context(), tx, "waited", 1) })
	}()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil && !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	} else if err == nil && names(t, here) != "waited" {
		t.Error("a write succeeded while the database was down")
	}
	if err := here.Tx(t.Context(), func(tx *sql.Tx) error { return put(t.Context(), tx, "x", 1) }); err != nil {
		t.Error(err)
	}
}

func TestAnErrorShowsNoPassword(t *testing.T) {
	for _, url := range []string{
		"postgres://ann:canary-7f3a91@127.0.0.1:1/db?connect_timeout=1",
		"postgres://ann:canary-7f3a91@127.0.0.1:notaport/db",
		"postgresql://ann@127.0.0.1:1/db?password=canary-7f3a91&connect_timeout=1",
		"mysql://ann:canary-7f3a91@127.0.0.1/db",
	} {
		_, err := store.Open(t.Context(), url)
		if err == nil || strings.Contains(err.Error(), "canary-7f3a91") || fault.KindOf(err) == fault.Internal {
			t.Error(url, err)
		}
	}
}
