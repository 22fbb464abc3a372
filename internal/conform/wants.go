package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// wantKind fails the test unless err is a fault of one of kinds without a Side, which only the
// caller knows.
func wantKind(t *testing.T, what string, err error, kinds ...fault.Kind) {
	t.Helper()
	var f *fault.Fault
	switch {
	case err == nil:
		t.Fatalf("%s: no error; want kind %q", what, kinds)
	case !errors.As(err, &f):
		t.Fatalf("%s: %v is not a *fault.Fault", what, err)
	case !slices.Contains(kinds, f.Kind):
		t.Fatalf("%s: kind %q (%v); want %q", what, f.Kind, err, kinds)
	case f.Side != "":
		t.Fatalf("%s: %v has a side, which only the caller can know", what, err)
	}
}

func noError(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// content returns n bytes that look random. The same seed gives the same bytes.
func content(seed uint64, n int) []byte {
	var key [32]byte
	copy(key[:], fmt.Sprint("conform ", seed))
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

func describe(mediaType string, b []byte) oci.Descriptor {
	return oci.Descriptor{MediaType: mediaType, Digest: oci.Sum(b), Size: int64(len(b))}
}

func layer(b []byte) oci.Descriptor {
	return describe("application/vnd.oci.image.layer.v1.tar+gzip", b)
}

// opener serves b.
func opener(b []byte) oci.Opener {
	return func(_ context.Context, at int64) (io.ReadCloser, error) {
		if at < 0 || at > int64(len(b)) {
			return nil, fmt.Errorf("opened at byte %d of %d", at, len(b))
		}
		return io.NopCloser(bytes.NewReader(b[at:])), nil
	}
}

// putBlob stores b and returns its descriptor.
func putBlob(t *testing.T, p Pair, mediaType string, b []byte) oci.Descriptor {
	t.Helper()
	d := describe(mediaType, b)
	_, err := p.Target.Put(t.Context(), d, nil, opener(b))
	noError(t, "put blob", err)
	return d
}

// image stores a configuration and a layer and returns a manifest of them, which is not stored.
// extra is inserted into the manifest as it is: `,"key":1`.
func image(t *testing.T, p Pair, seed uint64, extra string) oci.Document {
	t.Helper()
	config := putBlob(t, p, "application/vnd.oci.image.config.v1+json",
		fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","seed":%d}`, seed))
	l := putBlob(t, p, "application/vnd.oci.image.layer.v1.tar+gzip", content(seed, 1000))
	return manifest(t, config, extra, l)
}

func manifest(t *testing.T, config oci.Descriptor, extra string, layers ...oci.Descriptor) oci.Document {
	t.Helper()
	list := make([]string, len(layers))
	for i, l := range layers {
		list[i] = entry(l, "")
	}
	return parse(t, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":`+
		entry(config, "")+`,"layers":[`+strings.Join(list, ",")+`]`+extra+`}`)
}

// index returns an index of docs, each with extra in its descriptor.
func index(t *testing.T, extra string, docs ...oci.Document) oci.Document {
	t.Helper()
	list := make([]string, len(docs))
	for i, d := range docs {
		list[i] = entry(d.Descriptor, extra)
	}
	return parse(t, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[`+
		strings.Join(list, ",")+`]}`)
}

func entry(d oci.Descriptor, extra string) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d%s}`, d.MediaType, d.Digest, d.Size, extra)
}

func parse(t *testing.T, raw string) oci.Document {
	t.Helper()
	doc, err := oci.Parse(oci.Descriptor{}, []byte(raw))
	noError(t, "parse", err)
	return doc
}

func putDocument(t *testing.T, p Pair, doc oci.Document, tags ...string) {
	t.Helper()
	acc, err := p.Target.PutDocument(t.Context(), doc, tags...)
	noError(t, "put document", err)
	slices.Sort(acc.Tags)
	if want := slices.Sorted(slices.Values(tags)); !slices.Equal(acc.Tags, want) || len(acc.Failed) > 0 {
		t.Fatalf("put document: accepted tags %q, failed %v; want %q", acc.Tags, acc.Failed, want)
	}
}

// wantDocument fails the test unless reference gives doc, byte for byte, with each method that
// reads it.
func wantDocument(t *testing.T, p Pair, reference string, doc oci.Document) {
	t.Helper()
	got, err := p.Source.Document(t.Context(), reference)
	noError(t, "read "+reference, err)
	if !bytes.Equal(got.Raw, doc.Raw) {
		t.Fatalf("read %s: %d bytes\n%s\nwant %d bytes\n%s", reference, len(got.Raw), got.Raw, len(doc.Raw), doc.Raw)
	}
	sameDescriptor(t, "read "+reference, got.Descriptor, doc.Descriptor)
	for what, resolve := range map[string]func(context.Context, string) (oci.Descriptor, error){
		"source": p.Source.Resolve,
		"target": p.Target.Resolve,
	} {
		d, err := resolve(t.Context(), reference)
		noError(t, what+" resolve "+reference, err)
		sameDescriptor(t, what+" resolve "+reference, d, doc.Descriptor)
	}
}

func sameDescriptor(t *testing.T, what string, got, want oci.Descriptor) {
	t.Helper()
	if got.Digest != want.Digest || got.Size != want.Size || got.MediaType != want.MediaType {
		t.Fatalf("%s: %s %s %d; want %s %s %d", what,
			got.MediaType, got.Digest, got.Size, want.MediaType, want.Digest, want.Size)
	}
}

// wantAbsent fails the test unless both sides report reference as not found.
func wantAbsent(t *testing.T, p Pair, reference string) {
	t.Helper()
	_, err := p.Target.Resolve(t.Context(), reference)
	wantKind(t, "target resolve "+reference, err, fault.NotFound)
	_, err = p.Source.Resolve(t.Context(), reference)
	wantKind(t, "source resolve "+reference, err, fault.NotFound)
	_, err = p.Source.Document(t.Context(), reference)
	wantKind(t, "read "+reference, err, fault.NotFound)
}

// wantMissing fails the test unless exactly the blobs want are missing among asked, in that order.
func wantMissing(t *testing.T, p Pair, asked []oci.Descriptor, want ...oci.Descriptor) {
	t.Helper()
	got, err := p.Target.Missing(t.Context(), asked)
	noError(t, "ask for missing blobs", err)
	if !slices.EqualFunc(got, want, func(a, b oci.Descriptor) bool { return a.Digest == b.Digest }) {
		t.Fatalf("missing: %v; want %v", got, want)
	}
}

// wantNoBlob fails the test unless d is missing and cannot be read.
func wantNoBlob(t *testing.T, p Pair, d oci.Descriptor) {
	t.Helper()
	wantMissing(t, p, []oci.Descriptor{d}, d)
	body, _, err := p.Source.Blob(t.Context(), d, 0, -1)
	if err == nil {
		body.Close()
	}
	wantKind(t, "read a blob that does not exist", err, fault.NotFound)
}

// wantBlob fails the test unless d exists and reads as b.
func wantBlob(t *testing.T, p Pair, d oci.Descriptor, b []byte) {
	t.Helper()
	wantMissing(t, p, []oci.Descriptor{d})
	if got := readBlob(t, p, d, 0, -1); !bytes.Equal(got, b) {
		t.Fatalf("read blob: %d bytes that differ from the %d put", len(got), len(b))
	}
}

// readBlob reads n bytes from byte at on, like a reader that resumes. n < 0 reads to the end.
func readBlob(t *testing.T, p Pair, d oci.Descriptor, at, n int64) []byte {
	t.Helper()
	body, from, err := p.Source.Blob(t.Context(), d, at, n)
	noError(t, "read blob", err)
	defer body.Close()
	if from < 0 || from > at {
		t.Fatalf("asked for byte %d, the body begins at %d", at, from)
	}
	_, err = io.CopyN(io.Discard, body, at-from)
	noError(t, "skip to the requested byte", err)
	got, err := io.ReadAll(body)
	noError(t, "read blob", err)
	return got
}
