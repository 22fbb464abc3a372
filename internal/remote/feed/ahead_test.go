package feed

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/oci"
)

// random returns a blob of n bytes.
func random(tb testing.TB, n int64) ([]byte, oci.Descriptor) {
	tb.Helper()
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b, oci.Descriptor{Digest: oci.Sum(b), Size: n}
}

// fed returns a Feed that opens data through each, in which places blobs can be read ahead.
func fed(tb testing.TB, data []byte, d oci.Descriptor, places int, each func(io.Reader) io.Reader) *Feed {
	tb.Helper()
	v, err := oci.NewVerifier(d)
	if err != nil {
		tb.Fatal(err)
	}
	f := New(d, v, func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(each(bytes.NewReader(data[at:]))), nil
	}, &Readers{places: make(limit.Gate, places)})
	f.Begin(tb.Context())
	tb.Cleanup(f.Close)
	return f
}

func plain(r io.Reader) io.Reader { return r }

func TestWhatIsReadAheadIsTheSameAsWhatIsNot(t *testing.T) {
	for _, size := range []int64{0, 1, worthAhead - 1, worthAhead, markEvery, markEvery + 1, 2*markEvery + heldBack, 3*markEvery + 12345} {
		data, d := random(t, size)
		for name, each := range map[string]func(io.Reader) io.Reader{
			"whole": plain, "halves": iotest.HalfReader, "end with the data": iotest.DataErrReader,
		} {
			for places := range 2 {
				f := fed(t, data, d, places, each)
				marks := 0
				f.Keep = func(m oci.Mark) { marks++ }
				got, err := io.ReadAll(f.Piece(t.Context(), t.Context(), 0, size))
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%d bytes, %s, %d places: %d bytes arrived, %v", size, name, places, len(got), err)
				}
				if marks != int(size/markEvery) || len(f.marks) != int(size/stepEvery) {
					t.Errorf("%d bytes, %s, %d places: %d marks, %d kept", size, name, places, len(f.marks), marks)
				}
				f.Close()
			}
		}
	}
}

func TestReadingAheadGoesBackToTheLastMark(t *testing.T) {
	data, d := random(t, 3*markEvery)
	var opened []int64
	f := fed(t, data, d, 1, plain)
	open := f.open
	f.open = func(ctx context.Context, at int64) (io.ReadCloser, error) {
		opened = append(opened, at)
		return open(ctx, at)
	}
	want := func(at, n int64) {
		t.Helper()
		got := make([]byte, n)
		if _, err := io.ReadFull(f.Piece(t.Context(), t.Context(), at, at+n), got); err != nil || !bytes.Equal(got, data[at:at+n]) {
			t.Fatalf("at %d: %v", at, err)
		}
	}
	want(0, 2*markEvery+100)
	want(markEvery+1, 10)
	want(5, markEvery)
	f.Close()
	f.Begin(t.Context())
	want(markEvery+5, 2*markEvery-5)
	if !f.Proved() {
		t.Error("the blob was not verified at the end")
	}
	if at := []int64{0, markEvery, 0, markEvery}; !slices.Equal(opened, at) {
		t.Errorf("opened at %v, want %v", opened, at)
	}
}

func TestReadingAheadHoldsTheLastBytesOfAWrongBlobBack(t *testing.T) {
	data, d := random(t, 2*worthAhead)
	broken := errors.New("the source broke")
	for name, each := range map[string]func(io.Reader) io.Reader{
		"a bit is wrong": func(r io.Reader) io.Reader {
			return io.MultiReader(bytes.NewReader([]byte{data[0] ^ 1}), io.NewSectionReader(bytes.NewReader(data), 1, d.Size-1))
		},
		"one more": func(r io.Reader) io.Reader { return io.MultiReader(r, bytes.NewReader([]byte{1})) },
		"one less": func(r io.Reader) io.Reader { return io.LimitReader(r, d.Size-1) },
		"broken": func(r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, d.Size-1), iotest.ErrReader(broken))
		},
	} {
		for places := range 2 {
			f := fed(t, data, d, places, each)
			got, err := io.ReadAll(f.Piece(t.Context(), t.Context(), 0, d.Size))
			if int64(len(got)) > f.held() {
				t.Errorf("%s: %d bytes left", name, len(got))
			}
			if name == "broken" && err != broken || name != "broken" && !fault.Is(err, fault.Corrupt) { //nolint:errorlint // the very same
				t.Errorf("%s: %v", name, err)
			}
			f.Close()
		}
	}
}

func TestNobodyWaitsForASourceLongerThanItsRequest(t *testing.T) {
	data, d := random(t, 2*worthAhead)
	for places := range 2 {
		request, stop := context.WithCancel(t.Context())
		f := fed(t, data, d, places, plain)
		f.open = func(ctx context.Context, _ int64) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(data[:100]), stuck{ctx, stop})), nil
		}
		n, err := io.Copy(io.Discard, f.Piece(t.Context(), request, 0, d.Size))
		if n > 100 || err == nil || f.Err != nil {
			t.Errorf("%d places: %d bytes, %v, %v", places, n, err, f.Err)
		}
		f.open = func(_ context.Context, at int64) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(data[at:])), nil
		}
		got, err := io.ReadAll(f.Piece(t.Context(), t.Context(), n, d.Size))
		if err != nil || !bytes.Equal(got, data[n:]) {
			t.Errorf("%d places: the next request got %d bytes, %v", places, len(got), err)
		}
	}
}

// stuck yields nothing until its context ends. Reading from it ends the request.
type stuck struct {
	ctx context.Context
	end func()
}

func (s stuck) Read([]byte) (int, error) {
	s.end()
	<-s.ctx.Done()
	return 0, context.Cause(s.ctx)
}

func TestReadingAheadIsForAsManyAsThereArePlaces(t *testing.T) {
	data, d := random(t, worthAhead)
	ahead := &Readers{places: make(limit.Gate, 1)}
	var feeds []*Feed
	for range 3 {
		f := fed(t, data, d, 0, plain)
		f.ahead = ahead
		if err := f.Ready(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		feeds = append(feeds, f)
	}
	if _, is := feeds[0].src.(*direct); is {
		t.Error("the first feed does not read ahead")
	}
	if _, is := feeds[1].src.(*direct); !is {
		t.Error("the second feed reads ahead without a place")
	}
	feeds[0].Close()
	feeds[2].drop()
	if err := feeds[2].Ready(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, is := feeds[2].src.(*direct); is {
		t.Error("a closed feed did not free its place")
	}
}
