package ledger

import (
	"testing"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func TestWhatATargetRefusedIsRememberedUntilItIsTaken(t *testing.T) {
	dir, repo := t.TempDir(), ref.Repo{Host: "r.example", Path: "app"}
	a, b := oci.Sum([]byte("a")), oci.Sum([]byte("b"))
	if err := NewRefusals(dir).Note(repo, []oci.Digest{a, b}, nil); err != nil {
		t.Fatal(err)
	}
	if err := NewRefusals(dir).Note(repo, nil, []oci.Digest{a}); err != nil {
		t.Fatal(err)
	}
	if got := NewRefusals(dir).Of(repo); len(got) != 1 || !got[b] {
		t.Errorf("%v", got)
	}
	if got := NewRefusals("").Of(repo); len(got) != 0 {
		t.Errorf("without a directory: %v", got)
	}
}
