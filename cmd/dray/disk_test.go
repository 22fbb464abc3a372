//go:build linux && amd64

package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/drayage/dray/internal/testbed/calls"
)

// failures are the ways in which a disk fails, with what the error line says and the exit code.
var failures = []struct {
	errno syscall.Errno
	cause string
	code  int
	hint  string
}{
	{syscall.ENOSPC, "no space left on device", 1, "free space"},
	{syscall.EDQUOT, "disk quota exceeded", 1, "free space"},
	{syscall.EROFS, "read-only file system", 4, ""},
	{syscall.EIO, "input/output error", 1, ""},
}

// failing lets each call fail with errno from the call at on, as that error does: a disk that is full or read-only lets
// files be closed, renamed within limits, and removed.
func failing(errno syscall.Errno, at int, hit *calls.Call) func(calls.Call) calls.Act {
	return func(c calls.Call) calls.Act {
		if c.N < at {
			return calls.Act{}
		}
		full := errno == syscall.ENOSPC || errno == syscall.EDQUOT
		if full && (c.Name == "unlink" || c.Name == "rename" || c.Name == "truncate" || c.Name == "chmod" || c.Name == "fsync") {
			return calls.Act{}
		}
		if errno == syscall.EROFS && (c.Name == "write" || c.Name == "fsync") {
			return calls.Act{} // of a file that was open before
		}
		if hit.N == 0 {
			*hit = c
		}
		return calls.Act{Fail: errno}
	}
}

// A state directory on a disk that fails costs nothing but the state.
func TestACopyGoesOnWhenTheDiskOfItsStateFails(t *testing.T) {
	w := newWorld(t)
	for _, f := range failures {
		for _, s := range registryScenes() {
			if !s.large && s.name != "transfer" {
				continue
			}
			for at := 1; at < 16; at += 7 {
				r := w.open(s)
				var hit calls.Call
				line := s.lines(r)[0]
				out := r.trace(line, failing(f.errno, at, &hit), "state")
				out.ok(t, line)
				r.last = f.errno.Error() + " at " + hit.String()
				r.check(true)
				r.sentOnce()
				noted := strings.Contains(hit.Path, "/uploads") && hit.Name != "unlink" // the others are hints
				if noted && s.large && !strings.Contains(out.stderr, f.cause) {
					t.Errorf("%s: %s", r.last, out.stderr)
				}
				r.must(line)
				r.close()
			}
		}
	}
}

// What a verb writes to a disk that fails is whole or not there, the error says what to do, and the work is completed
// when the disk is mended.
func TestADiskThatFailsIsOneClearLineAndLeavesNothingHalfWritten(t *testing.T) {
	w := newWorld(t)
	for _, s := range append(fileScenes(), registryScenes()...) {
		if s.files == nil {
			continue
		}
		for _, f := range failures {
			r := w.open(s)
			for _, line := range s.lines(r) {
				if line[0] == "plan" {
					r.must(line)
					continue
				}
				n := 0
				r.failAt(line, f.errno, f.cause, f.hint, f.code, 1+w.rand.IntN(12), &n)
				r.check(false)
				r.must(line)
			}
			r.check(true)
			r.close()
		}
	}
}

// failAt runs a line on a disk that fails from one of its changes on, apart from the state directory.
func (r *round) failAt(line []string, errno syscall.Errno, cause, hint string, code, at int, n *int) {
	r.t.Helper()
	var hit calls.Call
	inner := failing(errno, 0, &hit)
	state := filepath.Join(r.dir, "state")
	out := r.trace(line, func(c calls.Call) calls.Act {
		if c.Path == state || strings.HasPrefix(c.Path, state+"/") {
			return calls.Act{}
		}
		if *n++; *n < at {
			return calls.Act{}
		}
		return inner(c)
	})
	r.last = errno.Error() + " at " + hit.String()
	r.t.Logf("%s %s: exit %d: %s", r.scene.name, r.last, out.code, out.stderr)
}
