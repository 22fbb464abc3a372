package ledger

import (
	"testing"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func TestASparseIndexIsRememberedUntilItIsWhole(t *testing.T) {
	dir, repo := t.TempDir(), ref.Repo{Host: "r.example", Path: "app"}
	a, b := oci.Sum([]byte("a")), oci.Sum([]byte("b"))
	if err := NewSparse(dir).Note(repo, []oci.Digest{a, b}, nil); err != nil {
		t.Fatal(err)
	}
	if err := NewSparse(dir).Note(repo, nil, []oci.Digest{a}); err != nil {
		t.Fatal(err)
	}
	if got := NewSparse(dir).Of(repo); len(got) != 1 || !got[b] {
		t.Errorf("%v", got)
	}
	if got := NewSparse("").Of(repo); len(got) != 0 {
		t.Errorf("without a directory: %v", got)
	}
}
