package pool

import (
	"cmp"
	"slices"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// Unserved says why none of the workers can take the jobs of the pool in; "" if one can.
func Unserved(all []wire.Worker, in string) string {
	alive, idle := false, false
	for _, w := range all {
		if !w.Alive || w.Slots <= 0 {
			idle = idle || w.Alive
			continue
		}
		alive = true
		if in == "" && len(w.Pools) == 0 || slices.Contains(w.Pools, cmp.Or(in, Default)) {
			return ""
		}
	}
	switch {
	case !alive && idle:
		return "no worker is alive, and the servers run no jobs (--slots -1)"
	case !alive:
		return "no worker is alive"
	case in == "":
		return "no worker serves the jobs of no pool"
	case IsOwn(in):
		return "no server with the storage of the registry that it touches is alive (pool " + in + ")"
	}
	return "no worker serves pool " + in
}

// Silent says what is wrong with an engine, without its address. kind is that of the error of job.Queue.Ready.
func Silent(kind fault.Kind) string {
	switch kind {
	case fault.NotFound:
		return "does not have its namespace"
	case fault.Denied:
		return "refuses the login"
	}
	return "does not answer"
}
