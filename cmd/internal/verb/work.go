package verb

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/verb/tally"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// work is the state of one run of a job.
type work struct {
	*Service
	run   *job.Run
	dray  *dray.Dray // it calls announce before it sets a name
	row   row
	at    time.Time // when the job was created
	tally *tally.Tally
	hold  *memory.Hold // what the job has of the server's memory

	mu        sync.Mutex
	good      int                 // steps that succeeded
	bad       int                 // steps that failed
	kinds     map[fault.Kind]bool // the Kinds of the failed steps
	first     error               // the error of the first failed step
	canceled  bool                // the job was canceled before this run
	announced map[ref.Name]bool   // names with an entry in the audit log, of steps that have not ended
}

func (w *work) observe(e event.Event) {
	w.watch.Tell(e)
	w.tally.See(e)
	if kind, told := passedOn[e.Kind]; told {
		if raw, err := json.Marshal(wire.TellOf(e)); err == nil {
			w.run.Emit(kind, raw)
		}
	}
	switch e.Kind {
	case event.Noted:
		w.run.Log("note: " + e.Text)
	case event.Retried:
		w.run.Log(fmt.Sprintf("%s: retry in %s: %s", e.Host, e.Wait.Round(time.Millisecond), oneLine(e.Err)))
	case event.Waiting:
		w.run.Log(fmt.Sprintf("%s: waiting %s: %s", e.Host, e.Wait.Round(time.Millisecond), e.Text))
	}
}

// passedOn has the kinds of events that a job passes on to its watchers, each with its name there. The
// progress of blobs is part of the snapshots instead, and single HTTP requests would be too many.
var passedOn = map[event.Kind]string{
	event.Resolved:  "resolved",
	event.Sized:     "sized",
	event.Present:   "present",
	event.Mounted:   "mounted",
	event.Started:   "started",
	event.Restarted: "restarted",
	event.Moved:     "moved",
	event.Committed: "committed",
	event.Tagged:    "tagged",
	event.Finished:  "finished",
	event.Failed:    "failed",
	event.Noted:     "noted",
	event.Waiting:   "waiting",
	event.Retried:   "retried",
}

// oneLine returns the text of err on one line. The text may contain parts of a registry's answer, which
// must not break or forge lines of the log.
func oneLine(err error) string {
	if err == nil {
		return ""
	}
	return wire.OneLine(wire.Text(err))
}
