package apply_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/hollow"
	"github.com/drayage/dray/internal/yard"
)

// Promise 8, and more than the 2 GiB that az acr import once took: a layer of any
// size costs the same memory. Both registries are in this process and hold no bytes.
func TestALayerOfMoreThanTwoGiBIsCopiedInBoundedMemory(t *testing.T) {
	size := int64(2<<30 + 1)
	if testing.Short() {
		size = 64<<20 + 1
	}
	src, img := hollow.Sparse(t, size, testbed.Options{})
	sink := hollow.NewSink(t)
	y := yard.Of(t, src, testbed.Serve(t, sink, testbed.Options{}))

	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	most := watchHeap()
	y.Must(y.Copy(dray.CopyRequest{Source: "src/sparse:v1", Targets: []string{"dst/big:v1"}}))
	if sink.Bytes() != img.Bytes {
		t.Errorf("%d bytes arrived, want %d", sink.Bytes(), img.Bytes)
	}
	if grown := int64(most()) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

// watchHeap samples the heap until the returned function is called, which tells the most seen.
func watchHeap() func() uint64 {
	stop, done := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			select {
			case <-stop:
				done <- most
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() uint64 { close(stop); return <-done }
}
