package transfer_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/conform"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
)

func TestManifestsAreWeighedBeforeTheyAreRead(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("b.io", "y")
	var children []oci.Document
	for i := range 400 {
		children = append(children, oci.Document{Descriptor: oci.Descriptor{
			MediaType: oci.TypeManifest, Digest: oci.Sum(fmt.Append(nil, i)), Size: oci.MaxDocument}})
	}
	out, _ := copyOne(t, src, dst, index(src, "v1", children...), "v1")
	if !fault.Is(out.Err, fault.TooLarge) || !strings.Contains(out.Err.Error(), "has 1601 MiB of manifests; the limit is 64") {
		t.Error(out.Err)
	}
	if n := strings.Count(strings.Join(src.Ops(), "\n"), "document "); n != 1 {
		t.Errorf("%d documents were read", n)
	}
}

// unhurried is a source that takes a second for each document, and counts how many it reads at once.
type unhurried struct {
	*conform.Memory
	now, most atomic.Int64
}

func (u *unhurried) Document(ctx context.Context, reference string) (oci.Document, error) {
	n := u.now.Add(1)
	defer u.now.Add(-1)
	for most := u.most.Load(); n > most && !u.most.CompareAndSwap(most, n); most = u.most.Load() {
	}
	time.Sleep(time.Second)
	return u.Memory.Document(ctx, reference)
}

func TestCopiesWaitForRoomForTheirManifests(t *testing.T) {
	for limit, want := range map[int64]int64{1: 1, 0: 8} {
		synctest.Test(t, func(t *testing.T) {
			src := &unhurried{Memory: repo("a.io", "x")}
			e := transfer.New(transfer.Options{Documents: limit})
			var wg sync.WaitGroup
			for i := range 8 {
				root := manifest(src.Memory, fmt.Sprint("v", i), layer(src.Memory, strconv.Itoa(i)))
				wg.Go(func() {
					if out, _ := bring(t, e, src, repo("b.io", fmt.Sprint("y", i)), root); out.Err != nil {
						t.Error(out.Err)
					}
				})
			}
			wg.Wait()
			if got := src.most.Load(); got != want {
				t.Errorf("with %d bytes: %d manifests were read at the same time, want %d", limit, got, want)
			}
		})
	}
}

// Copies with several levels and copies inside of copies need room while they hold some. If they waited for each
// other, this test would end as a deadlock.
func TestCopiesInsideOfCopiesDoNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &unhurried{Memory: repo("a.io", "x")}
		e := transfer.New(transfer.Options{Documents: 2000})
		var wg sync.WaitGroup
		for i := range 12 {
			text := func(n int) string { return fmt.Sprint(i, " ", n) }
			root := index(src.Memory, "", manifest(src.Memory, "", layer(src.Memory, text(1))), manifest(src.Memory, "", layer(src.Memory, text(2))))
			inner := index(src.Memory, "", manifest(src.Memory, "", layer(src.Memory, text(3))))
			wg.Go(func() {
				var ends []transfer.End
				for _, host := range []string{"b.io", "c.io"} {
					dst := repo(host, fmt.Sprint("y", i))
					ends = append(ends, transfer.End{Target: dst, Tags: []string{"v1"}, Before: func(context.Context) (bool, error) {
						out, _ := bring(t, e, src, dst, inner)
						return false, out.Err
					}})
				}
				for _, out := range e.Copy(t.Context(), transfer.Task{From: src, Root: root.Descriptor, To: ends}) {
					if out.Err != nil {
						t.Error(out.Err)
					}
				}
			})
		}
		wg.Wait()
	})
}
