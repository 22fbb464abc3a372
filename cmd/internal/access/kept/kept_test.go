package kept_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/access/kept"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

func TestALineThatWasCutOffSpoilsNoOther(t *testing.T) {
	file := filepath.Join(t.TempDir(), "heads")
	for i := range 3 {
		if err := kept.Append(file, wire.Head{Seq: int64(i + 1)}); err != nil {
			t.Fatal(err)
		}
		if i == 1 { // the machine stopped, or the disk was full
			if err := os.Truncate(file, size(t, file)-5); err != nil {
				t.Fatal(err)
			}
		}
	}
	raw, err := os.ReadFile(file)
	lines := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	if err != nil || len(lines) != 3 || !strings.Contains(lines[2], `"seq":3`) || !strings.HasPrefix(lines[2], "{") {
		t.Errorf("%q %v", lines, err)
	}
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestAFileIsCheckedWithoutBeingMade(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "heads")
	if err := kept.Check(file); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
	if err := kept.Check(filepath.Join(dir, "none", "heads")); !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), "make the directory ") {
		t.Error(err)
	}
	if err := kept.Check(dir); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if err := kept.Append(file, wire.Head{Seq: 1}); err != nil || kept.Check(file) != nil {
		t.Error(err, kept.Check(file))
	}
}
