package program

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// FitMemory lets the garbage collector work harder as the memory of the process comes near the limit of its control
// group, which would end the process. The rest is for what is not on the heap. $GOMEMLIMIT takes precedence.
func FitMemory() {
	if limit := groupMemory(os.DirFS("/")); limit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit / 5 * 4)
	}
}

// groupMemory returns the memory in bytes that the control groups of this process allow, in either version; 0 means
// that there is no limit. system has the root of the file system.
func groupMemory(system fs.FS) int64 {
	lines, err := fs.ReadFile(system, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	least := int64(math.MaxInt64)
	for line := range strings.Lines(string(lines)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, found := strings.Cut(rest, ":")
		root, file := "sys/fs/cgroup", "memory.max"
		switch {
		case !found || controllers != "" && !slices.Contains(strings.Split(controllers, ","), "memory"):
			continue
		case controllers != "":
			root, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		// Each group above limits it, too. In a container, the path may be one of the host, which is not there.
		for at := path.Join("/", group); ; at = path.Dir(at) {
			raw, _ := fs.ReadFile(system, path.Join(root, at, file))
			if n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64); err == nil && n > 0 {
				least = min(least, n)
			}
			if at == "/" {
				break
			}
		}
	}
	if least >= 1<<50 { // version 1 writes a number near 1<<63 for no limit
		return 0
	}
	return least
}
