package pool

import (
	"errors"
	"iter"
	"slices"

	"github.com/drayage/dray/fault"
)

// Placement says which workers can run the jobs that a server accepts. The zero value is for a process that runs its
// jobs alone: every job belongs to no pool, and names mean what they mean when the job runs.
type Placement struct {
	Pools  Pools    // the registries that only some workers reach
	Serves []string // the pools of this process, without Own
	Own    string   // the pool of the embedded registry; "" if there is none, or if every worker reaches it
	Hosts  []string // the hosts of the embedded registry

	// Names has the hosts of the registries by their names and aliases. They are stored with a job, so that each
	// name keeps the meaning that it had when the job was accepted.
	Names   map[string]string
	Default string // the registry that an import goes to if it names none
}

// Of returns the pool of a job that touches the registries at hosts; "" among them counts for nothing. The embedded
// registry counts before other pools, which this process must serve then. The error is Refused if no worker can serve
// the job.
func (p Placement) Of(hosts iter.Seq[string]) (string, error) {
	own, zone, in := "", "", ""
	seen := map[string]bool{"": true}
	for host := range hosts {
		if seen[host] {
			continue
		}
		seen[host] = true
		if p.Own != "" && slices.Contains(p.Hosts, host) {
			own = host
			continue
		}
		switch of := p.Pools.Of(host); {
		case of == "" || of == zone:
		case zone == "":
			zone, in = of, host
		default:
			return "", &fault.Fault{Kind: fault.Refused, Op: "submit", Name: in + " and " + host,
				Err:  errors.New("the pools " + zone + " and " + of + " have no common workers"),
				Hint: "copy over a registry that both pools reach, with one job for each; or put both registries in one pool"}
		}
	}
	switch {
	case own == "":
		return zone, nil
	case zone != "" && !slices.Contains(p.Serves, zone):
		return "", &fault.Fault{Kind: fault.Refused, Op: "submit", Name: own + " and " + in,
			Err:  errors.New("this server, whose registry the job touches, does not serve the pool " + zone),
			Hint: "start the server with --pool " + zone + " --pool default if it reaches " + in}
	}
	return p.Own, nil
}
