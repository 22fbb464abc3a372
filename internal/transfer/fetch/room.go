package fetch

import (
	"sync"
)

// Room is the memory in which downloads hold bytes that can not be delivered yet.
// Nobody waits for it: who gets none reads without.
type Room struct {
	size int64 // bytes, in all

	mu   sync.Mutex
	used int64
	idle int64              // bytes in free
	free map[int64][][]byte // by size, to be used again: what the collector would leave behind counts as ours
}

// Take gives n bytes, or nil when they are not left.
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

// Give takes back what take gave.
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
