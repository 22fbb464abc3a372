package transfer_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/conform"
	"github.com/drayage/dray/internal/transfer"
)

func TestEndsAtSeveralRegistriesAreServedByOneReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &line{Memory: repo("a.io", "x"), rate: 16 * mib}
		root := large(src.Memory, 40*mib, 9*mib, 500)
		task := transfer.Task{From: src, Root: root.Descriptor}
		var ends []*conform.Memory
		for _, host := range []string{"b.io", "c.io", "d.io"} {
			ends = append(ends, repo(host, "y"))
			task.To = append(task.To, transfer.End{Target: ends[len(ends)-1], Tags: []string{"v1"}})
		}
		second := repo("b.io", "z")
		second.Neighbors = ends[:1]
		task.To = append(task.To, transfer.End{Target: second, Tags: []string{"v1"}})
		begun := time.Now()
		for i, out := range transfer.New(transfer.Options{}).Copy(t.Context(), task) {
			if out.Err != nil || i < 3 && out.Blobs.Sent != 4 || i == 3 && out.Blobs.Mounted != 4 {
				t.Errorf("end %d: %+v", i, out)
			}
		}
		var total int64
		for _, b := range root.Blobs {
			total += b.Size
		}
		if src.served != total || time.Since(begun) > 2*time.Second {
			t.Errorf("%d bytes were read, want %d; it took %v", src.served, total, time.Since(begun))
		}
	})
}

func TestASlowEndReadsByItselfAndDoesNotSlowTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &line{Memory: repo("a.io", "x"), rate: 16 * mib}
		sizes := slices.Repeat([]int{9 * mib}, 12)
		root := large(src.Memory, sizes...)
		var mu sync.Mutex
		done := map[string]time.Duration{}
		begun := time.Now()
		out := transfer.New(transfer.Options{Blobs: 4}).Copy(t.Context(), transfer.Task{From: src, Root: root.Descriptor,
			To: []transfer.End{
				{Target: repo("b.io", "y"), Tags: []string{"v1"}},
				{Target: &slowly{repo("c.io", "y"), mib / 2}, Tags: []string{"v1"}},
				{Target: repo("d.io", "y"), Tags: []string{"v1"}},
			},
			Observe: func(e event.Event) {
				if e.Kind == event.Tagged {
					mu.Lock()
					defer mu.Unlock()
					done[strings.TrimSuffix(e.Name, "/y:v1")] = time.Since(begun)
				}
			}})
		for i, o := range out {
			if o.Err != nil {
				t.Errorf("end %d: %v", i, o.Err)
			}
		}
		// 108 MiB at 4 x 16 MiB/s take 2 s. The slow End has one place and needs 18 s for each layer.
		if done["b.io"] > 8*time.Second || done["d.io"] > 8*time.Second || done["c.io"] < 100*time.Second {
			t.Errorf("%v", done)
		}
		if src.open != 0 {
			t.Errorf("%d connections left open", src.open)
		}
	})
}

func TestAnEndThatFailsLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &line{Memory: repo("a.io", "x"), rate: 16 * mib}
		root := large(src.Memory, 9*mib, 9*mib)
		full := repo("b.io", "y")
		full.Fail = func(op, _ string) error {
			if op == "put" {
				return &fault.Fault{Kind: fault.Full, Op: "put blob"}
			}
			return nil
		}
		out := transfer.New(transfer.Options{}).Copy(t.Context(), transfer.Task{From: src, Root: root.Descriptor,
			To: []transfer.End{{Target: full, Tags: []string{"v1"}}, {Target: repo("c.io", "y"), Tags: []string{"v1"}}}})
		if !fault.Is(out[0].Err, fault.Full) || out[1].Err != nil || src.open != 0 {
			t.Errorf("%v, %v", out[0].Err, out[1].Err)
		}
	})
}
