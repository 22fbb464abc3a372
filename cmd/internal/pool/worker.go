package pool

import (
	"cmp"
	"slices"

	"github.com/drayage/dray/cmd/internal/wire"
)

// Unserved says why none of the workers can take the jobs of the pool in; "" if one can.
func Unserved(all []wire.Worker, in string) string {
	alive := false
	for _, w := range all {
		if !w.Alive || w.Slots <= 0 {
			continue
		}
		alive = true
		if in == "" && len(w.Pools) == 0 || slices.Contains(w.Pools, cmp.Or(in, Default)) {
			return ""
		}
	}
	switch {
	case !alive:
		return "no worker is alive"
	case in == "":
		return "no worker serves the jobs of no pool"
	case IsOwn(in):
		return "no server with the storage of the registry that it touches is alive (pool " + in + ")"
	}
	return "no worker serves pool " + in
}
