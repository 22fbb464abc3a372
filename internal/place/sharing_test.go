package place

import (
	"fmt"
	"testing"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func sum(i int) oci.Digest { return oci.Digest(fmt.Sprintf("sha256:%064x", i)) }

func TestWhoLacksABlobWaitsForWhoBringsIt(t *testing.T) {
	known := &shared{blobs: map[oci.Digest]*holders{}}
	one, two := ref.Repo{Host: "r.example", Path: "one"}, ref.Repo{Host: "r.example", Path: "two"}
	done, busy := known.turn(sum(1), one)
	if busy != nil {
		t.Fatal("the first repository has to wait")
	}
	_, busy = known.turn(sum(1), two)
	if busy == nil {
		t.Fatal("both repositories may put the blob at the same time")
	}
	known.ended(sum(1), "one", oci.Sent, false)
	done()
	<-busy
	if at := known.from(sum(1), two); len(at) != 1 || at[0] != one {
		t.Errorf("%v", at)
	}
	if done, busy = known.turn(sum(1), two); busy != nil {
		t.Error("a repository waits for a blob that it can mount")
	}
	done()
}

func TestWhenABlobIsNotBroughtTheNextBringsIt(t *testing.T) {
	known := &shared{blobs: map[oci.Digest]*holders{}}
	done, _ := known.turn(sum(1), ref.Repo{Host: "r.example", Path: "one"})
	done() // the Put failed
	done, busy := known.turn(sum(1), ref.Repo{Host: "r.example", Path: "two"})
	if busy != nil {
		t.Fatal("the second repository waits although the first has failed")
	}
	done()
}

func TestAWrongHintIsDroppedAndARegistryThatMountsNothingIsBelieved(t *testing.T) {
	known := &shared{blobs: map[oci.Digest]*holders{}}
	two := ref.Repo{Host: "r.example", Path: "two"}
	for i := range maxRefused {
		known.note(sum(i), "one")
		if at := known.from(sum(i), two); len(at) != 1 {
			t.Fatalf("%d: %v", i, at)
		}
		known.ended(sum(i), "two", oci.Sent, true)
		if at := known.from(sum(i), two); len(at) != 0 {
			t.Errorf("%d: the hint is still there: %v", i, at)
		}
	}
	known.note(sum(9), "one")
	if at := known.from(sum(9), two); len(at) != 0 {
		t.Errorf("mounts are still tried: %v", at)
	}
	known.mounted = 1
	if at := known.from(sum(9), two); len(at) != 1 {
		t.Errorf("%v", at)
	}
}

func TestWhatIsKnownOfBlobsStaysBounded(t *testing.T) {
	known := &shared{blobs: map[oci.Digest]*holders{}}
	done, _ := known.turn(sum(0), ref.Repo{Host: "r.example", Path: "one"})
	defer done()
	for i := range maxShared + 100 {
		known.note(sum(i+1), "one")
	}
	if n := len(known.blobs); n > maxShared+1 || known.blobs[sum(0)] == nil {
		t.Errorf("%d blobs are remembered; the blob with a Put in progress was dropped: %v", n, known.blobs[sum(0)] == nil)
	}
}

func TestARepositoryThatHoldsABlobMountsItFromNoOther(t *testing.T) {
	known := &shared{blobs: map[oci.Digest]*holders{}}
	known.note(sum(1), "one")
	known.note(sum(1), "two")
	if at := known.from(sum(1), ref.Repo{Host: "r.example", Path: "two"}); len(at) != 0 {
		t.Errorf("%v", at)
	}
	if at := known.from(sum(1), ref.Repo{Host: "r.example", Path: "three"}); len(at) != 2 {
		t.Errorf("%v", at)
	}
}
