package verb

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/pool"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// poolOf returns the pool of a job that needs the rights asks, which cover each registry that it touches. The error
// is Refused if no worker can serve the job.
func (s *Service) poolOf(asks []access.Ask) (string, error) {
	return s.place.Of(func(yield func(string) bool) {
		for _, ask := range asks {
			if !yield(hostOf(ask.Source)) || !yield(hostOf(ask.Target)) {
				return
			}
		}
	})
}

// poolOfPlan returns the pool of a job that applies the plan of job id: that of its registry if the plan was made
// there, whose steps may name hosts that mean another machine elsewhere.
func (s *Service) poolOfPlan(ctx context.Context, id string, asks []access.Ask) (string, error) {
	if j, err := s.queue.Get(ctx, id); err == nil && pool.IsOwn(j.Pool) {
		return j.Pool, nil
	}
	return s.poolOf(asks)
}

// pin stores in as what the names in its request mean here. A name of the embedded registry stays open if the pool
// in leads the job to that registry: its servers may have several hosts.
func (s *Service) pin(as *row, in string) error {
	raw, err := json.Marshal(as.Request)
	if err != nil || len(as.Hosts) > 0 || as.Default != "" || s.place.Names == nil {
		return err
	}
	text := string(raw)
	if noTarget(as.Request) {
		as.Default = s.place.Default
	}
	for name, host := range s.place.Names {
		stays := pool.IsOwn(in) && slices.Contains(s.place.Hosts, host)
		if !stays && (name == as.Default || strings.Contains(text, name)) {
			if as.Hosts == nil {
				as.Hosts = map[string]string{}
			}
			as.Hosts[name] = host
		}
	}
	return nil
}

// noTarget reports whether r is an import to the registry that Placement.Default means.
func noTarget(r wire.Request) bool {
	switch {
	case r.Import != nil:
		return r.Import.Target == ""
	case r.Batch != nil:
		return r.Batch.Target == ""
	case r.Plan != nil && !r.Plan.Uploaded:
		return noTarget(r.Plan.Of())
	}
	return false
}

// Blocked says why a queued job cannot start: no worker is alive, or none that serves its pool, or the engine does not
// answer, or the only process cannot write to its database. It returns "" if a worker can take the job, or if the job
// is not queued.
func (s *Service) Blocked(ctx context.Context, j job.Job) (string, error) {
	if j.State != job.Queued {
		return "", nil
	}
	embedded := !s.db.Postgres() // the worker is in this process
	if embedded {
		switch err := s.queue.Ready(ctx); {
		case fault.Is(err, fault.Full):
			return "no space is left on the disk of the database", nil
		case err != nil:
			return "the server cannot write to its database", nil
		}
	}
	all, err := s.queue.Workers(ctx)
	if err != nil {
		return "", err
	}
	if why := pool.Unserved(all, j.Pool); why != "" || embedded || time.Since(j.Created) < askAfter {
		return why, nil
	}
	ctx, done := context.WithTimeout(ctx, askAfter)
	defer done()
	if err := s.queue.Ready(ctx); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		return "the engine " + pool.Silent(fault.KindOf(err)), nil
	}
	return "", nil
}

// askAfter is the age of a queued job from which Blocked asks the engine, and how long it waits for the answer.
const askAfter = 2 * time.Second
