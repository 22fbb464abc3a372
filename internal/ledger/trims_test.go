package ledger

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func TestTrimsAreRememberedForEachChoiceOfPlatforms(t *testing.T) {
	dir := t.TempDir()
	repo := ref.Repo{Host: "reg.example", Path: "app"}
	a, b, c := oci.Sum([]byte("a")), oci.Sum([]byte("b")), oci.Sum([]byte("c"))
	amd, both := "linux/amd64", "linux/amd64,windows/amd64:10.0.17763"
	for asked, made := range map[string]map[oci.Digest]Trim{
		amd: {a: {Digest: b, Size: 7, Found: amd}, c: {Found: amd}}, both: {a: {Digest: c, Size: 9, Found: amd}},
	} {
		for range 2 { // what an image becomes does not change
			if err := NewTrims(dir).Note(repo, asked, made); err != nil {
				t.Fatal(err)
			}
		}
		if got := NewTrims(dir).Of(repo, asked); len(got) != len(made) || got[a] != made[a] || got[c] != made[c] {
			t.Errorf("%s: %v", asked, got)
		}
	}
	if got := NewTrims(dir).Of(ref.Repo{Host: "reg.example", Path: "other"}, amd); len(got) != 0 {
		t.Errorf("trims of another repository: %v", got)
	}
	files, err := filepath.Glob(filepath.Join(dir, "trims", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], bytes.Replace(raw, []byte(" 7 "), []byte(" 8 "), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := NewTrims(dir).Of(repo, amd); len(got) != 1 || got[c].Found != amd {
		t.Errorf("with a damaged line: %v", got)
	}
	if err := (*Trims)(nil).Note(repo, amd, NewTrims("").Of(repo, amd)); err != nil {
		t.Error(err)
	}
}
