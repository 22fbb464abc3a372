package limit

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// spend makes n concurrent calls of a method and returns how long they took.
func spend(t *testing.T, b *Budgets, identity, method, path string, n int) time.Duration {
	t.Helper()
	begin := time.Now()
	var wg sync.WaitGroup
	for range n {
		d, _ := b.Draw(Classes(method, path), identity, time.Now())
		wg.Go(func() { time.Sleep(d) })
	}
	wg.Wait()
	return time.Since(begin)
}

func TestWritesToACRKeepToWhatIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudgets("reg.azurecr.io", "acr", 0)
		if took := spend(t, b, "me", "PUT", "/v2/a/blobs/uploads/1", 200); took != 0 {
			t.Errorf("a small run waited %v", took)
		}
		begin := time.Now()
		spend(t, b, "me", "PUT", "/v2/a/blobs/uploads/1", 3800)
		if took := time.Since(begin); took < 2*time.Minute || took > 2*time.Minute+20*time.Second {
			t.Errorf("4000 writes took %v", took)
		}
		if took := spend(t, b, "me", "GET", "/v2/a/manifests/v1", 1000); took != 0 {
			t.Errorf("reads waited %v for writes", took)
		}
		if took := spend(t, b, "another", "PUT", "/v2/a/blobs/uploads/1", 100); took != 0 {
			t.Errorf("another login waited %v", took)
		}
	})
}

func TestA429LeadsToTheNextOfThePublishedNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudgets("reg.azurecr.io", "acr", 0)
		const path = "/v2/a/blobs/uploads/1"
		spend(t, b, "", "PUT", path, 1)
		for range 10 { // one burst
			b.Refused(Classes("PUT", path), "", time.Now())
		}
		if took := spend(t, b, "", "PUT", path, 450); took < 55*time.Second || took > 65*time.Second {
			t.Errorf("450 writes at 500 a minute took %v", took)
		}
		for range 3 {
			time.Sleep(2 * time.Minute)
			b.Refused(Classes("PUT", path), "", time.Now())
		}
		if took := spend(t, b, "", "PUT", path, 90); took < 50*time.Second || took > 65*time.Second {
			t.Errorf("90 writes at 100 a minute took %v", took)
		}
	})
}

func TestAConfiguredRateIsTakenAtItsWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudgets("reg.azurecr.io", "acr", 2)
		if took := spend(t, b, "", "GET", "/v2/", 21); took != 10*time.Second {
			t.Errorf("21 requests at 2 a second took %v", took)
		}
	})
}

func TestALongWaitIsToldOnceWithItsReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudgets("reg", "alibaba", 0)
		var told []string
		for range 100 {
			if _, news := b.Draw(Classes("GET", ""), "", time.Now()); news != "" {
				told = append(told, news)
			}
		}
		if len(told) < 1 || len(told) > 7 || !strings.HasPrefix(told[0], "reg: the registry allows 15 requests a second, waiting until ") {
			t.Errorf("reported %q", told)
		}
	})
}

func TestHeadersThatSayThatNothingIsLeftAreRead(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, tt := range []struct {
		header, value, reset string
		want                 time.Duration // 0 means that the header is ignored
	}{
		{"RateLimit-Remaining", "0", "30", 30 * time.Second},
		{"RateLimit-Remaining", "0;w=60", "30", 30 * time.Second},
		{"X-RateLimit-Remaining", "0", "1800000060", time.Minute},
		{"X-RateLimit-Remaining", "0", "1700000000", 0},
		{"RateLimit-Remaining", "1", "30", 0},
		{"RateLimit-Remaining", "0", "", 0},
		{"RateLimit-Remaining", "0", "-1", 0},
		{"RateLimit-Remaining", "0", "soon", 0},
		{"RateLimit-Remaining", "", "30", 0},
	} {
		h := http.Header{}
		h.Set(tt.header, tt.value)
		h.Set(strings.Replace(tt.header, "Remaining", "Reset", 1), tt.reset)
		got := Resets(h, now)
		if tt.want == 0 && !got.IsZero() || tt.want > 0 && got.Sub(now) != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}
