package yard

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/internal/testbed"
)

// Disk returns a yard whose target stores its content in dir.
func Disk(t *testing.T) (y *Yard, dir string) {
	t.Helper()
	dir = t.TempDir()
	return Of(t, testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{Dir: dir})), dir
}

// Data returns the file of a blob or document in dir.
func Data(t *testing.T, dir, digest string) string {
	t.Helper()
	hex := strings.TrimPrefix(digest, "sha256:")
	path := filepath.Join(dir, "docker/registry/v2/blobs/sha256", hex[:2], hex, "data")
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Spoil changes the first byte of a file.
func Spoil(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x20
	Write(t, path, b)
}

// Write writes a file.
func Write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Remove removes a file.
func Remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
