package apply_test

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
)

// Promise 8, and more than the 2 GiB that az acr import once took: a layer of any
// size costs the same memory. Both registries are in this process and hold no bytes.
func TestALayerOfMoreThanTwoGiBIsCopiedInBoundedMemory(t *testing.T) {
	size := int64(2<<30 + 1)
	switch {
	case testing.Short():
		size = 64<<20 + 1
	case underRace:
		size = 256<<20 + 1 // make check runs it whole without the detector
	}
	src, img := testbed.Sparse(t, size, testbed.Options{})
	sink := testbed.NewSink(t)
	y := yard.Of(t, src, testbed.Serve(t, sink, testbed.Options{}))

	runtime.GC()
	before := heap()
	most := watchHeap()
	y.Must(y.Copy(dray.CopyRequest{Source: "src/sparse:v1", Targets: []string{"dst/big:v1"}}))
	if sink.Bytes() != img.Bytes {
		t.Errorf("%d bytes arrived, want %d", sink.Bytes(), img.Bytes)
	}
	if grown := int64(most()) - int64(before); grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

// watchHeap samples the heap until the returned function is called, which tells the most seen.
func watchHeap() func() uint64 {
	stop, done := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			most = max(most, heap())
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

// heap is what objects take, as runtime.MemStats has it in HeapAlloc, and stops nobody for it.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
