package transfer_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/internal/conform"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// backward is a target that reads a large blob up to stop, closes the body as a broken upload
// does, and opens the blob again at back.
type backward struct {
	*conform.Memory
	stop, back int64
	t          *testing.T
}

func (b *backward) Put(ctx context.Context, d oci.Descriptor, likely []ref.Repo, open oci.Opener) (oci.Arrival, error) {
	if d.Size < mib {
		return b.Memory.Put(ctx, d, likely, open)
	}
	all := make([]byte, b.stop, d.Size)
	request, end := context.WithCancel(ctx)
	defer end()
	body, err := open(request, 0)
	if err != nil {
		return oci.Arrival{}, err
	}
	time.AfterFunc(time.Hour, end) // for a source that sends no more bytes
	n, err := io.ReadFull(body, all)
	if err != nil && int64(n) < b.back {
		b.t.Errorf("only %d bytes arrived before the source stopped: %v", n, err)
	}
	end()
	body.Close()
	if body, err = open(ctx, b.back); err != nil {
		return oci.Arrival{}, err
	}
	rest, err := readAll(body, d.Size-b.back)
	body.Close()
	if err != nil {
		return oci.Arrival{}, err
	}
	all = append(all[:b.back], rest...)
	return b.Memory.Put(ctx, d, likely, func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(all[at:])), nil
	})
}

func TestATargetThatGoesBackALittleHasOnlyThatReadAgain(t *testing.T) {
	for name, row := range map[string]struct {
		size, stop, back int64
		again            int64 // bytes that are read again
		asked            int   // requests for the large blob; 0 means any number
	}{
		"over one connection":                 {20 * mib, 9*mib + 5, 8 * mib, mib + 5, 2},
		"not at all":                          {20 * mib, 9 * mib, 9 * mib, 0, 1},
		"over many connections":               {96 * mib, 50 * mib, 47 * mib, 3 * mib, 0},
		"too far for that":                    {20 * mib, 18 * mib, mib, 17 * mib, 2},
		"from the end, where nothing is open": {20 * mib, 20 * mib, 19 * mib, mib, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &line{Memory: repo("a.io", "x"), rate: 16 * mib}
				dst := &backward{Memory: repo("b.io", "y"), stop: row.stop, back: row.back, t: t}
				root := large(src.Memory, int(row.size))
				out, _ := bring(t, transfer.New(transfer.Options{}), src, dst, root)
				if out.Err != nil {
					t.Fatal(out.Err)
				}
				if again := src.served - row.size - root.Blobs[0].Size; again != row.again {
					t.Errorf("%d bytes were read again, want %d", again, row.again)
				}
				if row.asked != 0 && len(src.asked) != row.asked || src.open != 0 {
					t.Errorf("the source was asked for %v (at, n), %d bodies left open", src.asked, src.open)
				}
			})
		})
	}
}

// sole is a source that serves one large body at a time.
type sole struct{ *line }

func (s sole) Blob(ctx context.Context, d oci.Descriptor, at, n int64) (io.ReadCloser, int64, error) {
	for {
		s.mu.Lock()
		busy := s.open > 0
		s.mu.Unlock()
		if !busy {
			return s.line.Blob(ctx, d, at, n)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, 0, context.Cause(ctx)
		}
	}
}

func TestWhatHoldsTheOnlyPlaceIsGivenUpForWhatIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := sole{&line{Memory: repo("a.io", "x"), rate: 16 * mib}}
		dst := &backward{Memory: repo("b.io", "y"), stop: 9 * mib, back: 8 * mib, t: t}
		out, took := bring(t, transfer.New(transfer.Options{}), src, dst, large(src.Memory, 20*mib))
		if out.Err != nil || took > 10*time.Second || src.open != 0 {
			t.Errorf("%v after %v, %d bodies left open", out.Err, took, src.open)
		}
		if want := [][2]int64{{0, -1}, {8 * mib, 12 * mib}}; !slices.Equal(src.asked, want) {
			t.Errorf("the source was asked for %v (at, n), want %v", src.asked, want)
		}
	})
}

// hushed is a source whose first large body sends no more bytes after the first ones.
type hushed struct {
	*line
	after int64
	once  bool
}

func (h *hushed) Blob(ctx context.Context, d oci.Descriptor, at, n int64) (io.ReadCloser, int64, error) {
	body, from, err := h.line.Blob(ctx, d, at, n)
	if err != nil || d.Size < mib || h.once {
		return body, from, err
	}
	h.once = true
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(body, h.after), silence{ctx}), body}, from, nil
}

type silence struct{ ctx context.Context }

func (s silence) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, context.Cause(s.ctx)
}

func TestASourceThatBringsNothingIsLetGoOfSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &hushed{line: &line{Memory: repo("a.io", "x")}, after: 9 * mib}
		dst := &backward{Memory: repo("b.io", "y"), stop: 10 * mib, back: 8 * mib, t: t}
		out, took := bring(t, transfer.New(transfer.Options{}), src, dst, large(src.Memory, 20*mib))
		if out.Err != nil || took > time.Hour+2*time.Second || src.open != 0 {
			t.Errorf("%v after %v, %d bodies left open", out.Err, took, src.open)
		}
		if want := [][2]int64{{0, -1}, {8 * mib, 12 * mib}}; !slices.Equal(src.asked, want) {
			t.Errorf("the source was asked for %v (at, n), want %v", src.asked, want)
		}
	})
}
