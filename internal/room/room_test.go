package room_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/internal/room"
)

// taking takes n bytes in the background. got is closed when it has them.
func taking(t *testing.T, a *room.Account, n int64) (got chan struct{}) {
	t.Helper()
	got = make(chan struct{})
	go func() {
		if err := a.Take(t.Context(), n); err != nil {
			t.Error(err)
		}
		close(got)
	}()
	synctest.Wait()
	return got
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestAnAccountWaitsUntilOthersGiveBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := room.New(100)
		a, b, c := r.Open(), r.Open(), r.Open()
		if !isClosed(taking(t, a, 60)) {
			t.Error("there is room for the first")
		}
		second, third := taking(t, b, 50), taking(t, c, 10)
		if isClosed(second) || isClosed(third) {
			t.Error("the second has no room, and the third came later")
		}
		a.Close()
		synctest.Wait()
		if !isClosed(second) || !isClosed(third) {
			t.Error("there is room for both now")
		}
		b.Close()
		c.Close()
	})
}

// Each account holds what the other one needs: one of them gets more than there is, and both end.
func TestAccountsThatAllWaitDoNotStopForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := room.New(100)
		a, b := r.Open(), r.Open()
		taking(t, a, 50)
		taking(t, b, 50)
		first, second := taking(t, a, 40), taking(t, b, 40)
		if isClosed(first) == isClosed(second) {
			t.Errorf("first %v, second %v", isClosed(first), isClosed(second))
		}
		a.Close()
		synctest.Wait()
		if !isClosed(second) {
			t.Error("the second waits although the first has ended")
		}
		b.Close()
		if !isClosed(taking(t, r.Open(), 100)) {
			t.Error("not all was given back")
		}
	})
}

func TestWhatRestsLetsOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := room.New(100)
		a, inner := r.Open(), r.Open()
		taking(t, a, 90)
		within := taking(t, inner, 30)
		if isClosed(within) {
			t.Error("it did not wait")
		}
		back := a.Rest()
		synctest.Wait()
		if !isClosed(within) {
			t.Error("it waits for one that waits for it")
		}
		inner.Close()
		back()
		if isClosed(taking(t, inner, 30)) {
			t.Error("the first one works again")
		}
		a.Close()
	})
}

func TestOneThatIsCanceledLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := room.New(100)
		a, b, c := r.Open(), r.Open(), r.Open()
		taking(t, a, 90)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("enough"))
		defer cancel()
		failed := make(chan error, 1)
		go func() { failed <- b.Take(ctx, 50) }()
		synctest.Wait()
		small := taking(t, c, 10)
		if err := <-failed; err == nil || err.Error() != "enough" {
			t.Error(err)
		}
		synctest.Wait()
		if !isClosed(small) {
			t.Error("the one behind it waits")
		}
		if err := b.Take(t.Context(), 0); err != nil || b.Held() != 0 {
			t.Error(err, b.Held())
		}
	})
}

func TestWithoutARoomThereIsNoLimit(t *testing.T) {
	var none *room.Room
	a := none.Open()
	defer a.Close()
	if err := a.Take(t.Context(), 1<<60); err != nil {
		t.Error(err)
	}
	a.Rest()()
}
