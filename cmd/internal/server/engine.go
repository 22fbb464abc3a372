package server

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/pool"
	"github.com/drayage/dray/cmd/internal/server/own"
	"github.com/drayage/dray/cmd/internal/temporal"
)

// checkEngine refuses a database and an engine that do not belong together, and settings that only an engine gives
// an effect. It opens nothing.
func (c Config) checkEngine() error {
	const add = "add --engine temporal://HOST:7233/NAMESPACE and --database postgres://USER@HOST/NAME"
	switch file, postgres := isFile(c.Database), strings.HasPrefix(c.Database, "postgres"); {
	case !file && !postgres:
		return configFault(c.databaseFrom(), "write sqlite:PATH or postgres://USER@HOST/NAME",
			errors.New("the address is neither that of a SQLite file nor that of a PostgreSQL"))
	case c.Engine == "" && postgres:
		return configFault(c.databaseFrom(),
			"add --engine temporal://HOST:7233/NAMESPACE, or remove "+c.databaseFrom()+" to keep the jobs in a file; "+
				"for data of an older dray see docs/cluster.md",
			errors.New("jobs in PostgreSQL need an engine that hands them out"))
	case c.Engine != "" && file:
		return configFault(c.engineFrom(), "add --database postgres://USER@HOST/NAME, or remove "+c.engineFrom(),
			errors.New("the machines of an engine need a PostgreSQL database in common"))
	case c.Engine == "" && len(c.Serves) > 0:
		return configFault("--pool "+c.Serves[0], add+", or leave out --pool",
			errors.New("pools have no effect in a process that runs its jobs alone"))
	case c.Engine == "" && len(c.Pools) > 0:
		return configFault("server.pools", add+", or remove server.pools",
			errors.New("pools have no effect in a process that runs its jobs alone"))
	case c.Slots < 0 && len(c.Serves) > 0:
		return configFault("--pool "+c.Serves[0], "leave out --pool, or give --slots a number above 0",
			errors.New("pools have no effect in a process that runs no jobs (--slots -1)"))
	}
	for _, name := range c.Serves {
		if _, known := c.Pools[name]; !known && name != pool.Default {
			return configFault("--pool "+name,
				"define it below server.pools, or name one of these: "+strings.Join(c.poolNames(), ", "),
				errors.New("the configuration has no such pool"))
		}
	}
	if c.Engine == "" {
		return nil
	}
	return temporal.Check(temporal.Config{URL: c.Engine, APIKey: c.Env("TEMPORAL_API_KEY")})
}

func (c Config) databaseFrom() string { return cmp.Or(c.DatabaseFrom, "database") }

func (c Config) engineFrom() string { return cmp.Or(c.EngineFrom, "engine") }

// poolNames returns the names that --pool may have.
func (c Config) poolNames() []string {
	names := []string{pool.Default}
	for name := range c.Pools {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// engine returns what makes the engine of the queue of a process that serves these pools; nil means the embedded one.
func (c Config) engine(serves []string) func(*job.Queue) (job.Engine, error) {
	if c.Engine == "" {
		return nil
	}
	serves = slices.Clone(serves)
	for i, name := range serves {
		if name == pool.Default {
			serves[i] = ""
		}
	}
	return func(q *job.Queue) (job.Engine, error) {
		return temporal.Open(temporal.Config{
			URL:    c.Engine,
			APIKey: c.Env("TEMPORAL_API_KEY"),
			Queue:  q,
			Pools:  serves,
			Log:    c.Log,
		})
	}
}

// serves returns the pools whose jobs this process runs; nil if pools do not matter to it. own is the pool of its
// registry.
func (c Config) serves(own string) []string {
	if c.Engine == "" || c.Slots < 0 {
		return nil
	}
	all := slices.Clone(c.Serves)
	if len(all) == 0 {
		all = []string{pool.Default}
	}
	if own != "" {
		all = append(all, own)
	}
	return all
}

// placement returns where the jobs run that a process with these hosts accepts. own is the pool of its registry.
func (c Config) placement(hosts []string, own string) pool.Placement {
	if c.Engine == "" {
		return pool.Placement{}
	}
	_, fallback := c.registries(hosts)
	return pool.Placement{
		Pools:   c.Pools,
		Serves:  c.Serves,
		Own:     own,
		Hosts:   hosts,
		Names:   c.names(hosts),
		Default: fallback,
	}
}

// ownPool returns the pool of the jobs that touch the registry of this process. It is "" without an engine. It is
// also "" if the process runs no jobs: then workers reach its registry over HTTP.
func (c Config) ownPool() (string, error) {
	if c.Engine == "" || c.Slots < 0 {
		return "", nil
	}
	if id := c.Storage.ID(); id != "" {
		return pool.Own(id), nil
	}
	id, err := own.ID(c.Data)
	return pool.Own(id), err
}
