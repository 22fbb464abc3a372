package have

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

func blob(n int) oci.Digest { return oci.Sum(fmt.Append(nil, n)) }

// some returns a list of n blobs in two repositories.
func some(n int) *List {
	l := New("reg.example/mirror/", time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC))
	for i := range n {
		l.Add(fmt.Sprint("r", i%2), blob(i))
	}
	l.Add("odd", "sha512:"+oci.Digest(fmt.Sprintf("%0128d", 7)))
	l.Names = []Name{{Repo: "r1", Tag: "v1", Digest: blob(1)}, {Repo: "r0", Tag: "v1", Digest: blob(0)}}
	l.AddReferrer("r1", Referrer{blob(-1), blob(1)})
	l.AddReferrer("r0", Referrer{blob(-2), blob(0)})
	l.AddReferrer("r1", Referrer{blob(-2), blob(1)})
	l.AddReferrer("r1", Referrer{blob(-1), blob(1)})
	return l
}

func written(t *testing.T, l *List) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := l.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAListIsReadAsItWasWrittenAndIsSmall(t *testing.T) {
	const n = 20_000
	raw := written(t, some(n))
	if most := n*37 + 2000; len(raw) > most {
		t.Errorf("%d bytes for %d blobs, want at most %d", len(raw), n, most)
	}
	l, err := Read(bytes.NewReader(raw), "have")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 1, n - 1} {
		if repo, ok := l.Holder(blob(i)); !ok || repo != fmt.Sprint("r", i%2) {
			t.Error(i, repo, ok)
		}
	}
	if _, ok := l.Holder(blob(n)); ok || l.Tag("r1", "v1") != blob(1) || l.Tag("r1", "v2") != "" || len(l.In("r0")) != 1 {
		t.Error("the list has something else", ok, l.Names)
	}
	if repo, ok := l.Holder("sha512:" + oci.Digest(fmt.Sprintf("%0128d", 7))); !ok || repo != "odd" {
		t.Error("a digest of another algorithm is lost")
	}
	if l.Blobs() != n+1 || l.CountReferrers() != 3 {
		t.Error(l.Blobs(), l.CountReferrers())
	}
	if got := l.Referrers("r1"); len(got) != 2 || got[0] == got[1] || got[0].Subject != blob(1) || len(l.Referrers("odd")) != 0 {
		t.Error(got)
	}
}

func TestALaterListTakesPrecedence(t *testing.T) {
	l := some(4)
	later := New("reg.example/mirror/", time.Time{})
	later.Names = []Name{{Repo: "r1", Tag: "v1", Digest: blob(9)}}
	later.Add("new", blob(9))
	later.AddReferrer("new", Referrer{blob(-9), blob(9)})
	later.AddReferrer("r0", Referrer{blob(-2), blob(0)})
	for i := range 100 {
		later.Add("new", blob(100-i))
	}
	l.Merge(later)
	for i := range 101 { // what is merged is found at once
		if _, there := l.Holder(blob(i)); !there {
			t.Error("lost", i)
		}
	}
	l, err := Read(bytes.NewReader(written(t, l)), "have")
	if err != nil {
		t.Fatal(err)
	}
	if all := l.Referrers("new"); len(all) != 1 || all[0] != (Referrer{blob(-9), blob(9)}) || l.CountReferrers() != 4 {
		t.Error(all, l.CountReferrers())
	}
	if repo, _ := l.Holder(blob(9)); repo != "new" || l.Tag("r1", "v1") != blob(9) || l.Tag("r0", "v1") != blob(0) {
		t.Error(repo, l.Names)
	}
}

func TestADamagedListIsRefused(t *testing.T) {
	raw := written(t, some(10))
	for i := range raw {
		bad := slices.Clone(raw)
		bad[i] ^= 1
		want := fault.Corrupt
		if i < len(magic) {
			want = fault.Invalid
		}
		if _, err := Read(bytes.NewReader(bad), "have"); !fault.Is(err, want) {
			t.Errorf("byte %d: %v", i, err)
		}
		if _, err := Read(bytes.NewReader(raw[:i]), "have"); err == nil {
			t.Errorf("%d bytes of %d are read", i, len(raw))
		}
	}
}

// FuzzRead checks that no list crashes the reader.
func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := some(3).Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(magic))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		if l, err := Read(bytes.NewReader(raw), "have"); err == nil {
			l.Holder(blob(1))
		}
	})
}
