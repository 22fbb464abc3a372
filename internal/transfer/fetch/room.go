package fetch

import (
	"sync"
)

// Room is the memory in which downloads hold bytes that cannot be delivered yet. No download
// waits for memory: if there is none left, the download works without it.
type Room struct {
	size int64 // bytes in total

	mu   sync.Mutex
	used int64
	idle int64 // bytes in free
	// Buffers to reuse, by size. New buffers would take more memory than size allows, because
	// discarded ones still take memory until the garbage collector frees them.
	free map[int64][][]byte
}

// Take returns a buffer of n bytes, or nil if fewer than n bytes are left.
func (r *Room) Take(n int64) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used+n > r.size {
		return nil
	}
	r.used += n
	if last := len(r.free[n]) - 1; last >= 0 {
		b := r.free[n][last]
		r.free[n] = r.free[n][:last]
		r.idle -= n
		return b
	}
	if r.used+r.idle > r.size {
		r.idle, r.free = 0, nil
	}
	return make([]byte, n)
}

// Give returns a buffer that came from Take.
func (r *Room) Give(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := int64(cap(b))
	r.used -= n
	r.idle += n
	if r.free == nil {
		r.free = map[int64][][]byte{}
	}
	r.free[n] = append(r.free[n], b[:n])
}
