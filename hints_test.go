package dray_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/testbed"
)

// run begins a program of its own, with what state the last one left.
func (y *yard) run(state string) { y.t.Helper(); y.runOn(state, "") }

// runOn is run with a source of one kind.
func (y *yard) runOn(state, kind string) {
	y.t.Helper()
	d, err := dray.New(dray.Config{StateDir: state, Registries: map[string]dray.Registry{
		"src": {Host: y.src.Host, Settings: dray.Settings{PlainHTTP: true, Kind: kind}}, "dst": {Host: y.dst.Host, Settings: dray.Settings{PlainHTTP: true}}}})
	if err != nil {
		y.t.Fatal(err)
	}
	y.t.Cleanup(d.Close)
	y.Dray = d
	y.forget()
}

// elsewhere begins a run at a target that holds, in one repository, what another one is to get.
func elsewhere(t *testing.T) *yard {
	t.Helper()
	y := newYard(t)
	state := t.TempDir()
	image := testbed.RandomOptions{Seed: 7, Layers: 3, Size: 100 << 10}
	testbed.Random(t, y.src, "one", "v1", image)
	y.run(state)
	if got, _, err := y.transferred(whole()); err != nil {
		t.Fatal(got, err)
	}
	testbed.Random(t, y.src, "two", "v1", image)
	y.run(state)
	return y
}

func TestWhatOneRunSentTheNextRunMountsElsewhere(t *testing.T) {
	y := elsewhere(t)
	if got, sum, err := y.transferred(whole()); err != nil || sum.Blobs.Mounted != 4 || y.dst.Count(http.MethodPut, testbed.Upload) != 0 {
		t.Errorf("%s %v %+v\n%s", got, err, sum.Blobs, y.dst.Story())
	}
	testbed.Same(t, y.src, y.dst, "two", "v1", "two", "v1")
}

func TestAHintThatIsNotTrueAnyMoreSendsTheBytesAndIsDropped(t *testing.T) {
	y := newYard(t)
	state := t.TempDir()
	img := testbed.Random(t, y.src, "two", "v1", testbed.RandomOptions{Seed: 7, Layers: 3, Size: 100 << 10})
	hints, hint := ledger.NewWhereabouts(state), ledger.Places{}
	for _, l := range img.Layers {
		hint[l.Digest] = []string{"gone"}
	}
	if err := hints.Merge(y.dst.Host, hint, nil); err != nil {
		t.Fatal(err)
	}
	y.run(state)
	if got, sum, err := y.transferred(whole()); err != nil || sum.Blobs.Sent != 4 || y.dst.Count(http.MethodPost, testbed.Upload) != 4 {
		t.Errorf("%s %v %+v\n%s", got, err, sum.Blobs, y.dst.Story())
	}
	testbed.Same(t, y.src, y.dst, "two", "v1", "two", "v1")
	now, err := hints.Read(y.dst.Host)
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
	if got, sum, err := y.transferred(two); err != nil || sum.Blobs.Mounted != 0 || sum.Blobs.Sent != 4 {
		t.Errorf("%s %v %+v\n%s", got, err, sum.Blobs, y.dst.Story())
	}
}
