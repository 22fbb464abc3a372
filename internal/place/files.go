package place

// Files is how many files and connections the process may have open at the same time; 0 means that it is no limit.
// One thing that is done at a time, such as an image in flight, gets twelve of them, and the process itself sixteen.
type Files int

const (
	itself = 16
	each   = 12
	plenty = 32 // things at the same time
)

// AtOnce returns how many of n things may be done at the same time.
func (f Files) AtOnce(n int) int {
	if f <= 0 {
		return n
	}
	return min(n, max(1, (int(f)-itself)/each))
}

// Bodies returns how many blobs may be copied at the same time; 0 means that Files is no limit.
func (f Files) Bodies() int {
	if n := f.AtOnce(plenty); n < plenty {
		return n
	}
	return 0
}

// Asks returns how many requests without blobs a host may get at once; 0 means that Files is no limit.
func (f Files) Asks() int { return 2 * f.Bodies() }
