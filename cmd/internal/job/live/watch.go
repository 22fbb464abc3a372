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
	poll   = time.Second      // between looks for what a notification would have told
	remind = 10 * time.Second // how often a watcher says so
)

// Watch yields what happens to a job, after the event of sequence number after, or from what is
// kept with 0: first "state", then what the run says, "state" again when that changes, and at the
// end "ended". Events may be missing, where more was said than can be kept or a connection was
// down; states are not. It ends with an error, when ctx ends, or after "ended".
//
// A run in this process is read directly; one elsewhere is asked by a notification to tell. Where
// notifications do not get through, only states and the snapshots of progress are seen.
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
	seq   int64 // of the event that was yielded last
	said  <-chan string
	yield func(wire.Event, error) bool

	last     wire.Job // as it was yielded
	here     *Ring    // the latest attempt that ran in this process
	reminded time.Time
	looked   time.Time // when the job was read last
}

// run returns nil when the watch is over, because the job has ended or nobody takes more.
func (w *watcher) run(ctx context.Context) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		j, err := w.jobs.Get(ctx, w.id)
		if fault.Is(err, fault.Unavailable) && time.Since(w.looked) < interest && pause(ctx) {
			continue // a database that was restarted
		}
		if err != nil {
			return err
		}
		w.looked = time.Now()
		if here := w.jobs.Here(w.id); here != nil {
			w.here = here // and stays when it has ended, for its last words
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

// wait returns true when the job is to be looked at again, and false when nobody takes more.
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
				w.reminded = time.Time{} // perhaps it has just begun
				return true, nil
			}
			if r == nil && !w.replay(payload) {
				return false, nil
			}
		}
	}
}

// tell yields the job's state when it is news, and reports whether the watch goes on.
func (w *watcher) tell(j wire.Job, r *Ring) bool {
	was := w.last
	w.last = j
	if j.State.Ended() {
		// The last words of a run were said before its end was written.
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

// read yields what r said since; more is nil when it will say no more.
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

// catchUp takes the messages that have come already.
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

// replay yields the events of a message, those that are news.
func (w *watcher) replay(payload string) bool {
	var events []wire.Event
	if json.Unmarshal([]byte(payload), &events) != nil {
		return true // not ours
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

// pause reports whether ctx goes on for another look.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(poll):
		return true
	}
}
