package guest

import (
	"fmt"

	"github.com/drayage/dray/fault"
)

// Fewest is how many files and connections a server must be allowed to have open.
const Fewest = 64

// Files is how many files and connections a process may have open at the same time; 0 means that it is no limit. The
// rest of what Most and Jobs return is for the content and the database.
type Files int

// Check returns an error of the Kind Invalid if a server cannot work with so few.
func (f Files) Check() error {
	if f <= 0 || f >= Fewest {
		return nil
	}
	return &fault.Fault{Kind: fault.Invalid, Op: "serve", Name: "with few files",
		Err:  fmt.Errorf("this process may have %d files and connections open, and a server needs %d", int(f), Fewest),
		Hint: "allow more: ulimit -n 65536, or LimitNOFILE=65536 of systemd"}
}

// Most returns how many connections clients may have; memory is that of the process in bytes, or very large.
func (f Files) Most(memory int64) int {
	most := int(min(memory/4/perConnection, 1<<20))
	if f > 0 {
		most = min(most, max(int(f)/8, int(f)/2-128))
	}
	return max(most, 1)
}

// Jobs returns how many files and connections the jobs may have; 0 means that it is no limit.
func (f Files) Jobs() int { return int(f) / 4 }

// perConnection is the memory of a connection that waits for its next request, with room.
const perConnection = 32 << 10
