package dray_test

import (
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

func incremental() dray.TransferRequest {
	return dray.TransferRequest{Sources: []string{"src/team/app"}, Target: "dst/app", Incremental: true}
}

func TestAnIncrementalTransferListsOnlyWhatChanged(t *testing.T) {
	y, shelf := acrYard(t, 30)
	shelf.Page = 4
	y.runOn(t.TempDir(), "acr")
	for i := range shelf.Rows { // hours apart, the last one newest
		shelf.Rows[i].Updated = testbed.Shelved.Add(time.Duration(i) * time.Hour)
	}
	if got, _, err := y.transferred(incremental()); err != nil || strings.Count(got, "done") != 30 {
		t.Fatalf("%s %v", got, err)
	}
	// One image is new, one tag of an old image is set anew.
	img := testbed.Random(t, y.src, shelf.Repo, "new", testbed.RandomOptions{Seed: 99})
	shelf.Rows = append(shelf.Rows, testbed.Row{Digest: string(img.Root.Digest), MediaType: img.Root.MediaType, Tags: []string{"new", "v000"}, Updated: testbed.Shelved.Add(100 * time.Hour)})
	shelf.Rows[0].Tags = shelf.Rows[0].Tags[1:]
	y.src.Manifest(t, shelf.Repo, "v000", img.Root.MediaType, y.raw(y.src, shelf.Repo, "new", img.Root.MediaType))
	y.forget()
	got, _, err := y.transferred(incremental())
	if err != nil || got != "app:new done, app:v000 done" {
		t.Errorf("%s %v", got, err)
	}
	if n := y.src.Count("GET", testbed.Own); n != 2 {
		t.Errorf("%d pages of a list, want 2: %s", n, spent(y.src))
	}
	if y.dst.Count("GET", testbed.Tags) != 0 {
		t.Errorf("the target was listed: %s", spent(y.dst))
	}
	y.forget()
	if got, _, err := y.transferred(incremental()); err != nil || got != "" || y.src.Count("GET", testbed.Own) != 1 {
		t.Errorf("%s %v %s", got, err, spent(y.src))
	}
	y.forget()
	req := incremental()
	req.Incremental = false
	if got, _, err := y.transferred(req); err != nil || got != "" || y.src.Count("GET", testbed.Own) != 8 {
		t.Errorf("all of it: %s %v %s", got, err, spent(y.src))
	}
}

func TestAnIncrementalTransferThatFailedIsNoMark(t *testing.T) {
	y, shelf := acrYard(t, 6)
	y.runOn(t.TempDir(), "acr")
	shelf.Rows = append(shelf.Rows, testbed.Row{Digest: "sha256:" + strings.Repeat("0", 64), MediaType: shelf.Rows[0].MediaType, Tags: []string{"lost"}})
	if got, _, err := y.transferred(incremental()); err == nil || !strings.Contains(got, "app:lost failed") {
		t.Fatalf("%s %v", got, err)
	}
	shelf.Rows = shelf.Rows[:2]
	y.forget()
	if _, _, err := y.transferred(incremental()); err != nil || y.dst.Count("GET", testbed.Tags) == 0 {
		t.Errorf("%v %s", err, spent(y.dst))
	}
	req := incremental()
	req.Selection = plan.Selection{Latest: 3}
	if _, _, err := y.transferred(req); !fault.Is(err, fault.Invalid) {
		t.Errorf("latest: %v", err)
	}
}

// Two tags that are set at once may come to be seen in either order, and what is listed by time
// alone tells nothing of tags that went.
func TestAnIncrementalTransferLooksBackAWhileAndAtAllOfItOnceAWeek(t *testing.T) {
	y, shelf := acrYard(t, 6)
	state := t.TempDir()
	y.runOn(state, "acr")
	shelf.Rows[1].Updated = testbed.Shelved.Add(time.Hour)
	if got, _, err := y.transferred(incremental()); err != nil {
		t.Fatal(got, err)
	}
	img := testbed.Random(t, y.src, shelf.Repo, "late", testbed.RandomOptions{Seed: 99})
	shelf.Rows = append(shelf.Rows, testbed.Row{Digest: string(img.Root.Digest), MediaType: img.Root.MediaType, Tags: []string{"late"}, Updated: testbed.Shelved.Add(time.Hour - time.Minute)})
	y.forget()
	if got, _, err := y.transferred(incremental()); err != nil || got != "app:late done" || y.dst.Count("GET", testbed.Tags) != 0 {
		t.Errorf("%s %v %s", got, err, spent(y.dst))
	}
	from, to, marks := ref.Repo{Host: y.src.Host, Path: shelf.Repo}, ref.Repo{Host: y.dst.Host, Path: "app"}, ledger.NewMarks(state)
	for days, lists := range map[int]int{6: 0, 8: 1} {
		m := marks.Of(from, to)
		m.Full = time.Now().AddDate(0, 0, -days)
		if err := marks.Note(from, to, m); err != nil {
			t.Fatal(err)
		}
		y.forget()
		if got, _, err := y.transferred(incremental()); err != nil || got != "" || y.dst.Count("GET", testbed.Tags) != lists {
			t.Errorf("%d days: %s %v %s", days, got, err, spent(y.dst))
		}
	}
}
