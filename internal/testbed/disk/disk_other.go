//go:build !linux

package disk

import "testing"

// Mount skips the test: only Linux mounts a file system in memory.
func Mount(tb testing.TB, _ int64) string {
	tb.Helper()
	tb.Skip("SKIPPED: there is no small disk on this system")
	return ""
}

// Fill is not called, because Mount skips the test.
func Fill(testing.TB, string, int64) (empty func()) { return func() {} }

// ReadOnly is not called, because Mount skips the test.
func ReadOnly(testing.TB, string) (mend func()) { return func() {} }
