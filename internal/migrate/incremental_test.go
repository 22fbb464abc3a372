package migrate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

func incremental() dray.TransferRequest {
	return dray.TransferRequest{Sources: []string{"src/team/app"}, Target: "dst/app", Incremental: true}
}

func TestAnIncrementalTransferListsOnlyWhatChanged(t *testing.T) {
	y, shelf := yard.Azure(t, 30)
	shelf.Page = 4
	y.RunOn(t.TempDir(), "acr")
	for i := range shelf.Rows { // hours apart, the last one is the newest
		shelf.Rows[i].Updated = beside.Shelved.Add(time.Duration(i) * time.Hour)
	}
	if got, _, err := y.Transferred(incremental()); err != nil || strings.Count(got, "done") != 30 {
		t.Fatalf("%s %v", got, err)
	}
	// One image is new, and one tag of an old image is set again.
	img := testbed.Random(t, y.Src, shelf.Repo, "new", testbed.RandomOptions{Seed: 99})
	shelf.Rows = append(shelf.Rows, beside.Row{Digest: string(img.Root.Digest), MediaType: img.Root.MediaType, Tags: []string{"new", "v000"}, Updated: beside.Shelved.Add(100 * time.Hour)})
	shelf.Rows[0].Tags = shelf.Rows[0].Tags[1:]
	y.Src.Manifest(t, shelf.Repo, "v000", img.Root.MediaType, y.Raw(y.Src, shelf.Repo, "new", img.Root.MediaType))
	y.Forget()
	got, _, err := y.Transferred(incremental())
	if err != nil || got != "app:new done, app:v000 done" {
		t.Errorf("%s %v", got, err)
	}
	if n := y.Src.Count("GET", testbed.Own); n != 2 {
		t.Errorf("%d pages of a list, want 2: %s", n, yard.Spent(y.Src))
	}
	if y.Dst.Count("GET", testbed.Tags) != 0 {
		t.Errorf("the target was listed: %s", yard.Spent(y.Dst))
	}
	y.Forget()
	if got, _, err := y.Transferred(incremental()); err != nil || got != "" || y.Src.Count("GET", testbed.Own) != 1 {
		t.Errorf("%s %v %s", got, err, yard.Spent(y.Src))
	}
	y.Forget()
	req := incremental()
	req.Incremental = false
	if got, _, err := y.Transferred(req); err != nil || got != "" || y.Src.Count("GET", testbed.Own) != 8 {
		t.Errorf("full listing: %s %v %s", got, err, yard.Spent(y.Src))
	}
}

func TestAnIncrementalTransferThatFailedIsNoMark(t *testing.T) {
	y, shelf := yard.Azure(t, 6)
	y.RunOn(t.TempDir(), "acr")
	shelf.Rows = append(shelf.Rows, beside.Row{Digest: "sha256:" + strings.Repeat("0", 64), MediaType: shelf.Rows[0].MediaType, Tags: []string{"lost"}})
	if got, _, err := y.Transferred(incremental()); err == nil || !strings.Contains(got, "app:lost failed") {
		t.Fatalf("%s %v", got, err)
	}
	shelf.Rows = shelf.Rows[:2]
	y.Forget()
	if _, _, err := y.Transferred(incremental()); err != nil || y.Dst.Count("GET", testbed.Tags) == 0 {
		t.Errorf("%v %s", err, yard.Spent(y.Dst))
	}
	req := incremental()
	req.Selection = plan.Selection{Latest: 3}
	if _, _, err := y.Transferred(req); !fault.Is(err, fault.Invalid) {
		t.Errorf("latest: %v", err)
	}
}

// Two tags that are set at the same moment may be listed in either order. A listing of what changed
// does not report deleted tags.
func TestAnIncrementalTransferLooksBackAWhileAndAtAllOfItOnceAWeek(t *testing.T) {
	y, shelf := yard.Azure(t, 6)
	state := t.TempDir()
	y.RunOn(state, "acr")
	shelf.Rows[1].Updated = beside.Shelved.Add(time.Hour)
	if got, _, err := y.Transferred(incremental()); err != nil {
		t.Fatal(got, err)
	}
	img := testbed.Random(t, y.Src, shelf.Repo, "late", testbed.RandomOptions{Seed: 99})
	shelf.Rows = append(shelf.Rows, beside.Row{Digest: string(img.Root.Digest), MediaType: img.Root.MediaType, Tags: []string{"late"}, Updated: beside.Shelved.Add(time.Hour - time.Minute)})
	y.Forget()
	if got, _, err := y.Transferred(incremental()); err != nil || got != "app:late done" || y.Dst.Count("GET", testbed.Tags) != 0 {
		t.Errorf("%s %v %s", got, err, yard.Spent(y.Dst))
	}
	from, to, marks := ref.Repo{Host: y.Src.Host, Path: shelf.Repo}, ref.Repo{Host: y.Dst.Host, Path: "app"}, ledger.NewMarks(state)
	for days, lists := range map[int]int{6: 0, 8: 1} {
		m := marks.Of(from, to)
		m.Full = time.Now().AddDate(0, 0, -days)
		if err := marks.Note(from, to, m); err != nil {
			t.Fatal(err)
		}
		y.Forget()
		if got, _, err := y.Transferred(incremental()); err != nil || got != "" || y.Dst.Count("GET", testbed.Tags) != lists {
			t.Errorf("%d days: %s %v %s", days, got, err, yard.Spent(y.Dst))
		}
	}
}
