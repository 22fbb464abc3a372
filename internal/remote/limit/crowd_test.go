package limit

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// through makes n requests through one Crowd. took returns the status and the duration of a
// request, given the number of concurrent requests.
func through(t *testing.T, c *Crowd, n int, took func(there int) (status int, d time.Duration)) (peak int) {
	t.Helper()
	var mu sync.Mutex
	there := 0
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := c.Enter(t.Context(), false); err != nil {
				t.Error(err)
				return
			}
			defer c.Leave(false)
			mu.Lock()
			there++
			peak = max(peak, there)
			status, d := took(there)
			mu.Unlock()
			time.Sleep(d)
			c.Answered(status, d)
			mu.Lock()
			there--
			mu.Unlock()
		})
	}
	wg.Wait()
	return peak
}

func TestSmallRequestsDoubleUntilTheTopWhileAllIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCrowd(8, 64)
		begin := time.Now()
		if peak := through(t, c, 1000, func(int) (int, time.Duration) { return 200, 40 * time.Millisecond }); peak != 64 {
			t.Errorf("at most %d at once, want 64", peak)
		}
		if took := time.Since(begin); took > 20*40*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestNobodyWaitingNeedsNoMoreRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCrowd(8, 64)
		for range 100 {
			through(t, c, 8, func(int) (int, time.Duration) { return 200, time.Millisecond })
		}
		if c.limit != 8 {
			t.Errorf("the limit is %v", c.limit)
		}
	})
}

func TestTooManyRequestsHalveTheNumberOnceForAllThatWereUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCrowd(64, 64)
		for range 64 {
			c.Answered(429, time.Millisecond)
		}
		if c.limit != 32 {
			t.Errorf("the limit is %v, want 32", c.limit)
		}
		for range 20 {
			time.Sleep(breather)
			c.Answered(503, time.Millisecond)
		}
		if c.limit != 2 {
			t.Errorf("the limit is %v, want 2", c.limit)
		}
	})
}

func TestAHostThatTakesEightAtOnceIsNotAskedForManyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCrowd(32, 64)
		refused := 0
		through(t, c, 5000, func(there int) (int, time.Duration) {
			if there > 8 {
				refused++
				return 429, 10 * time.Millisecond
			}
			return 200, 100 * time.Millisecond
		})
		if refused > 1000 {
			t.Errorf("%d of 5000 were refused", refused)
		}
	})
}

func TestRequestsThatQueueAtTheHostBecomeFewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCrowd(4, 64)
		const all, settled = 5000, 1000
		asked, sum := 0, 0
		through(t, c, all, func(there int) (int, time.Duration) {
			if asked++; asked > settled {
				sum += there
			}
			return 200, 10 * time.Millisecond * time.Duration(max(1, there-4))
		})
		// The limit goes up and down around its mean, so its last value says less.
		if mean := float64(sum) / (all - settled); mean > 20 {
			t.Errorf("%.1f requests were in flight on average", mean)
		}
	})
}

func TestBodiesGetMoreRoomWhileTheyMoveFasterByIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewBodies(4, 32)
		const each, link = 25, 400 // MB per second of one connection and of all connections
		there := 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 400 {
			wg.Go(func() {
				if c.Enter(t.Context(), false) != nil {
					return
				}
				defer c.Leave(false)
				mu.Lock()
				there++
				mu.Unlock()
				for range 50 { // MB
					mu.Lock()
					rate := min(each, float64(link)/float64(there))
					mu.Unlock()
					time.Sleep(time.Duration(float64(time.Second) / rate))
					c.Moved(1e6)
				}
				mu.Lock()
				there--
				mu.Unlock()
			})
		}
		wg.Wait()
		if c.limit < 14 || c.limit > 26 {
			t.Errorf("the limit is %v, but 16 connections fill the link", c.limit)
		}
	})
}

func TestWhoGivesUpWaitingLeavesNoPlaceTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewBodies(1, 1)
		if err := c.Enter(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if c.Enter(ctx, false) == nil {
			t.Error("Enter succeeded although no place was free")
		}
		c.Leave(false)
		if err := c.Enter(t.Context(), false); err != nil || c.used != 1 || len(c.queue) != 0 {
			t.Errorf("%v, %d used, %d wait", err, c.used, len(c.queue))
		}
	})
}

func TestSmallBodiesDoNotStandBehindLargeOnes(t *testing.T) {
	for _, tt := range []struct {
		start, top, want int // want is the number of small bodies in the first second
	}{
		{8, 16, 4 * 100}, // places in addition to those of the large bodies
		{8, 8, 0},        // no additional places
	} {
		synctest.Test(t, func(t *testing.T) {
			c := NewBodies(tt.start, tt.top)
			pass := func(small bool, d time.Duration) {
				if c.Enter(t.Context(), small) == nil {
					time.Sleep(d)
					c.Leave(small)
				}
			}
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() { pass(false, time.Minute) })
			}
			synctest.Wait()
			var small atomic.Int64
			for range 1000 {
				wg.Go(func() {
					pass(true, 10*time.Millisecond)
					small.Add(1)
				})
			}
			time.Sleep(time.Second + time.Millisecond)
			synctest.Wait()
			if n := small.Load(); n != int64(tt.want) {
				t.Errorf("%d to %d places: %d small ones in a second, want %d", tt.start, tt.top, n, tt.want)
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			c.mu.Lock()
			large := c.large
			c.mu.Unlock()
			if n := small.Load(); n != 1000 || large != tt.start {
				t.Errorf("%d to %d places: %d small ones in two minutes, want all, and %d large ones at once", tt.start, tt.top, n, large)
			}
			wg.Wait()
			if c.used != 0 || c.large != 0 || c.waits() {
				t.Errorf("%d used at the end", c.used)
			}
		})
	}
}
