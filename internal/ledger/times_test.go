package ledger

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func TestTimesAreRememberedAndDamageIsDropped(t *testing.T) {
	dir := t.TempDir()
	repo := ref.Repo{Host: "reg.example", Path: "app"}
	a, b := digest.FromBytes([]byte("a")), digest.FromBytes([]byte("b"))
	one, two := time.Unix(1_700_000_000, 0).UTC(), time.Unix(1_800_000_000, 0).UTC()
	for _, made := range []map[oci.Digest]time.Time{{a: one}, {a: two, b: two}} { // an image's time does not change
		if err := NewTimes(dir).Note(repo, made); err != nil {
			t.Fatal(err)
		}
	}
	got := NewTimes(dir).Of(repo)
	if len(got) != 2 || !got[a].Equal(one) || !got[b].Equal(two) {
		t.Errorf("%v", got)
	}
	if got := NewTimes(dir).Of(ref.Repo{Host: "reg.example", Path: "other"}); len(got) != 0 {
		t.Errorf("times of another repository: %v", got)
	}
	files, err := filepath.Glob(filepath.Join(dir, "times", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], bytes.Replace(raw, []byte(" 17"), []byte(" 27"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := NewTimes(dir).Of(repo); len(got) != 1 || !got[b].Equal(two) {
		t.Errorf("with a damaged line: %v", got)
	}
	if err := (*Times)(nil).Note(repo, got); err != nil {
		t.Error(err)
	}
}
