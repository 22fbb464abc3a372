package job

import (
	"context"
	"encoding/json"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

const (
	interest = 30 * time.Second       // how long a worker tells after somebody said that they watch
	remind   = 10 * time.Second       // how often a watcher says so
	beat     = 100 * time.Millisecond // between messages of a teller
)

// Watch yields what happens to a job, after the event of sequence number after, or from what is
// kept with 0: first "state", then what the run says, "state" again when that changes, and at the
// end "ended". Events may be missing, where more was said than can be kept or a connection was
// down; states are not. It ends with an error, when ctx ends, or after "ended".
//
// A run in this process is read directly; one elsewhere is asked by a notification to tell. Where
// notifications do not get through, only states and the snapshots of progress are seen.
func (q *Queue) Watch(ctx context.Context, id string, after int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ctx, done := context.WithCancel(ctx)
		defer done()
		said, err := q.db.Listen(ctx, saidOf(id))
		if err != nil {
			yield(Event{}, err)
			return
		}
		w := &watcher{looked: time.Now(), q: q, id: id, seq: after, said: said, yield: yield}
		if err := w.run(ctx); err != nil {
			yield(Event{}, err)
		}
	}
}

type watcher struct {
	q     *Queue
	id    string
	seq   int64 // of the event that was yielded last
	said  <-chan string
	yield func(Event, error) bool

	last     Job  // as it was yielded
	here     *Run // the latest attempt that ran in this process
	reminded time.Time
	looked   time.Time // when the job was read last
}

// run returns nil when the watch is over, because the job has ended or nobody takes more.
func (w *watcher) run(ctx context.Context) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		j, err := w.q.Get(ctx, w.id)
		if fault.Is(err, fault.Unavailable) && time.Since(w.looked) < interest && pause(ctx, poll) {
			continue // a database that was restarted
		}
		if err != nil {
			return err
		}
		w.looked = time.Now()
		if here := w.q.local(w.id); here != nil {
			w.here = here // and stays when it has ended, for its last words
		}
		r := w.here
		if r != nil && r.Job.Attempt != j.Attempt {
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
		} else if j.State == Running && time.Since(w.reminded) > remind {
			w.reminded = time.Now()
			if err := w.q.db.Publish(saidWatch, w.id+" "+strconv.FormatInt(w.seq, 10)); err != nil {
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
func (w *watcher) wait(ctx context.Context, r *Run, more <-chan struct{}, tick <-chan time.Time) (bool, error) {
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
func (w *watcher) tell(j Job, r *Run) bool {
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

func (w *watcher) say(kind string, j Job) bool {
	data, err := json.Marshal(j)
	if err != nil {
		return w.yield(Event{}, err)
	}
	return w.yield(Event{Seq: w.seq, Kind: kind, Data: data, At: w.q.now()}, nil)
}

// read yields what r said since; more is nil when it will say no more.
func (w *watcher) read(r *Run) (more <-chan struct{}, on bool) {
	for {
		events, more, ended := r.live.since(w.seq)
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
	var events []Event
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

// telling sends what runs here say to watchers in other processes, for jobs that are watched.
func (q *Queue) telling(ctx context.Context) {
	said, err := q.db.Listen(ctx, saidWatch)
	if err != nil {
		return
	}
	told := map[string]*teller{}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		var ticks <-chan time.Time
		if len(told) > 0 {
			ticks = tick.C
		}
		select {
		case <-ctx.Done():
			return
		case payload, open := <-said:
			if !open {
				return
			}
			q.watched(told, payload)
		case <-ticks:
		}
		for id, t := range told {
			if !t.tell(q.db) || time.Now().After(t.until) {
				delete(told, id)
			}
		}
	}
}

// teller sends the events of one run.
type teller struct {
	r     *Run
	seq   int64
	until time.Time
}

func (q *Queue) watched(told map[string]*teller, payload string) {
	id, after, _ := strings.Cut(payload, " ")
	r := q.local(id)
	seq, err := strconv.ParseInt(after, 10, 64)
	if r == nil || err != nil || !q.db.Postgres() { // within one process watchers read the run
		return
	}
	t := told[id]
	if t == nil || t.r != r {
		t = &teller{r: r, seq: seq}
		told[id] = t
	}
	t.seq = min(t.seq, seq) // those who have it skip it
	t.until = time.Now().Add(interest)
}

// tell reports whether there may be more.
func (t *teller) tell(db *store.DB) bool {
	events, _, ended := t.r.live.since(t.seq)
	for len(events) > 0 {
		payload, n := message(events)
		if db.Publish(saidOf(t.r.Job.ID), payload) != nil {
			return false
		}
		t.seq, events = events[n-1].Seq, events[n:]
	}
	return !ended
}

// message packs as many events as fit. One that is too large by itself goes without its data.
func message(events []Event) (payload string, n int) {
	var b strings.Builder
	for _, e := range events {
		one, err := json.Marshal(e)
		if err != nil || len(one) > store.MaxPayload-2 {
			one, _ = json.Marshal(Event{Seq: e.Seq, Kind: e.Kind, At: e.At}) // of no data: it always marshals
		}
		if b.Len()+len(one)+2 > store.MaxPayload {
			break
		}
		if n++; n == 1 {
			b.WriteByte('[')
		} else {
			b.WriteByte(',')
		}
		b.Write(one)
	}
	b.WriteByte(']')
	return b.String(), n
}
