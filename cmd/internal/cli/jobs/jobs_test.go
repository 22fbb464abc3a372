package jobs

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
)

// The owner of a divided job has divided it. It may be dead while the parts run elsewhere.
func TestADividedJobDoesNotNameOneWorker(t *testing.T) {
	for progress, want := range map[string]string{
		`{"steps": 3}`:               "vm/one",
		`{"steps": 3, "parts": 200}`: "several, see dray workers",
	} {
		rows := jobRows(wire.Job{State: wire.Running, Owner: "vm/one", Progress: json.RawMessage(progress)}, time.Now())
		if !slices.Contains(rows, [2]string{"worker", want}) {
			t.Errorf("%s: %q", progress, rows)
		}
	}
}
