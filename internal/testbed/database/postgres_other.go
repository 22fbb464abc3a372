//go:build !unix

package database

import "testing"

// Postgres skips the test: PostgreSQL is started on Unix alone.
func Postgres(tb testing.TB) string {
	tb.Helper()
	tb.Skip("SKIPPED: PostgreSQL is started on Unix alone")
	return ""
}
