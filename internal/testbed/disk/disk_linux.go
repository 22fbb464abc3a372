package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Mount returns the directory of a file system of its own, of so many bytes. It skips the test if this user may not
// mount one.
func Mount(tb testing.TB, size int64) string {
	tb.Helper()
	dir := tb.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		tb.Skip("SKIPPED: this user may not mount a file system")
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			tb.Error(err)
		}
	})
	return dir
}

// Fill writes a file until the file system of dir has at most free bytes left, and returns a function that removes it.
func Fill(tb testing.TB, dir string, free int64) (empty func()) {
	tb.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		tb.Fatal(err)
	}
	name := filepath.Join(dir, "filled")
	n := max(int64(s.Bavail)*s.Bsize-free, 0)
	// Who is tested may write at the same time, so that less fits.
	if err := os.WriteFile(name, make([]byte, n), 0o600); err != nil && !errors.Is(err, syscall.ENOSPC) {
		tb.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			tb.Error(err)
		}
	}
}

// ReadOnly mounts the file system of Mount for reading only, and returns a function that lets it be written again.
func ReadOnly(tb testing.TB, dir string) (mend func()) {
	tb.Helper()
	remount := func(flags uintptr) {
		tb.Helper()
		if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, ""); err != nil {
			tb.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	return func() { tb.Helper(); remount(0) }
}
