package live

import (
	"context"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
)

// Jobs gives access to the jobs of one database from one process. All fields are required.
type Jobs struct {
	DB   *store.DB
	Get  func(ctx context.Context, id string) (wire.Job, error)
	Here func(id string) *Ring // the events of a run in this process that runs or ended recently; nil if there is none
	Now  func() time.Time
}

// Topic returns the topic of one job. The payload of a notification is a JSON array of events, or "" if
// watchers must read the job again.
func Topic(id string) string { return "job." + id }

const (
	// watched is the topic on which a watcher announces itself. The payload is a job's ID and a sequence
	// number. The process that runs the job then sends its events that follow this number.
	watched = "watch"

	interest = 30 * time.Second // how long a worker sends events after the last announcement of a watcher
)
