package program

import (
	"testing"
	"testing/fstest"
)

func TestTheMemoryOfTheControlGroupsIsThatOfTheSmallest(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for name, tt := range map[string]struct {
		system fstest.MapFS
		want   int64
	}{
		"version 2": {fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("134217728\n"),
			"sys/fs/cgroup/a/memory.max": file("max\n")}, 128 << 20},
		"the group above": {fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("max\n"),
			"sys/fs/cgroup/a/memory.max": file("67108864\n")}, 64 << 20},
		"version 1": {fstest.MapFS{"proc/self/cgroup": file("5:cpu:/x\n4:cpuacct,memory:/a\n0::/\n"),
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": file("1048576\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes":   file("9223372036854771712\n")}, 1 << 20},
		"a container": {fstest.MapFS{"proc/self/cgroup": file("0::/of/the/host\n"), "sys/fs/cgroup/memory.max": file("2097152\n")}, 2 << 20},
		"no limit": {fstest.MapFS{"proc/self/cgroup": file("4:memory:/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n")}, 0},
		"no groups": {fstest.MapFS{}, 0},
		"not read":  {fstest.MapFS{"proc/self/cgroup": file("what\n4:memory\n0::/a\n"), "sys/fs/cgroup/a/memory.max": file("much\n")}, 0},
	} {
		if got := groupMemory(tt.system); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}
