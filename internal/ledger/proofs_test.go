package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func digestOf(i int) oci.Digest { return oci.Sum(fmt.Appendf(nil, "%d", i)) }

func TestProofsAreKeptUntilTheyAreTakenBackOrOld(t *testing.T) {
	dir := t.TempDir()
	p, app, other := NewProofs(dir), ref.Repo{Host: "a.io", Path: "app"}, ref.Repo{Host: "a.io", Path: "other"}
	if err := p.Note(app, []oci.Digest{digestOf(1), digestOf(2), digestOf(1)}, nil); err != nil {
		t.Fatal(err)
	}
	if got := NewProofs(dir).Of(app); len(got) != 2 || !got[digestOf(1)] || len(p.Of(other)) != 0 {
		t.Errorf("%v", got)
	}
	if err := p.Note(app, []oci.Digest{digestOf(3)}, []oci.Digest{digestOf(1)}); err != nil {
		t.Fatal(err)
	}
	if got := p.Of(app); len(got) != 2 || got[digestOf(1)] || !got[digestOf(3)] {
		t.Errorf("%v", got)
	}
	path := p.notes.file(app)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	old := time.Now().Add(-ProofsFor - time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	if got := p.Of(app); len(got) != 0 {
		t.Errorf("old: %v", got)
	}
	if err := os.WriteFile(path, []byte("dray proofs 1\nnonsense\n"+string(digestOf(7))+"\nsha256:cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := p.Of(app); len(got) != 1 || !got[digestOf(7)] {
		t.Errorf("damaged: %v", got)
	}
	if err := os.WriteFile(path, []byte("dray proofs 2\n"+string(digestOf(7))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := p.Of(app); len(got) != 0 {
		t.Errorf("newer: %v", got)
	}
	var none *Proofs
	if none.Note(app, []oci.Digest{digestOf(1)}, nil) != nil || none.Of(app) != nil || NewProofs("") != nil {
		t.Error("a nil Proofs remembers something")
	}
}

func TestProofsOfARepositoryAreBoundedAndWrittenByMany(t *testing.T) {
	p, app := NewProofs(t.TempDir()), ref.Repo{Host: "a.io", Path: "app"}
	var many []oci.Digest
	for i := range maxProofs + 5 {
		many = append(many, digestOf(i))
	}
	if err := p.Note(app, many, nil); err != nil {
		t.Fatal(err)
	}
	if got := p.Of(app); len(got) != maxProofs || got[digestOf(4)] || !got[digestOf(5)] {
		t.Errorf("%d", len(got))
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := p.Note(app, []oci.Digest{digestOf(maxProofs + 10 + i)}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := p.Of(app); len(got) != maxProofs {
		t.Errorf("%d after many", len(got))
	}
	few := ref.Repo{Host: "a.io", Path: "few"}
	for i := range 20 {
		wg.Go(func() {
			if err := NewProofs(filepath.Dir(p.notes.dir)).Note(few, []oci.Digest{digestOf(i)}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := p.Of(few); len(got) != 20 {
		t.Errorf("%d of the proofs that 20 processes noted at once", len(got))
	}
	if left, _ := filepath.Glob(filepath.Join(p.notes.dir, "*"+lockSuffix)); len(left) != 0 {
		t.Errorf("%v", left)
	}
}

func TestWhatIsNoFileOfOursHoldsNothing(t *testing.T) {
	dir, app := t.TempDir(), ref.Repo{Host: "a.io", Path: "app"}
	p, w := NewProofs(dir), NewWhereabouts(dir)
	if err := p.Note(app, []oci.Digest{digestOf(1)}, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(p.notes.file(app), maxFile+1); err != nil {
		t.Fatal(err)
	}
	if got := p.Of(app); len(got) != 0 {
		t.Errorf("a file longer than maxFile: %v", got)
	}
	if err := os.MkdirAll(w.file("a.io"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := w.Read("a.io"); len(got) != 0 || err != nil {
		t.Errorf("a directory: %v %v", got, err)
	}
}
