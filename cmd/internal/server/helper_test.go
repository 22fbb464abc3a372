package server_test

import (
	"path/filepath"
	"testing"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/store"
)

// openAccess opens the access control of a stopped server in data.
func openAccess(t *testing.T, data string) *access.Access {
	t.Helper()
	vault, err := access.OpenVault(t.Context(), access.KeySource{File: filepath.Join(data, "key")})
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(data, "dray.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	a, err := access.Open(t.Context(), access.Config{DB: db, Vault: vault})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func auditOf(t *testing.T, data string) []access.Entry {
	t.Helper()
	a := openAccess(t, data)
	if err := a.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	all, err := a.Entries(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
