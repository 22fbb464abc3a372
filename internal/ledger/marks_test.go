package ledger

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drayage/dray/ref"
)

func TestMarksAreRememberedAndDamageIsDropped(t *testing.T) {
	dir := t.TempDir()
	a, b, to := ref.Repo{Host: "src.example", Path: "a"}, ref.Repo{Host: "src.example", Path: "b"}, ref.Repo{Host: "dst.example", Path: "a"}
	old, now := time.Unix(1_700_000_000, 7).UTC(), time.Unix(1_800_000_000, 9).UTC()
	for _, m := range []struct {
		from ref.Repo
		mark Mark
	}{{a, Mark{old, old}}, {b, Mark{old, old}}, {a, Mark{now, old}}} {
		if err := NewMarks(dir).Note(m.from, to, m.mark); err != nil {
			t.Fatal(err)
		}
	}
	m := NewMarks(dir)
	if m.Of(a, to) != (Mark{now, old}) || m.Of(b, to) != (Mark{old, old}) || m.Of(a, b) != (Mark{}) {
		t.Errorf("%v %v %v", m.Of(a, to), m.Of(b, to), m.Of(a, b))
	}
	files, err := filepath.Glob(filepath.Join(dir, "marks", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], bytes.Replace(raw, []byte(" 18"), []byte(" 19"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if m.Of(a, to) != (Mark{}) || m.Of(b, to) != (Mark{old, old}) {
		t.Errorf("damaged: %v %v", m.Of(a, to), m.Of(b, to))
	}
}
