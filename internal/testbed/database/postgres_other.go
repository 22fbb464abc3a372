//go:build !unix

package database

import "testing"

// Postgres skips the test: the tests start PostgreSQL only on Unix.
func Postgres(tb testing.TB) string {
	tb.Helper()
	tb.Skip("SKIPPED: the tests start PostgreSQL only on Unix")
	return ""
}
