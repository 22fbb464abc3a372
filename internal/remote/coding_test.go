package remote_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

// packed returns data as gzip, which is how most layers are stored.
func packed(tb testing.TB, data []byte) ([]byte, oci.Descriptor) {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(data)
	must(tb, err)
	must(tb, z.Close())
	return b.Bytes(), oci.Descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Digest: oci.Sum(b.Bytes()), Size: int64(b.Len())}
}

// readsAll reads what a copy reads, and checks each byte.
func readsAll(b *bench) {
	b.Helper()
	img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{Layers: 2, Size: 20 << 10})
	for _, reference := range []string{"v1", img.Digest()} {
		d, err := b.repo.Resolve(b.Context(), reference)
		must(b, err)
		doc, err := b.repo.Document(b.Context(), reference)
		must(b, err)
		if d.Digest != img.Root.Digest || d.Size != img.Root.Size || doc.Digest != img.Root.Digest {
			b.Errorf("%s is %v and %v", reference, d, doc.Descriptor)
		}
	}
	var tags []string
	must(b, b.repo.List(b.Context(), func(l oci.Listed) error { tags = append(tags, l.Tag); return nil }))
	if len(tags) != 1 {
		b.Errorf("tags %v", tags)
	}
	noisy, plain := noise(b, 9, 30<<10)
	zipped, layer := packed(b, noisy)
	for _, c := range []struct {
		data []byte
		d    oci.Descriptor
	}{{noisy, plain}, {zipped, layer}, {[]byte("{}"), oci.Descriptor{Digest: oci.Sum([]byte("{}")), Size: 2}}, {nil, oci.Descriptor{Digest: oci.Sum(nil)}}} {
		b.r.Blob(b, "app", "application/octet-stream", c.data)
		for _, at := range []int64{0, c.d.Size / 2} {
			got, from, err := b.read(c.d, at, -1)
			if fault.Is(err, fault.Corrupt) {
				got, from, err = b.read(c.d, at, -1) // as an engine does
			}
			must(b, err)
			if !bytes.Equal(got, c.data[from:]) {
				b.Errorf("%d bytes from %d, want %d", len(got), from, len(c.data))
			}
		}
		missing, err := b.repo.Prove(b.Context(), []oci.Descriptor{c.d})
		must(b, err)
		if len(missing) != 0 {
			b.Errorf("%v counts as missing", c.d)
		}
	}
}

func TestF10AContentEncodingThatIsLeftOverIsPassedOver(t *testing.T) {
	for _, name := range []string{"identity", "aws-chunked", "utf-8", "gzip", "br", "zstd", "aws-chunked, gzip", "deflate", "x-gzip"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{hostile.Header("Content-Encoding", name)}, readsAll)
		})
	}
}

func TestF10WhatIsReallyCompressedIsDecoded(t *testing.T) {
	for _, name := range []string{"gzip", "deflate"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{hostile.ContentEncoding(name).On("", "").When(func(r *http.Request) bool {
				return r.Method == http.MethodGet
			})}, readsAll)
		})
	}
}

// Without a length, a layer that is stored as gzip and one that is compressed for the transfer look
// alike. The media type is tried first, and the other reading when the blob is read again.
func TestF10WithoutALengthTheDigestDecidesWhichBytesAreRight(t *testing.T) {
	noLength := hostile.CleanEOFAt(1 << 40)
	left := []*hostile.Fault{hostile.Header("Content-Encoding", "gzip").On("GET", testbed.Blob), noLength}
	for name, c := range map[string]struct {
		faults []*hostile.Fault
		media  string
		tries  int
	}{
		"left over on a layer":       {left, "application/vnd.oci.image.layer.v1.tar+gzip", 1},
		"left over on another type":  {left, "application/octet-stream", 2},
		"compressed, another type":   {[]*hostile.Fault{hostile.ContentEncoding("gzip"), noLength}, "application/octet-stream", 1},
		"compressed once more":       {[]*hostile.Fault{hostile.ContentEncoding("gzip"), noLength}, "application/vnd.oci.image.layer.v1.tar+gzip", 2},
		"left over, and what is br":  {[]*hostile.Fault{hostile.Header("Content-Encoding", "br").On("GET", testbed.Blob), noLength}, "application/json", 1},
		"left over, of stored bytes": {[]*hostile.Fault{hostile.Header("Content-Encoding", "zstd").On("GET", testbed.Blob), noLength}, "application/vnd.oci.image.layer.v1.tar+zstd", 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, c.faults, func(b *bench) {
				noisy, _ := noise(b, 1, 300<<10)
				data, d := packed(b, append(noisy, make([]byte, 300<<10)...))
				d.MediaType = c.media
				b.r.Blob(b, "app", d.MediaType, data)
				for try := 1; ; try++ {
					got, _, err := b.read(d, 0, -1)
					if err == nil && bytes.Equal(got, data) {
						if try != c.tries {
							b.Errorf("right at try %d, want %d", try, c.tries)
						}
						return
					}
					if err == nil || try == c.tries {
						b.Fatalf("try %d: %d bytes of %d, %v", try, len(got), len(data), err)
					}
				}
			})
		})
	}
}

func TestF10ACodingThatCannotBeDecodedIsNamed(t *testing.T) {
	header := http.Header{"Content-Encoding": {"br"}, "Content-Type": {oci.TypeManifest}}
	bubble(t, []*hostile.Fault{hostile.Status(200, header, "\x0b\x02\x80{}\x03")}, func(b *bench) {
		_, d := noise(b, 1, 1000)
		for _, read := range []func() error{
			func() error { _, err := b.repo.Document(b.Context(), "v1"); return err },
			func() error { return b.repo.List(b.Context(), func(oci.Listed) error { return nil }) },
			func() error { _, _, err := b.read(d, 0, -1); return err },
		} {
			err := read()
			wantKind(b, err, fault.Refused)
			if !strings.Contains(err.Error(), "compressed with br") || !strings.Contains(fault.HintOf(err), "compression") {
				b.Errorf("%v (%s)", err, fault.HintOf(err))
			}
		}
	})
	bubble(t, []*hostile.Fault{hostile.Header("Content-Encoding", "br"), hostile.CleanEOFAt(300)}, func(b *bench) {
		_, d := b.store(1, 1000)
		_, _, err := b.read(d, 0, -1)
		wantKind(b, err, fault.Refused)
	})
}

func TestF10ACompressedDocumentIsReadUpToTheSameLimit(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.Copy(z, io.LimitReader(zeros{}, 64*mib))
	must(t, err)
	must(t, z.Close())
	header := http.Header{"Content-Encoding": {"gzip"}, "Content-Type": {oci.TypeManifest}}
	bubble(t, []*hostile.Fault{hostile.Status(200, header, b.String())}, func(b *bench) {
		_, err := b.repo.Document(b.Context(), "v1")
		wantKind(b, err, fault.TooLarge)
	})
	bubble(t, []*hostile.Fault{hostile.Status(200, header, b.String()[:1000])}, func(b *bench) {
		_, err := b.repo.Document(b.Context(), "v1")
		wantKind(b, err, fault.Refused)
	})
}

func TestF10AListThatIsCompressedAndCutIsNamedAtOnce(t *testing.T) {
	page, _ := packed(t, []byte(`{"name":"app","tags":["`+strings.Repeat("v", 1000)+`"]}`))
	header := http.Header{"Content-Encoding": {"gzip"}, "Content-Type": {"application/json"}}
	bubble(t, []*hostile.Fault{hostile.Status(200, header, string(page[:len(page)/2]))}, func(b *bench) {
		err := b.repo.List(b.Context(), func(oci.Listed) error { return nil })
		want := "list tags of " + b.repo.Repo().String() + ": refused: the answer is not valid gzip: it ends too early"
		if err == nil || err.Error() != want || !strings.Contains(fault.HintOf(err), "compression") {
			b.Errorf("%v, hint %q", err, fault.HintOf(err))
		}
		b.count("GET", "", 1)
	})
}

func TestF10AnErrorWhoseBodyCannotBeDecodedKeepsItsStatus(t *testing.T) {
	header := http.Header{"Content-Encoding": {"gzip"}}
	bubble(t, []*hostile.Fault{hostile.Status(404, header, "\x1f\x8bno gzip")}, func(b *bench) {
		_, err := b.repo.Document(b.Context(), "v1")
		wantKind(b, err, fault.NotFound)
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// The length of an encoded blob is not the length of the blob.
func TestF10ABlobThatIsThereIsFoundWhateverItsEncodedLengthIs(t *testing.T) {
	data, d := noise(t, 1, 1000)
	zipped, _ := packed(t, data)
	encoded := func(method string) *hostile.Fault {
		return hostile.Status(200, http.Header{"Content-Encoding": {"gzip"}}, string(zipped)).On(method, testbed.Blob)
	}
	for name, faults := range map[string][]*hostile.Fault{
		"HEAD":         {encoded("HEAD")},
		"refused, GET": {hostile.Status(405, nil, "").On("HEAD", testbed.Blob), encoded("GET")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, faults, func(b *bench) {
				missing, err := b.repo.Missing(b.Context(), []oci.Descriptor{d})
				if err != nil || len(missing) != 0 {
					b.Errorf("%v %v", missing, err)
				}
				missing, err = b.repo.Prove(b.Context(), []oci.Descriptor{d})
				if err != nil || len(missing) != 0 {
					b.Errorf("%v %v", missing, err)
				}
			})
		})
	}
}
