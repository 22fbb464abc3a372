//go:build linux && amd64

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/drayage/dray/internal/testbed/calls"
	"github.com/drayage/dray/internal/testbed/disk"
)

// failures are the ways in which a disk fails, with what the error line says and the exit code.
var failures = []struct {
	errno syscall.Errno
	cause string
	code  int
	step  string
}{
	{syscall.ENOSPC, "full: ", 1, "(hint: free space on the disk of "},
	{syscall.EDQUOT, "full: ", 1, "or raise the disk quota of this user"},
	{syscall.EROFS, "denied: ", 4, " for writing, or name a place on another one"},
	{syscall.EIO, "unavailable: ", 1, "(hint: check the disk of "},
}

// failing lets each call fail with errno from the call at on, if such a disk does: one that is full lets files be renamed
// and removed.
func failing(errno syscall.Errno, at int, hit *calls.Call) func(calls.Call) calls.Act {
	return func(c calls.Call) calls.Act {
		if c.N < at {
			return calls.Act{}
		}
		switch {
		case errno == syscall.EROFS && (c.Name == "write" || c.Name == "fsync"): // of a file that was open before
			return calls.Act{}
		case (errno == syscall.ENOSPC || errno == syscall.EDQUOT) && !slices.Contains([]string{"create", "mkdir", "write"}, c.Name):
			return calls.Act{}
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
			for at := 1; at < 10; at += 8 {
				r := w.open(s)
				var hit calls.Call
				line := s.lines(r)[0]
				out := r.trace(line, failing(f.errno, at, &hit), "state")
				out.ok(t, line)
				r.last = f.errno.Error() + " at " + hit.String()
				r.check(true)
				r.sentOnce()
				noted := strings.Contains(hit.Path, "/uploads") && hit.Name != "unlink" // the others are hints
				if noted && s.large && !strings.Contains(out.stderr, f.errno.Error()) {
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
	seen := 0
	for _, s := range append(fileScenes(), registryScenes()...) {
		if s.files == nil {
			continue
		}
		for i := range failures {
			r := w.open(s)
			for _, line := range s.lines(r) {
				if line[len(line)-1][0] != '>' && r.failAt(line, i, 1+w.rand.IntN(40)) {
					seen++
				}
				r.check(false)
				r.must(line)
			}
			r.check(true)
			r.close()
		}
	}
	if seen < 30 {
		t.Errorf("only %d runs failed", seen)
	}
	t.Logf("%d runs failed", seen)
}

// failAt runs a line on a disk that fails from one of its changes on, apart from the state directory. It returns false
// if the disk did not fail before the end.
func (r *round) failAt(line []string, i, at int) bool {
	r.t.Helper()
	f := failures[i]
	var hit calls.Call
	n, judge := 0, failing(f.errno, 0, &hit)
	state := filepath.Join(r.dir, "state") + "/"
	out := r.trace(line, func(c calls.Call) calls.Act {
		if n++; n < at || strings.HasPrefix(c.Path+"/", state) {
			return calls.Act{}
		}
		return judge(c)
	})
	r.last = f.errno.Error() + " at " + hit.String()
	// What is left to remove harms nobody.
	removes := hit.Name == "unlink" && (out.code == 0 || filepath.Base(hit.Path) == "failed")
	if hit.N == 0 || removes || hit.Name == "chmod" {
		return false
	}
	first, _, _ := strings.Cut(out.stderr, "(hint: ")
	once := strings.Count(first, f.errno.Error()) == 1
	if out.code != f.code && out.code != 6 || !once || !strings.Contains(first, f.cause) || !strings.Contains(out.stderr, f.step) {
		r.t.Errorf("%s, %s: exit code %d: %s", r.scene.name, r.last, out.code, out.stderr)
	}
	return true
}

// The same with a real disk, which root may mount.
func TestADiskThatIsMountedForReadingOnlyIsNamed(t *testing.T) {
	w := newWorld(t)
	dir := disk.Mount(t, 16<<20)
	r := w.open(&scene{name: "read-only", names: nothing})
	copied := []string{"copy", r.from("app:v1"), "oci:" + filepath.Join(dir, "layout") + ":v1", "--plain-http"}
	other := []string{"copy", r.from("team/one:v1"), "oci:" + filepath.Join(dir, "layout") + ":v2", "--plain-http"}
	r.must(copied)
	mend := disk.ReadOnly(t, dir)
	r.must(copied) // nothing is to be written
	out := r.run(other)
	if out.code != 4 || !strings.Contains(out.stderr, "read-only file system (hint: mount the disk of "+dir) {
		t.Errorf("exit code %d: %s", out.code, out.stderr)
	}
	mend()
	r.must(other)
	if n := layoutIsWhole(t, os.DirFS(filepath.Join(dir, "layout"))); n != 2 {
		t.Errorf("%d images", n)
	}
}
