package survey_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
)

// elsewhere starts a new run at a target in which one repository has what another is to receive.
func elsewhere(t *testing.T) *yard.Yard {
	t.Helper()
	y := yard.New(t)
	state := t.TempDir()
	image := testbed.RandomOptions{Seed: 7, Layers: 3, Size: 100 << 10}
	testbed.Random(t, y.Src, "one", "v1", image)
	y.Run(state)
	if got, _, err := y.Transferred(yard.Whole()); err != nil {
		t.Fatal(got, err)
	}
	testbed.Random(t, y.Src, "two", "v1", image)
	y.Run(state)
	return y
}

func TestWhatOneRunSentTheNextRunMountsElsewhere(t *testing.T) {
	y := elsewhere(t)
	if got, sum, err := y.Transferred(yard.Whole()); err != nil || sum.Blobs.Mounted != 4 || y.Dst.Count(http.MethodPut, testbed.Upload) != 0 {
		t.Errorf("%s %v %+v\n%s", got, err, sum.Blobs, y.Dst.Story())
	}
	testbed.Same(t, y.Src, y.Dst, "two", "v1", "two", "v1")
}

func TestAHintThatIsNotTrueAnyMoreSendsTheBytesAndIsDropped(t *testing.T) {
	y := yard.New(t)
	state := t.TempDir()
	img := testbed.Random(t, y.Src, "two", "v1", testbed.RandomOptions{Seed: 7, Layers: 3, Size: 100 << 10})
	hints, hint := ledger.NewWhereabouts(state), ledger.Places{}
	for _, l := range img.Layers {
		hint[l.Digest] = []string{"gone"}
	}
	if err := hints.Merge(y.Dst.Host, hint, nil); err != nil {
		t.Fatal(err)
	}
	y.Run(state)
	if got, sum, err := y.Transferred(yard.Whole()); err != nil || sum.Blobs.Sent != 4 || y.Dst.Count(http.MethodPost, testbed.Upload) != 4 {
		t.Errorf("%s %v %+v\n%s", got, err, sum.Blobs, y.Dst.Story())
	}
	testbed.Same(t, y.Src, y.Dst, "two", "v1", "two", "v1")
	now, err := hints.Read(y.Dst.Host)
	if err != nil || len(now) != 4 {
		t.Errorf("%v %v", now, err)
	}
	for d, at := range now {
		if !slices.Equal(at, []string{"two"}) {
			t.Errorf("%s is in %v", d, at)
		}
	}
}

func TestWhoWorksForSeveralMountsNothingThatEarlierRunsSaw(t *testing.T) {
	y := elsewhere(t)
	y.Dray = y.For(place.Job{Apart: true})
	two := dray.TransferRequest{Sources: []string{"src/two"}, Target: "dst/two"}
	if got, sum, err := y.Transferred(two); err != nil || sum.Blobs.Mounted != 0 || sum.Blobs.Sent != 4 {
		t.Errorf("%s %v %+v\n%s", got, err, sum.Blobs, y.Dst.Story())
	}
}
