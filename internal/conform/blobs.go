//nolint:thelper // the checks are tests that Run runs; t.Helper would hide the line that failed
package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

func blobChecks() []check {
	return []check{
		{"source and target are one repository", func(t *testing.T, p Pair) {
			if p.Source.Repo() != p.Target.Repo() {
				t.Fatalf("%v and %v", p.Source.Repo(), p.Target.Repo())
			}
		}},
		{"a blob that was put is not missing and reads back", func(t *testing.T, p Pair) {
			b := content(1, 5000)
			wantNoBlob(t, p, layer(b))
			a, err := p.Target.Put(t.Context(), layer(b), nil, opener(b))
			noError(t, "put", err)
			if a.Way != oci.Sent || a.Sent < int64(len(b)) {
				t.Fatalf("%+v; want %d bytes sent", a, len(b))
			}
			wantBlob(t, p, layer(b), b)
		}},
		{"a blob may be put again", func(t *testing.T, p Pair) {
			b := content(2, 5000)
			d := putBlob(t, p, "", b)
			putBlob(t, p, "", b)
			wantBlob(t, p, d, b)
		}},
		{"an empty blob arrives", func(t *testing.T, p Pair) {
			wantBlob(t, p, putBlob(t, p, "", nil), nil)
		}},
		{"a blob of more than 16 MiB arrives", func(t *testing.T, p Pair) {
			b := content(3, 17<<20+3)
			wantBlob(t, p, putBlob(t, p, "", b), b)
		}},
		{"missing blobs are returned in the order in which they were asked for", func(t *testing.T, p Pair) {
			d := make([]oci.Descriptor, 6)
			for i := range d {
				b := content(uint64(10+i), 10+i)
				if d[i] = layer(b); i%2 == 0 {
					putBlob(t, p, "", b)
				}
			}
			wantMissing(t, p, d, d[1], d[3], d[5])
			wantMissing(t, p, nil)
		}},
	}
}

// badBlobChecks are about blobs that must not be stored.
func badBlobChecks() []check {
	return []check{
		{"a blob with a flipped bit is corrupt and is not stored", func(t *testing.T, p Pair) {
			b := content(4, 100_000)
			bad := bytes.Clone(b)
			bad[77_777] ^= 4
			refusesBlob(t, p, b, bad)
		}},
		{"a blob that ends early is corrupt and is not stored", func(t *testing.T, p Pair) {
			b := content(5, 100_000)
			refusesBlob(t, p, b, b[:len(b)-1])
		}},
		{"an empty body is corrupt if the blob is not empty", func(t *testing.T, p Pair) {
			refusesBlob(t, p, content(5, 100), nil)
		}},
		{"a blob longer than its size is corrupt and is not stored", func(t *testing.T, p Pair) {
			b := content(6, 100_000)
			refusesBlob(t, p, b, append(bytes.Clone(b), 'x'))
		}},
		{"a blob of the wrong size is corrupt, even if its digest is right", func(t *testing.T, p Pair) {
			b := content(7, 1000)
			for _, size := range []int64{999, 1001} {
				d := layer(b)
				d.Size = size
				_, err := p.Target.Put(t.Context(), d, nil, lenient(b))
				wantKind(t, "put", err, fault.Corrupt)
			}
			wantNoBlob(t, p, layer(b))
		}},
		{"a digest of an unknown algorithm is refused", func(t *testing.T, p Pair) {
			b := content(8, 10)
			for _, bad := range []oci.Digest{"md5:900150983cd24fb0d6963f7d28e17f72", "sha256:../../../../etc/passwd", ""} {
				_, err := p.Target.Put(t.Context(), oci.Descriptor{Digest: bad, Size: 10}, nil, opener(b))
				wantKind(t, "put "+string(bad), err, fault.Refused, fault.Invalid)
			}
		}},
		{"a blob of sha512 arrives or is refused", putsSHA512},
		{"an error of the opener is returned unchanged", func(t *testing.T, p Pair) {
			b := content(9, 1000)
			cause := &fault.Fault{Kind: fault.Throttled, Side: fault.Source, Op: "read blob"}
			opened := 0
			_, err := p.Target.Put(t.Context(), layer(b), nil, func(context.Context, int64) (io.ReadCloser, error) {
				opened++
				return nil, cause
			})
			if err != error(cause) || opened != 1 { //nolint:errorlint // the very same value
				t.Fatalf("%v after opening %d times; want the opener's own error at once", err, opened)
			}
			wantNoBlob(t, p, layer(b))
		}},
		{"a body that breaks is opened again where it broke, or its error is returned and nothing is stored", survivesABreak},
	}
}

// refusesBlob puts the bytes bad under the digest of b, and checks that the target refuses them.
func refusesBlob(t *testing.T, p Pair, b, bad []byte) {
	t.Helper()
	_, err := p.Target.Put(t.Context(), layer(b), nil, lenient(bad))
	wantKind(t, "put", err, fault.Corrupt)
	wantNoBlob(t, p, layer(b))
	wantBlob(t, p, putBlob(t, p, "", b), b)
}

// lenient serves b, and an empty body at or after the end of b.
func lenient(b []byte) oci.Opener {
	return func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b[min(at, int64(len(b))):])), nil
	}
}

func putsSHA512(t *testing.T, p Pair) {
	b := content(20, 1000)
	d := oci.Descriptor{Digest: digest.SHA512.FromBytes(b), Size: int64(len(b))}
	if _, err := p.Target.Put(t.Context(), d, nil, opener(b)); err != nil {
		wantKind(t, "put", err, fault.Refused, fault.Invalid)
		wantKind(t, "keeps", p.Target.Keeps(nil, []oci.Descriptor{d}), fault.Refused)
		return
	}
	wantBlob(t, p, d, b)
}

func survivesABreak(t *testing.T, p Pair) {
	b := content(21, 3<<20)
	cause := &fault.Fault{
		Kind: fault.Unavailable,
		Side: fault.Source,
		Op:   "read blob",
		Err:  errors.New("the line went dead"),
	}
	var mu sync.Mutex
	var asked []int64
	open := func(_ context.Context, at int64) (io.ReadCloser, error) {
		mu.Lock()
		defer mu.Unlock()
		if at < 0 || at > int64(len(b)) {
			return nil, fmt.Errorf("opened at byte %d of %d", at, len(b))
		}
		asked = append(asked, at)
		if len(asked) > 1 {
			return io.NopCloser(bytes.NewReader(b[at:])), nil
		}
		return io.NopCloser(io.MultiReader(bytes.NewReader(b[at:2<<20]), failing{cause})), nil
	}
	_, err := p.Target.Put(t.Context(), layer(b), nil, open)
	t.Logf("opened at %v: %v", asked, err)
	if err == nil {
		wantBlob(t, p, layer(b), b)
		return
	}
	if !errors.Is(err, cause) {
		t.Fatalf("%v; want the body's own error", err)
	}
	wantNoBlob(t, p, layer(b))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func rangeChecks() []check {
	const size = 100_000
	b := content(30, size)
	part := func(at, n int64) func(t *testing.T, p Pair) {
		return func(t *testing.T, p Pair) {
			d := putBlob(t, p, "", b)
			want := b[at:]
			if n >= 0 && n < int64(len(want)) {
				want = want[:n]
			}
			if got := readBlob(t, p, d, at, n); !bytes.Equal(got, want) {
				t.Fatalf("bytes %d+%d: got %d bytes that are not the %d requested", at, n, len(got), len(want))
			}
		}
	}
	return []check{
		{"the first byte of a blob can be read alone", part(0, 1)},
		{"the beginning of a blob can be read", part(0, 50_000)},
		{"the middle of a blob can be read", part(33_333, 33_333)},
		{"the last byte of a blob can be read", part(size-1, 1)},
		{"the rest of a blob can be read", part(1, -1)},
		{"a part that reaches past the end of a blob ends there", part(size-10, 1000)},
		{"a blob that is not there is not found at any byte", func(t *testing.T, p Pair) {
			_, _, err := p.Source.Blob(t.Context(), layer(b), 10, 10)
			wantKind(t, "read", err, fault.NotFound)
		}},
	}
}
