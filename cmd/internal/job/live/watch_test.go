package live

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// The database stops to answer at each of the questions of a watcher in turn.
func TestAWatcherOutlivesADatabaseThatRestarts(t *testing.T) {
	for down := range 6 {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			up := func() error {
				asked++
				if asked > down && asked <= down+3 {
					return &fault.Fault{Kind: fault.Unavailable}
				}
				return nil
			}
			began := time.Now()
			jobs := Jobs{
				Get: func(context.Context, string) (wire.Job, error) {
					j := wire.Job{ID: "a", State: wire.Running, Attempt: 1, Progress: json.RawMessage(`{"steps":1}`)}
					if time.Since(began) > 10*time.Second {
						j.State = wire.Done
					}
					return j, up()
				},
				Log: func(_ context.Context, _ string, after int64, _ int) ([]wire.Line, error) {
					if after > 0 {
						return nil, up()
					}
					return []wire.Line{{Seq: 7, Text: "hello"}}, up()
				},
				Here: func(string) *Ring { return nil }, Bell: &Bell{}, Now: time.Now, Bits: 16,
			}
			var kinds []string
			for e, err := range jobs.Watch(t.Context(), "a", 0) {
				if err != nil {
					t.Fatal(down, err)
				}
				kinds = append(kinds, e.Kind)
			}
			if want := []string{"state", "log", "progress", "ended"}; !slices.Equal(kinds, want) {
				t.Errorf("down after %d questions: %q", down, kinds)
			}
		})
	}
}
