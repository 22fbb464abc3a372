package store_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/drayage/dray/cmd/internal/store"
)

// fill adds 12 MB of rows, and empty deletes them.
const (
	fill = `WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 12000)
		INSERT INTO things (name, n, bytes) SELECT 'x' || i, 0, zeroblob(1000) FROM s`
	empty = `DELETE FROM things`
)

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestAFileShrinksAfterRowsWereDeletedAlsoOneOfAnOlderVersion(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"new", "older"} {
		path := filepath.Join(t.TempDir(), "dray.db")
		if kind == "older" { // made without auto_vacuum
			c, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.ExecContext(t.Context(), `CREATE TABLE kept (x TEXT); INSERT INTO kept VALUES ('here')`); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		d := open(t, "sqlite:"+path)
		table(t, d)
		exec := func(ctx context.Context, s string) {
			t.Helper()
			if _, err := d.ExecContext(ctx, s); err != nil {
				t.Fatal(kind, err)
			}
		}
		exec(t.Context(), fill)
		d.ShrinkEvery(time.Millisecond) // nothing is free now
		exec(t.Context(), empty)
		d.ShrinkEvery(time.Millisecond)
		// The file keeps 1024 free pages of 4 KiB.
		for until := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			exec(t.Context(), `INSERT INTO things (name, n) VALUES ('meanwhile', 1) ON CONFLICT DO NOTHING`)
			if size(t, path) <= 5<<20 {
				break
			}
			if time.Now().After(until) {
				t.Fatalf("%s: the file has still %d bytes", kind, size(t, path))
			}
		}
		if kind == "older" {
			var kept string
			if err := d.QueryRowContext(t.Context(), `SELECT x FROM kept`).Scan(&kept); err != nil || kept != "here" {
				t.Error(kept, err)
			}
		}
		if got := names(t, d); got != "meanwhile" {
			t.Error(kind, got)
		}
	}
}

// A file that is too large to be converted when it is opened becomes one that shrinks by a backup.
func TestABackupIsAFileThatShrinks(t *testing.T) {
	t.Parallel()
	old := filepath.Join(t.TempDir(), "old.db")
	c, err := sql.Open("sqlite", old)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ExecContext(t.Context(), `CREATE TABLE things (name TEXT)`); err != nil {
		t.Fatal(err)
	}
	c.Close()
	d, err := store.OpenReadOnly(t.Context(), "sqlite:"+old)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Backup(t.Context(), old+".copy"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{old: "0", old + ".copy": "2"} {
		c, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var mode string
		if err := c.QueryRowContext(t.Context(), `PRAGMA auto_vacuum`).Scan(&mode); err != nil || mode != want {
			t.Error(strings.TrimPrefix(path, filepath.Dir(old)), "has auto_vacuum", mode, "want", want, err)
		}
	}
}
