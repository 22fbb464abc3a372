package yard

import (
	"runtime/metrics"
	"time"
)

// WatchHeap samples the heap until the returned function is called, which tells the most seen.
func WatchHeap() func() uint64 {
	stop, done := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			most = max(most, Heap())
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

// Heap is what objects take, as runtime.MemStats has it in HeapAlloc, and stops nobody for it.
func Heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
