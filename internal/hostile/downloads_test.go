package hostile_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/dray/internal/hostile"
)

func TestCutBodyAtResetsTheConnectionAfterExactlyNBytes(t *testing.T) {
	for _, n := range []int{0, 1, 100_000, size} {
		f := hostile.CutBodyAt(int64(n)).Once()
		b := newBench(t, f)
		resp, got, err := b.ask("GET", b.blob, nil, nil)
		if len(got) != n || !bytes.Equal(got, b.data[:n]) {
			t.Errorf("at %d: %d bytes", n, len(got))
		}
		// A client that has read Content-Length bytes does not read further.
		if n < size && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("at %d: %v", n, err)
		}
		if resp == nil || resp.ContentLength != size {
			t.Errorf("at %d: header %v", n, resp)
		}
		fired(t, f, 1)
	}
}

func TestCleanEOFAtEndsAShortBodyWithoutAnyError(t *testing.T) {
	f := hostile.CleanEOFAt(1000)
	b := newBench(t, f)
	resp, got, err := b.ask("GET", b.blob, nil, nil)
	if err != nil || len(got) != 1000 || resp.ContentLength != -1 || resp.TransferEncoding[0] != "chunked" {
		t.Errorf("%d bytes, %v, %+v", len(got), err, resp)
	}
	fired(t, f, 1)
}

func TestStallAtIsSilentInMidBodyAndThenGoesOn(t *testing.T) {
	f := hostile.StallAt(1000, 300*time.Millisecond)
	b := newBench(t, f)
	resp, err := b.Client.Get(b.URL + b.blob)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	head := make([]byte, 1000)
	if _, err := io.ReadFull(resp.Body, head); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	rest, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(slices.Concat(head, rest), b.data) {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
	if took := time.Since(start); took < 200*time.Millisecond {
		t.Errorf("paused for %s only", took)
	}
	fired(t, f, 1)
}

func TestEndlessSilenceEndsWithTheTest(t *testing.T) {
	for name, f := range map[string]*hostile.Fault{
		"in the body":       hostile.StallAt(10, 0),
		"before the header": hostile.NoHeader(0),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, f)
			b.Client.Timeout = 100 * time.Millisecond
			if _, _, err := b.ask("GET", b.blob, nil, nil); err == nil {
				t.Error("a response arrived")
			}
			fired(t, f, 1)
		})
	}
}

func TestNoHeaderDelaysTheAnswer(t *testing.T) {
	f := hostile.NoHeader(200 * time.Millisecond)
	b := newBench(t, f)
	start := time.Now()
	if resp, _ := b.must("GET", "/v2/", nil, nil); resp.StatusCode != 200 || time.Since(start) < 200*time.Millisecond {
		t.Errorf("%s after %s", resp.Status, time.Since(start))
	}
	fired(t, f, 1)
}

func TestTrickleSendsAtItsRate(t *testing.T) {
	f := hostile.Trickle(1_000_000)
	b := newBench(t, f)
	start := time.Now()
	_, got := b.must("GET", b.blob, nil, nil)
	if took := time.Since(start); !bytes.Equal(got, b.data) || took < 200*time.Millisecond || took > 5*time.Second {
		t.Errorf("%d bytes in %s", len(got), took)
	}
	fired(t, f, 1)
}

func TestFlipBitChangesOneByteAndNoLength(t *testing.T) {
	f := hostile.FlipBit(200_000)
	b := newBench(t, f)
	_, got := b.must("GET", b.blob, nil, nil)
	got[200_000] ^= 1
	if !bytes.Equal(got, b.data) {
		t.Errorf("%d bytes differ elsewhere", len(got))
	}
	fired(t, f, 1)
}

func TestLongerBodyAnnouncesAndSendsMore(t *testing.T) {
	f := hostile.LongerBody(5000)
	b := newBench(t, f)
	resp, got := b.must("GET", b.blob, nil, nil)
	if resp.ContentLength != size+5000 || len(got) != size+5000 || !bytes.HasPrefix(got, b.data) {
		t.Errorf("announced %d, sent %d", resp.ContentLength, len(got))
	}
	fired(t, f, 1)
}

func TestContentLengthMismatchBreaksOffOrCutsShort(t *testing.T) {
	more := hostile.ContentLengthMismatch(10)
	b := newBench(t, more)
	if resp, got, err := b.ask("GET", b.blob, nil, nil); !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != size || resp.ContentLength != size+10 {
		t.Errorf("+10: %d bytes, %v", len(got), err)
	}
	fired(t, more, 1)
	less := hostile.ContentLengthMismatch(-10)
	b = newBench(t, less)
	if _, got, err := b.ask("GET", b.blob, nil, nil); err != nil || len(got) != size-10 {
		t.Errorf("-10: %d bytes, %v", len(got), err)
	}
	fired(t, less, 1)
}

func TestContentEncodingGzipReallyCompressesAndOthersLie(t *testing.T) {
	f := hostile.ContentEncoding("gzip")
	b := newBench(t, f)
	resp, got := b.must("GET", b.blob, nil, nil)
	z, err := gzip.NewReader(bytes.NewReader(got))
	if err != nil || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v %v", err, resp.Header)
	}
	if plain, err := io.ReadAll(z); err != nil || !bytes.Equal(plain, b.data) {
		t.Errorf("%d bytes, %v", len(plain), err)
	}
	fired(t, f, 1)
	b = newBench(t, hostile.ContentEncoding("br"))
	if resp, got = b.must("GET", b.blob, nil, nil); resp.Header.Get("Content-Encoding") != "br" || !bytes.Equal(got, b.data) {
		t.Errorf("br: %d bytes, %v", len(got), resp.Header)
	}
}

func TestRangesAreAnsweredAsTheFaultsSay(t *testing.T) {
	whole := hostile.IgnoreRange()
	b := newBench(t, whole)
	if resp, got := b.must("GET", b.blob, firstKiB, nil); resp.StatusCode != 200 || len(got) != size {
		t.Errorf("IgnoreRange: %s, %d bytes", resp.Status, len(got))
	}
	b.must("GET", b.blob, nil, nil)
	fired(t, whole, 1)

	refused := hostile.RangeNotSatisfiable()
	b = newBench(t, refused)
	if resp, _ := b.must("GET", b.blob, firstKiB, nil); resp.StatusCode != 416 {
		t.Errorf("RangeNotSatisfiable: %s", resp.Status)
	}
	fired(t, refused, 1)

	wrong := hostile.WrongContentRange()
	b = newBench(t, wrong)
	resp, got := b.must("GET", b.blob, firstKiB, nil)
	if resp.StatusCode != 206 || resp.Header.Get("Content-Range") != "bytes 1001-2024/300000" || !bytes.Equal(got, b.data[1000:2024]) {
		t.Errorf("WrongContentRange: %s %s", resp.Status, resp.Header.Get("Content-Range"))
	}
	fired(t, wrong, 1)
}

func TestMultipartRangeIsWellFormedMultipart(t *testing.T) {
	f := hostile.MultipartRange()
	b := newBench(t, f)
	resp, got := b.must("GET", b.blob, firstKiB, nil)
	mediaType, p, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/byteranges" || resp.StatusCode != http.StatusPartialContent {
		t.Fatalf("%s %s %v", resp.Status, mediaType, err)
	}
	m := multipart.NewReader(bytes.NewReader(got), p["boundary"])
	part, err := m.NextPart()
	if err != nil || !strings.HasPrefix(part.Header.Get("Content-Range"), "bytes 1000-2023/") {
		t.Fatalf("%v %v", part, err)
	}
	if in, err := io.ReadAll(part); err != nil || !bytes.Equal(in, b.data[1000:2024]) {
		t.Errorf("%d bytes, %v", len(in), err)
	}
	if _, err := m.NextPart(); !errors.Is(err, io.EOF) {
		t.Errorf("after the part: %v", err)
	}
	fired(t, f, 1)
}
