package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

func TestADamagedOrFullFileIsSaidWithTheNextStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dray.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("not a database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), "sqlite:"+path)
	if !fault.Is(err, fault.Corrupt) || !strings.Contains(fault.HintOf(err), "dray serve restore") {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}

	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "dray.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range []string{"CREATE TABLE t (x BLOB)", "PRAGMA max_page_count = 8"} {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	_, err = db.ExecContext(t.Context(), "INSERT INTO t VALUES (zeroblob(1000000))")
	err = db.Explain("write", err)
	if !fault.Is(err, fault.Full) || !strings.Contains(fault.HintOf(err), "free space") {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
}
