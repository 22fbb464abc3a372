package apply_test

import (
	"runtime"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/hollow"
	"github.com/drayage/dray/internal/yard"
)

// Promise 8: a layer of any size takes the same memory. The size is more than the 2 GiB that were
// once the limit of az acr import. Both registries are in this process and store no bytes.
func TestALayerOfMoreThanTwoGiBIsCopiedInBoundedMemory(t *testing.T) {
	size := int64(2<<30 + 1)
	switch {
	case testing.Short():
		size = 64<<20 + 1
	case yard.Small():
		size = 256<<20 + 1 // make check runs the full size without the race detector
	}
	src, img := hollow.Sparse(t, size, testbed.Options{})
	sink := hollow.NewSink(t)
	y := yard.Of(t, src, testbed.Serve(t, sink, testbed.Options{}))

	runtime.GC()
	before := yard.Heap()
	most := yard.WatchHeap()
	y.Must(y.Copy(dray.CopyRequest{Source: "src/sparse:v1", Targets: []string{"dst/big:v1"}}))
	if sink.Bytes() != img.Bytes {
		t.Errorf("%d bytes arrived, want %d", sink.Bytes(), img.Bytes)
	}
	if grown := int64(most()) - int64(before); grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}
