package live

import (
	"context"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
)

// Jobs are what is watched: those of one database, as one process of it sees them.
type Jobs struct {
	DB   *store.DB
	Get  func(ctx context.Context, id string) (wire.Job, error)
	Here func(id string) *Ring // of the run in this process that is, or was of late; else nil
	Now  func() time.Time
}

// Topic is that of one job: what happens to it, as JSON of events, or "" for "look".
func Topic(id string) string { return "job." + id }

const (
	watched = "watch" // topic: somebody watches the job of this id, and who runs it shall tell of it

	interest = 30 * time.Second // how long a worker tells after somebody said that they watch
)
