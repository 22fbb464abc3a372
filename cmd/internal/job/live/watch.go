package live

import (
	"context"
	"encoding/json"
	"iter"
	"strconv"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

const (
	poll   = time.Second      // notifications may be lost, so a watcher also reads the job at this interval
	remind = 10 * time.Second // how often a watcher announces itself to the process that runs the job
)

// Watch yields the events of a job that follow sequence number after. With 0 it begins with the oldest
// event that is still kept. The first event is "state", and "state" is repeated when the state changes.
// In between are the events of the run, and the last event is "ended".
//
// Events of the run may be missing, if there were more than can be kept or if a connection was down.
// States are never missing. The sequence ends after "ended", or with an error, also when ctx ends.
//
// The events of a run in this process are read directly. For a run in another process, the watcher
// announces itself with a notification, and that process sends the events. If notifications do not
// arrive, the watcher sees only states and the stored snapshots of progress.
func (j Jobs) Watch(ctx context.Context, id string, after int64) iter.Seq2[wire.Event, error] {
	return func(yield func(wire.Event, error) bool) {
		ctx, done := context.WithCancel(ctx)
		defer done()
		said, err := j.DB.Listen(ctx, Topic(id))
		if err != nil {
			yield(wire.Event{}, err)
			return
		}
		w := &watcher{looked: time.Now(), jobs: j, id: id, seq: after, said: said, yield: yield}
		if err := w.run(ctx); err != nil {
			yield(wire.Event{}, err)
		}
	}
}

type watcher struct {
	jobs  Jobs
	id    string
	seq   int64 // sequence number of the last event that was yielded
	said  <-chan string
	yield func(wire.Event, error) bool

	last     wire.Job  // the job as it was read last
	here     *Ring     // events of the latest attempt that ran in this process
	reminded time.Time // when the watcher announced itself last
	looked   time.Time // when the job was read last
}

// run returns nil when the watch is over, because the job has ended or yield returned false.
func (w *watcher) run(ctx context.Context) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		j, err := w.jobs.Get(ctx, w.id)
		if fault.Is(err, fault.Unavailable) && time.Since(w.looked) < interest && pause(ctx) {
			continue // the database may be restarting
		}
		if err != nil {
			return err
		}
		w.looked = time.Now()
		if here := w.jobs.Here(w.id); here != nil {
			w.here = here // It is kept after the run has ended, because its last events are still to be read.
		}
		r := w.here
		if r != nil && r.attempt != j.Attempt {
			r = nil
		}
		if !w.tell(j, r) {
			return nil
		}
		var more <-chan struct{}
		if r != nil {
			var on bool
			if more, on = w.read(r); !on {
				return nil
			}
		} else if j.State == wire.Running && time.Since(w.reminded) > remind {
			w.reminded = time.Now()
			if err := w.jobs.DB.Publish(watched, w.id+" "+strconv.FormatInt(w.seq, 10)); err != nil {
				return err
			}
		}
		look, err := w.wait(ctx, r, more, tick.C)
		if err != nil || !look {
			return err
		}
	}
}

// wait passes events on until the job must be read again, and then returns true. It returns false if
// yield returned false.
func (w *watcher) wait(ctx context.Context, r *Ring, more <-chan struct{}, tick <-chan time.Time) (bool, error) {
	for {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-tick:
			return true, nil
		case <-more:
			next, on := w.read(r)
			if !on {
				return false, nil
			}
			if more = next; more == nil {
				return true, nil
			}
		case payload, open := <-w.said:
			if !open {
				w.said = nil
			}
			if payload == "" {
				w.reminded = time.Time{} // the run may have just begun, so it must hear of the watcher at once
				return true, nil
			}
			if r == nil && !w.replay(payload) {
				return false, nil
			}
		}
	}
}

// tell yields the job's state if it has changed, and reports whether the watch continues.
func (w *watcher) tell(j wire.Job, r *Ring) bool {
	was := w.last
	w.last = j
	if j.State.Ended() {
		// The last events of the run precede its end, so they are yielded first.
		if r != nil {
			if _, on := w.read(r); !on {
				return false
			}
		}
		if !w.catchUp() {
			return false
		}
		w.say("ended", j)
		return false
	}
	if was.State != j.State || was.Attempt != j.Attempt || was.CancelRequested != j.CancelRequested {
		return w.say("state", j)
	}
	return true
}

func (w *watcher) say(kind string, j wire.Job) bool {
	data, err := json.Marshal(j)
	if err != nil {
		return w.yield(wire.Event{}, err)
	}
	return w.yield(wire.Event{Seq: w.seq, Kind: kind, Data: data, At: w.jobs.Now()}, nil)
}

// read yields the events of r that are new. more is nil if the run has ended. on is false if yield
// returned false.
func (w *watcher) read(r *Ring) (more <-chan struct{}, on bool) {
	for {
		events, more, ended := r.since(w.seq)
		for _, e := range events {
			w.seq = e.Seq
			if !w.yield(e, nil) {
				return nil, false
			}
		}
		if ended {
			return nil, true
		}
		if len(events) == 0 {
			return more, true
		}
	}
}

// catchUp yields the events of notifications that have already arrived.
func (w *watcher) catchUp() bool {
	for {
		select {
		case payload, open := <-w.said:
			if !open {
				return true
			}
			if payload != "" && !w.replay(payload) {
				return false
			}
		default:
			return true
		}
	}
}

// replay yields the new events of a notification.
func (w *watcher) replay(payload string) bool {
	var events []wire.Event
	if json.Unmarshal([]byte(payload), &events) != nil {
		return true // it is not a list of events
	}
	for _, e := range events {
		if e.Seq <= w.seq {
			continue
		}
		w.seq = e.Seq
		if !w.yield(e, nil) {
			return false
		}
	}
	return true
}

// pause waits for the polling interval. It reports false if ctx ends before that.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(poll):
		return true
	}
}
