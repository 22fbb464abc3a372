package memory

import (
	"math"
	"testing"
)

func TestAProcessWithLittleMemoryHasASmallerBudget(t *testing.T) {
	for process, want := range map[int64]int64{0: 40 << 20, math.MaxInt64: 40 << 20, 1 << 30: 40 << 20, 268 << 20: 40 << 20, 158 << 20: 20 << 20, 1 << 20: 5 << 20} {
		if got := New(Options{Process: process}).Use(Decoded).Size; got != want {
			t.Errorf("%d: %d, want %d", process, got, want)
		}
	}
}
