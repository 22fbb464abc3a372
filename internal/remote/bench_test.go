package remote_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/hollow"
	"github.com/drayage/dray/oci"
)

// BenchmarkPut sends blobs of 64 MiB over loopback to a registry that hashes and discards them.
func BenchmarkPut(b *testing.B) {
	const size = 64 * mib
	data, d := noise(b, 1, size)
	r := testbed.Serve(b, hollow.NewSink(b), testbed.Options{})
	c := client(b)
	b.SetBytes(size)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		to := c.Open(repo(r, fmt.Sprintf("app%d", i)), remote.Use{Actions: remote.Push})
		a, err := to.Put(context.Background(), d, nil, opener(data))
		if err != nil || a.Way != oci.Sent {
			b.Fatal(a, err)
		}
	}
}

// BenchmarkBlob reads a blob of 64 MiB over loopback.
func BenchmarkBlob(b *testing.B) {
	const size = 64 * mib
	data, d := noise(b, 1, size)
	r := testbed.Sloppy(b, testbed.Options{})
	r.Blob(b, "app", d.MediaType, data)
	from := client(b).Open(repo(r, "app"), remote.Use{})
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		body, _, err := from.Blob(context.Background(), d, 0, -1)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			b.Fatal(err)
		}
		body.Close()
	}
}

// BenchmarkCopy reads a blob of 256 MiB from one registry and puts it into another, as an engine
// does.
func BenchmarkCopy(b *testing.B) {
	const size = 256 * mib
	data, d := noise(b, 1, size)
	src := testbed.Sloppy(b, testbed.Options{})
	src.Blob(b, "app", d.MediaType, data)
	dst := testbed.Serve(b, hollow.NewSink(b), testbed.Options{})
	c := client(b)
	from := c.Open(repo(src, "app"), remote.Use{})
	b.SetBytes(size)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		to := c.Open(repo(dst, fmt.Sprintf("app%d", i)), remote.Use{Actions: remote.Push})
		a, err := to.Put(context.Background(), d, nil, func(ctx context.Context, at int64) (io.ReadCloser, error) {
			body, _, err := from.Blob(ctx, d, at, -1)
			return body, err
		})
		if err != nil || a.Way != oci.Sent {
			b.Fatal(a, err)
		}
	}
}
