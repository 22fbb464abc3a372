//go:build !linux

package disk

import "testing"

// Small skips the test: only Linux mounts a file system in memory.
func Small(tb testing.TB, _ int64) string {
	tb.Helper()
	tb.Skip("SKIPPED: there is no small disk on this system")
	return ""
}

// Fill is not called, because Small skips the test.
func Fill(testing.TB, string, int64) (empty func()) { return func() {} }
