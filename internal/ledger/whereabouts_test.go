package ledger

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func blobOf(i int) oci.Digest { return oci.Sum(fmt.Append(nil, i)) }

func TestWhereaboutsAreReadBackMergedAndTakenBack(t *testing.T) {
	w := NewWhereabouts(t.TempDir())
	read := func(want Places) {
		t.Helper()
		got, err := w.Read("reg.example")
		if err != nil || len(got) != len(want) {
			t.Fatalf("%v, %v; want %v", got, err, want)
		}
		for d, paths := range want {
			if !slices.Equal(got[d], paths) {
				t.Errorf("%s is in %v, want %v", d, got[d], paths)
			}
		}
	}
	merge := func(seen, wrong Places) {
		t.Helper()
		if err := w.Merge("reg.example", seen, wrong); err != nil {
			t.Fatal(err)
		}
	}
	read(nil)
	merge(Places{blobOf(1): {"a"}, blobOf(2): {"a", "b"}}, nil)
	read(Places{blobOf(1): {"a"}, blobOf(2): {"a", "b"}})
	merge(Places{blobOf(1): {"c"}, blobOf(2): {"c"}}, nil)
	read(Places{blobOf(1): {"c", "a"}, blobOf(2): {"c", "a"}})
	merge(nil, Places{blobOf(1): {"c", "a"}, blobOf(2): {"c"}, blobOf(3): {"x"}})
	read(Places{blobOf(2): {"a"}})
	if other, err := w.Read("other.example"); err != nil || len(other) != 0 {
		t.Errorf("another registry has %v, %v", other, err)
	}
	var none *Whereabouts
	if got, err := none.Read("reg.example"); got != nil || err != nil || none.Merge("reg.example", Places{blobOf(1): {"a"}}, nil) != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWhereaboutsOfManyProcessesAddUp(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := NewWhereabouts(dir).Merge("reg.example", Places{blobOf(i): {"a"}}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := NewWhereabouts(dir).Read("reg.example")
	if err != nil || len(got) != 20 {
		t.Errorf("%d blobs, %v", len(got), err)
	}
}

func TestDamagedWhereaboutsAreDropped(t *testing.T) {
	w := NewWhereabouts(t.TempDir())
	if err := w.Merge("reg.example", Places{blobOf(1): {"a"}, blobOf(2): {"b/c"}}, nil); err != nil {
		t.Fatal(err)
	}
	path := w.file("reg.example")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		for name, damaged := range map[string][]byte{"a bit is wrong": bytes.Clone(whole), "cut": whole[:i]} {
			if name == "a bit is wrong" {
				damaged[i] ^= 1
			}
			if h := parseHints(damaged, "reg.example", time.Now()); len(h) != 0 {
				t.Fatalf("byte %d %s: %v", i, name, h)
			}
		}
	}
	if err := os.WriteFile(path, whole[:50], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.Merge("reg.example", Places{blobOf(3): {"a"}}, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := w.Read("reg.example"); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestWhereaboutsAreBoundedAndEnd(t *testing.T) {
	now := time.Now()
	h := merged(hints{}, Places{blobOf(-1): {"old"}}, nil, now.Add(-24*time.Hour))
	seen := Places{}
	for i := range maxHints {
		seen[blobOf(i)] = []string{"a", "b", "c"}
	}
	h = merged(h, seen, nil, now)
	key, _ := keyOf(blobOf(-1))
	if _, old := h[key]; len(h) != maxHints || old {
		t.Errorf("%d blobs, the oldest is there: %v", len(h), old)
	}
	raw := hintsFile(h)
	if len(raw) > 6<<20 {
		t.Errorf("%d bytes", len(raw))
	}
	for late, want := range map[time.Duration]int{0: maxHints, HintsFor: maxHints, HintsFor + 25*time.Hour: 0} {
		if got := parseHints(raw, "reg.example", now.Add(late)); len(got) != want {
			t.Errorf("after %v: %d blobs", late, len(got))
		}
	}
}

func FuzzWhereabouts(f *testing.F) {
	f.Add([]byte("dray whereabouts 1\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, x := range parseHints(raw, "reg.example", time.Now()) {
			for _, p := range x.at {
				if _, err := ref.NewRepo("reg.example", p); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
