package transfer_test

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"testing"

	"github.com/drayage/dray/internal/conform"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// takes is a target that reads the blobs it is sent and discards them.
type takes struct {
	*conform.Memory
	buf []byte
}

func (s *takes) Missing(_ context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	return blobs, nil
}

func (s *takes) Put(ctx context.Context, d oci.Descriptor, _ []ref.Repo, open oci.Opener) (oci.Arrival, error) {
	body, err := open(ctx, 0)
	if err != nil {
		return oci.Arrival{}, err
	}
	defer body.Close()
	for {
		if _, err = body.Read(s.buf); err != nil {
			break
		}
	}
	if err != io.EOF {
		return oci.Arrival{}, err
	}
	return oci.Arrival{Way: oci.Sent}, nil
}

func (s *takes) PutDocument(_ context.Context, _ oci.Document, tags ...string) (oci.Accepted, error) {
	return oci.Accepted{Tags: tags}, nil
}

// BenchmarkBlob copies an image of 64 blobs to measure the engine's cost for one blob.
func BenchmarkBlob(b *testing.B) {
	src := repo("a.io", "x")
	var layers []oci.Descriptor
	for i := range 63 {
		layers = append(layers, layer(src, fmt.Sprint("layer ", i)))
	}
	benchmark(b, src, manifest(src, "v1", layers...), 64)
}

// BenchmarkManifest copies 64 documents, an index and its manifests, which share one config.
func BenchmarkManifest(b *testing.B) {
	src := repo("a.io", "x")
	var children []oci.Document
	for i := range 63 {
		config := src.Preload("application/vnd.oci.image.config.v1+json", []byte(`{"os":"linux"}`))
		children = append(children, document(src, "", map[string]any{"schemaVersion": 2, "mediaType": oci.TypeManifest, "config": config,
			"layers": []oci.Descriptor{}, "annotations": map[string]string{"n": strconv.Itoa(i)}}))
	}
	benchmark(b, src, index(src, "v1", children...), 64)
}

// BenchmarkBytes copies one layer of 16 MiB.
func BenchmarkBytes(b *testing.B) {
	src := repo("a.io", "x")
	b.SetBytes(16 * mib)
	benchmark(b, src, large(src, 16*mib), 1)
}

// benchmark copies root and reports n, the number of equal things in one copy.
func benchmark(b *testing.B, src *conform.Memory, root oci.Document, n int) {
	b.Helper()
	e := transfer.New(transfer.Options{Blobs: 1})
	dst := &takes{repo("b.io", "y"), make([]byte, 256<<10)}
	b.ReportAllocs()
	for b.Loop() {
		out := e.Copy(b.Context(), transfer.Task{From: src, Root: root.Descriptor, To: []transfer.End{{Target: dst, Tags: []string{"v1"}}}})
		if out[0].Err != nil {
			b.Fatal(out[0].Err)
		}
		src.ForgetOps()
	}
	b.ReportMetric(float64(n), "of-them")
}
