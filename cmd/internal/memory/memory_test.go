package memory_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/fault"
)

const mib = 1 << 20

func TestWhatDoesNotFitWaitsAndIsThenRefusedWithALaterTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{})
		first, second := b.Begin("ann"), b.Begin("bob")
		if err := first.Take(t.Context(), memory.Decoded, 30*mib); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		err := second.Take(t.Context(), memory.Decoded, 20*mib)
		f, ok := errors.AsType[*fault.Fault](err)
		if !ok || f.Kind != fault.Unavailable || f.RetryAfter == 0 || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		done := make(chan error)
		go func() { done <- second.Take(t.Context(), memory.Decoded, 20*mib) }()
		synctest.Wait()
		first.Release()
		first.Release() // gives nothing back twice
		if err := <-done; err != nil {
			t.Error(err)
		}
		if use := b.Use(memory.Decoded); use.Used != 20*mib || use.Refused != 1 || use.Size != 40*mib {
			t.Errorf("%+v", use)
		}
		second.Release()
		if use := b.Use(memory.Decoded); use.Used != 0 {
			t.Errorf("%+v", use)
		}
	})
}

func TestWhoWaitsForItselfKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{})
		if err := b.Begin("ann").Take(t.Context(), memory.Large, 8*mib); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Begin("ann").Take(ctx, memory.Large, mib) }()
		synctest.Wait()
		if err := b.Begin("bob").Take(t.Context(), memory.Large, 8*mib); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if use := b.Use(memory.Large); use.Used != 16*mib || use.Refused != 0 {
			t.Errorf("%+v", use)
		}
	})
}

func TestWhatNeverFitsIsTooLargeAtOnce(t *testing.T) {
	b := memory.New(memory.Options{})
	if err := b.Begin("ann").Take(t.Context(), memory.Decoded, 41*mib); !fault.Is(err, fault.TooLarge) {
		t.Error(err)
	}
	if !b.Begin("job").TakeNow(memory.Jobs, 1<<40) || b.Begin("other").TakeNow(memory.Jobs, 1) {
		t.Error("a job that is larger than the budget must have all of it")
	}
}

func TestANilBudgetHasNoLimits(t *testing.T) {
	var b *memory.Budget
	h := b.Begin("ann")
	if err := h.Take(t.Context(), memory.Large, 1<<50); err != nil || !h.TakeNow(memory.Jobs, 1<<50) {
		t.Error(err)
	}
	h.Release()
	done, err := b.Body(httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x")), "ann", 10, memory.Decoded)
	if err != nil {
		t.Error(err)
	}
	done()
}

func TestAPieceOfATextCostsItsPart(t *testing.T) {
	text := []byte(`{"a":[{"b":1},{"c":"x&y"}]}`)
	for i := range text {
		if memory.Cost(text[:i])+memory.Cost(text[i:]) != memory.Cost(text) {
			t.Error(i)
		}
	}
}

// stalled sends some bytes and then waits until the test ends.
type stalled struct {
	io.Reader
	end <-chan struct{}
}

func (s stalled) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		<-s.end
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

func TestABodyTakesNothingForWhatItOnlyAnnounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{})
		end := make(chan struct{})
		ended := make(chan error)
		for range 1000 { // each announces a megabyte and sends 4 KiB
			go func() {
				r := httptest.NewRequest(http.MethodPost, "/", stalled{bytes.NewReader(make([]byte, 4<<10-1)), end})
				r.ContentLength = mib
				done, err := b.Body(r, "ann", mib, memory.Decoded)
				if err == nil {
					_, err = io.ReadAll(r.Body)
				}
				done()
				ended <- err
			}()
		}
		synctest.Wait()
		for _, kind := range memory.Kinds() {
			if use := b.Use(kind); use.Used != 0 {
				t.Errorf("%s: %+v", kind, use)
			}
		}
		text := strings.Repeat("x", mib)
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
		done, err := b.Body(r, "ann", mib, memory.Decoded)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r.Body); err != nil || string(got) != text {
			t.Error(len(got), err)
		}
		done()
		close(end)
		for range 1000 {
			if err := <-ended; !errors.Is(err, io.ErrUnexpectedEOF) { // whoever handles the request learns of it
				t.Fatal(err)
			}
		}
	})
}

func TestABodyIsReadAsItWasSent(t *testing.T) {
	b := memory.New(memory.Options{})
	for _, size := range []int{1, 4<<10 - 1, 4 << 10, 4<<10 + 1, 64 << 10, 64<<10 + 1, 200_000, 256 << 10, 256<<10 + 7} {
		for _, announced := range []int64{-1, int64(size)} {
			text := strings.Repeat("0123456789", size/10+1)[:size]
			r := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(strings.NewReader(text)))
			r.ContentLength = announced
			done, err := b.Body(r, "ann", 256<<10, memory.Decoded)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r.Body) // what is above the limit is not read ahead, and still there
			if err != nil || string(got) != text {
				t.Errorf("%d bytes, announced %d: %d, %v", size, announced, len(got), err)
			}
			if b.Use(memory.Decoded).Used == 0 {
				t.Errorf("%d bytes weigh nothing", size)
			}
			done()
			done()
			for _, kind := range memory.Kinds() {
				if use := b.Use(kind); use.Used != 0 {
					t.Errorf("%s: %+v", kind, use)
				}
			}
		}
	}
}

func TestManyLargeBodiesAtOnceAllArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{})
		text := strings.Repeat("x", mib)
		ended := make(chan error)
		for range 100 {
			go func() {
				r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
				done, err := b.Body(r, "ann", mib, memory.Decoded)
				done()
				ended <- err
			}()
		}
		for range 100 {
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
		}
	})
}
