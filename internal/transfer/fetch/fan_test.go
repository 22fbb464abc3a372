package fetch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/oci"
)

// noise returns a random blob, its opener, and a counter of how often it was opened.
func noise(n int) (data []byte, open oci.Opener, opened *atomic.Int32) {
	data = make([]byte, n)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	opened = &atomic.Int32{}
	return data, func(_ context.Context, at int64) (io.ReadCloser, error) {
		opened.Add(1)
		return io.NopCloser(bytes.NewReader(data[at:])), nil
	}, opened
}

func joined(f *Fan) *FanReader {
	return f.Join(func() {}, func(context.Context) (func(), bool) { return func() {}, true })
}

// readAt reads a blob through a fan and sleeps for rest before each 128 KiB.
func readAt(t *testing.T, r *FanReader, open oci.Opener, at int64, rest time.Duration) []byte {
	t.Helper()
	defer r.Leave()
	body, err := r.Opener(t.Context(), open)(t.Context(), at)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer body.Close()
	var all bytes.Buffer
	for {
		time.Sleep(rest)
		_, err := io.CopyN(&all, body, 128<<10)
		if errors.Is(err, io.EOF) {
			return all.Bytes()
		}
		if err != nil {
			t.Error(err)
			return nil
		}
	}
}

func TestReadersOfOneBlobShareAReading(t *testing.T) {
	for _, c := range []struct {
		name  string
		size  int
		rests []time.Duration
		want  int32
	}{
		{"nothing", 0, []time.Duration{0, 0}, 1},
		{"small", 100, []time.Duration{0, 0, 0}, 1},
		{"large", 9<<20 + 77, []time.Duration{0, 0, 0}, 1},
		{"one is a little slower", 9 << 20, []time.Duration{time.Millisecond, 10 * time.Millisecond}, 1},
		{"one is very slow, and reads the rest alone", 9 << 20, []time.Duration{time.Millisecond, time.Minute, 0}, 2},
		{"one alone", 3 << 20, []time.Duration{0}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				data, open, opened := noise(c.size)
				f := NewFan(len(c.rests), make([]byte, FanWindow))
				var wg sync.WaitGroup
				for _, rest := range c.rests {
					wg.Go(func() {
						if got := readAt(t, joined(f), open, 0, rest); !bytes.Equal(got, data) {
							t.Errorf("%d bytes arrived, want %d, or they differ", len(got), len(data))
						}
					})
				}
				wg.Wait()
				if n := opened.Load(); n != c.want {
					t.Errorf("the blob was opened %d times", n)
				}
			})
		})
	}
}

func TestAReaderThatLeavesOrStopsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data, open, opened := noise(5 << 20)
		f := NewFan(5, make([]byte, FanWindow))
		joined(f).Leave() // its blob was mounted
		var wg sync.WaitGroup
		wg.Go(func() { // this reader resumes an upload
			if got := readAt(t, joined(f), open, 1<<20, 0); !bytes.Equal(got, data[1<<20:]) {
				t.Error("the bytes differ from the blob")
			}
		})
		wg.Go(func() { // this reader stops early and begins again
			r := joined(f)
			defer r.Leave()
			body, err := r.Opener(t.Context(), open)(t.Context(), 0)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := io.CopyN(io.Discard, body, 1<<20); err != nil {
				t.Error(err)
			}
			body.Close()
			again, err := r.Opener(t.Context(), open)(t.Context(), 0)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := io.ReadAll(again); err != nil || !bytes.Equal(got, data) {
				t.Error(len(got), err)
			}
		})
		for range 2 {
			wg.Go(func() {
				if got := readAt(t, joined(f), open, 0, 0); !bytes.Equal(got, data) {
					t.Error("the bytes differ from the blob")
				}
			})
		}
		wg.Wait()
		if n := opened.Load(); n != 3 {
			t.Errorf("the blob was opened %d times", n)
		}
	})
}

func TestNobodyWaitsLongForAReaderThatDoesNotAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data, open, _ := noise(5 << 20)
		f := NewFan(3, make([]byte, FanWindow))
		late := joined(f)
		began := time.Now()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if got := readAt(t, joined(f), open, 0, 0); !bytes.Equal(got, data) {
					t.Error("the bytes differ from the blob")
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); took > fanPatience+time.Second {
			t.Error(took)
		}
		if got := readAt(t, late, open, 0, 0); !bytes.Equal(got, data) {
			t.Error("the late reader got bytes that differ from the blob")
		}
	})
}

func TestAReadingThatFailsFailsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := errors.New("the source broke")
		open := func(context.Context, int64) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(make([]byte, 100_000)), &broken{bad})), nil
		}
		f := NewFan(2, make([]byte, FanWindow))
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				r := joined(f)
				defer r.Leave()
				body, err := r.Opener(t.Context(), open)(t.Context(), 0)
				if err != nil {
					t.Error(err)
					return
				}
				if n, err := io.Copy(io.Discard, body); n != 100_000 || !errors.Is(err, bad) {
					t.Error(n, err)
				}
			})
		}
		wg.Wait()
	})
}

type broken struct{ err error }

func (b *broken) Read([]byte) (int, error) { return 0, b.err }
