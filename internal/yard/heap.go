package yard

import (
	"runtime/metrics"
	"time"
)

// WatchHeap samples the heap until the returned function is called. That function returns the
// largest size seen, in bytes.
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

// Heap returns the bytes of all heap objects, as runtime.MemStats.HeapAlloc does, but without
// stopping the program.
func Heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
