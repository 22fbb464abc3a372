//nolint:thelper // the checks are tests that Run runs; t.Helper would hide the line that failed
package conform

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// soon is the time within which a canceled call must return.
const soon = 5 * time.Second

func togetherChecks() []check {
	return []check{
		{"16 concurrent writers of the same and of different content lose nothing", manyWriters},
		{"a canceled put ends soon and stores nothing", cancelsPut},
		{"a canceled context sets no tag", func(t *testing.T, p Pair) {
			doc := image(t, p, 200, "")
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := p.Target.PutDocument(ctx, doc, "late")
			wantKind(t, "put document", err, fault.Canceled)
			wantAbsent(t, p, "late")
		}},
		{"a canceled context is not reported as not found", func(t *testing.T, p Pair) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			b := content(201, 10)
			_, err := p.Source.Resolve(ctx, "v1")
			wantKind(t, "source resolve", err, fault.Canceled)
			_, err = p.Target.Resolve(ctx, "v1")
			wantKind(t, "target resolve", err, fault.Canceled)
			_, err = p.Source.Document(ctx, "v1")
			wantKind(t, "read document", err, fault.Canceled)
			_, _, err = p.Source.Blob(ctx, layer(b), 0, -1)
			wantKind(t, "read blob", err, fault.Canceled)
			_, err = p.Target.Put(ctx, layer(b), nil, opener(b))
			wantKind(t, "put blob", err, fault.Canceled)
		}},
	}
}

func manyWriters(t *testing.T, p Pair) {
	const writers = 16
	shared := content(210, 200_000)
	config := putBlob(t, p, "application/vnd.oci.image.config.v1+json", []byte("{}"))
	docs := make([]oci.Document, writers)
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		own := content(uint64(220+i), 50_000)
		docs[i] = manifest(t, config, "", layer(shared), layer(own))
		wg.Go(func() {
			for _, b := range [][]byte{shared, own} {
				if _, err := p.Target.Put(t.Context(), layer(b), nil, opener(b)); err != nil {
					errs[i] = err
					return
				}
			}
			acc, err := p.Target.PutDocument(t.Context(), docs[i], fmt.Sprint("w", i), fmt.Sprint("also", i))
			if err == nil && len(acc.Tags) != 2 {
				err = fmt.Errorf("accepted %+v", acc)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	for i := range writers {
		noError(t, fmt.Sprint("writer ", i), errs[i])
		wantDocument(t, p, fmt.Sprint("w", i), docs[i])
		wantDocument(t, p, fmt.Sprint("also", i), docs[i])
		wantBlob(t, p, layer(content(uint64(220+i), 50_000)), content(uint64(220+i), 50_000))
	}
	wantBlob(t, p, layer(shared), shared)
}

func cancelsPut(t *testing.T, p Pair) {
	b := content(240, 1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reached := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := p.Target.Put(ctx, layer(b), nil, func(ctx context.Context, at int64) (io.ReadCloser, error) {
			stuck := &waiting{ctx: ctx, reached: reached}
			return io.NopCloser(io.MultiReader(bytes.NewReader(b[at:len(b)/2]), stuck)), nil
		})
		done <- err
	}()
	select {
	case <-reached:
	case err := <-done:
		t.Fatalf("put returned before half of the blob was read: %v", err)
	}
	cancel()
	select {
	case err := <-done:
		wantKind(t, "put", err, fault.Canceled)
	case <-time.After(soon):
		t.Fatalf("put did not return within %v", soon)
	}
	wantNoBlob(t, p, layer(b))
}

// waiting is a body that never delivers its next byte.
type waiting struct {
	ctx     context.Context
	reached chan struct{}
	once    sync.Once
}

func (w *waiting) Read([]byte) (int, error) {
	w.once.Do(func() { close(w.reached) })
	<-w.ctx.Done()
	return 0, context.Cause(w.ctx)
}
