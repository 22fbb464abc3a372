package live

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

const (
	poll    = time.Second      // how often a watcher reads the job
	patient = 30 * time.Second // how long a watcher waits for a database that does not answer
	atOnce  = 1000             // lines of the log that are read at once
)

// Jobs gives access to the jobs of one database from one process. All fields are required.
type Jobs struct {
	Get  func(ctx context.Context, id string) (wire.Job, error)
	Log  func(ctx context.Context, id string, after int64, limit int) ([]wire.Line, error)
	Here func(id string) *Ring // the events of a run in this process that runs or ended recently; nil if there is none
	Bell *Bell                 // rung when a job has changed in this process
	Now  func() time.Time
	Bits int // an event that was read from the database has the number of its line, shifted by this many bits
}

// Watch yields the events of a job that follow sequence number after, as Queue.Watch says.
func (j Jobs) Watch(ctx context.Context, id string, after int64) iter.Seq2[wire.Event, error] {
	return func(yield func(wire.Event, error) bool) {
		rung, stop := j.Bell.listen(id)
		defer stop()
		w := &watcher{jobs: j, id: id, seq: after, rung: rung, yield: yield, looked: time.Now()}
		if err := w.run(ctx); err != nil {
			yield(wire.Event{}, err)
		}
	}
}

type watcher struct {
	jobs  Jobs
	id    string
	seq   int64 // sequence number of the last event that was yielded
	rung  <-chan struct{}
	yield func(wire.Event, error) bool

	last   wire.Job  // the job as it was read last
	here   *Ring     // events of the latest attempt that ran in this process
	looked time.Time // when the job was read last
}

// run returns nil when the watch is over, because the job has ended or yield returned false.
func (w *watcher) run(ctx context.Context) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		j, err := w.jobs.Get(ctx, w.id)
		on := true
		if err == nil {
			on, err = w.tell(ctx, j)
		}
		if fault.Is(err, fault.Unavailable) && time.Since(w.looked) < patient && pause(ctx) {
			continue // the database may be restarting
		}
		if err != nil || !on {
			return err
		}
		w.looked = time.Now()
		if look, err := w.wait(ctx, tick.C); err != nil || !look {
			return err
		}
	}
}

// wait passes events of a run in this process on until the job must be read again, and then returns true. It
// returns false if yield returned false.
func (w *watcher) wait(ctx context.Context, tick <-chan time.Time) (bool, error) {
	for {
		var more <-chan struct{}
		if w.here != nil {
			var on bool
			if more, on = w.read(w.here); !on {
				return false, nil
			}
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-tick:
			return true, nil
		case <-w.rung:
			return true, nil
		case <-more:
		}
	}
}

// tell yields what has changed since the job was read last, and reports whether the watch continues.
func (w *watcher) tell(ctx context.Context, j wire.Job) (on bool, err error) {
	was := w.last
	w.last = j
	w.choose(j)
	changed := was.State != j.State || was.Attempt != j.Attempt || was.CancelRequested != j.CancelRequested
	if !j.State.Ended() && changed && !w.say("state", j) {
		return false, nil
	}
	// The last events of the run precede its end.
	if w.here != nil {
		if _, on := w.read(w.here); !on {
			return false, nil
		}
	}
	if w.here == nil {
		if on, err := w.lookUp(ctx, was, j); err != nil || !on {
			return false, err
		}
	}
	if j.State.Ended() {
		w.say("ended", j)
		return false, nil
	}
	return true, nil
}

// choose decides whether the events of a run in this process are read, or the database.
func (w *watcher) choose(j wire.Job) {
	r := w.jobs.Here(w.id)
	if r != nil && r.attempt != j.Attempt {
		r = nil
	}
	if w.here != nil && w.here != r {
		_, w.seq = w.here.state(w.seq, w.jobs.Bits)
	}
	// The job goes on after this run: its parts run, or another process continues it.
	if r != nil && !j.State.Ended() {
		if gone, seq := r.state(w.seq, w.jobs.Bits); gone {
			r, w.seq = nil, seq
		}
	}
	if r != nil && r != w.here && w.seq > r.latest() { // the number is from another process
		w.seq = r.first
	}
	w.here = r
}

// lookUp yields the lines of the log and the progress that the database has, of a run that is not in this
// process.
func (w *watcher) lookUp(ctx context.Context, was, j wire.Job) (on bool, err error) {
	for {
		lines, err := w.jobs.Log(ctx, w.id, w.seq>>w.jobs.Bits, atOnce)
		if err != nil {
			w.last.Progress = was.Progress // it is told the next time
			return false, err
		}
		for _, l := range lines {
			data, err := json.Marshal(l.Text)
			if err != nil {
				return false, err
			}
			w.seq = l.Seq << w.jobs.Bits
			if !w.yield(wire.Event{Seq: w.seq, Kind: "log", Data: data, At: l.At}, nil) {
				return false, nil
			}
		}
		if len(lines) < atOnce {
			break
		}
	}
	if j.Progress == nil || string(j.Progress) == string(was.Progress) {
		return true, nil
	}
	return w.yield(wire.Event{Seq: w.seq, Kind: "progress", Data: j.Progress, At: w.jobs.Now()}, nil), nil
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

// pause waits for the polling interval. It reports false if ctx ends before that.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(poll):
		return true
	}
}
