package own

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

const (
	look  = 250 * time.Millisecond // between two looks at a server that may be dead
	sign  = 3 * time.Second        // within this time, a server that is alive says so again
	later = 2 * time.Second        // between two looks while the server works
)

// Sole says whether the server of a queue is the only one that is alive and serves a pool. The zero value finds no
// other server.
type Sole struct {
	Queue *job.Queue
	Pool  string // that of the server's own storage
	Dir   string // the data directory, for errors
}

// Before is called before the server runs jobs. It returns Conflict if another server is alive and serves the pool.
// One that died a moment ago, such as this one before a restart, looks alive for a while, so Before watches it for up
// to 3 s. It waits while the database does not answer, and returns nil when ctx ends.
func (s Sole) Before(ctx context.Context) error {
	if s.Queue == nil {
		return nil
	}
	seen := map[string]time.Time{}
	for end := time.Now().Add(sign); ; pause(ctx, look) {
		others, err := s.others(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			end = time.Now().Add(sign)
			continue
		case len(others) == 0 || time.Now().After(end):
			return nil
		}
		for _, w := range others {
			if was, known := seen[w.ID]; known && w.Seen.After(was) {
				return s.conflict(w)
			}
			seen[w.ID] = w.Seen
		}
	}
}

// While looks again and again while the server runs jobs. It returns Conflict if another server serves the pool and
// has begun before this one; so one of two stays. It returns nil when ctx ends.
func (s Sole) While(ctx context.Context) error {
	if s.Queue == nil {
		return nil
	}
	for pause(ctx, later); ctx.Err() == nil; pause(ctx, later) {
		all, err := s.Queue.Workers(ctx)
		me := slices.IndexFunc(all, func(w job.Worker) bool { return w.ID == s.Queue.Owner() })
		if err != nil || me < 0 {
			continue
		}
		for _, w := range all {
			before := w.Started.Before(all[me].Started) || w.Started.Equal(all[me].Started) && w.ID < all[me].ID
			if s.shares(w) && before && w.Seen.After(all[me].Started.Add(sign)) {
				return s.conflict(w)
			}
		}
	}
	return nil
}

// others returns the other servers that serve the pool and seem to be alive.
func (s Sole) others(ctx context.Context) ([]job.Worker, error) {
	ctx, done := context.WithTimeout(ctx, sign)
	defer done()
	all, err := s.Queue.Workers(ctx)
	return slices.DeleteFunc(all, func(w job.Worker) bool { return !s.shares(w) }), err
}

// shares reports whether w is another server that seems to be alive and serves the pool.
func (s Sole) shares(w job.Worker) bool {
	return w.Alive && w.ID != s.Queue.Owner() && slices.Contains(w.Pools, s.Pool)
}

func (s Sole) conflict(w job.Worker) error {
	return &fault.Fault{Kind: fault.Conflict, Op: "run jobs with data directory", Name: s.Dir,
		Err: errors.New("the server " + w.ID + " is alive and has the same " + File +
			": one of the two directories is a copy, and each would take the other's jobs"),
		Hint: "stop the other server, or remove " + File + " from the directory that is the copy"}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
