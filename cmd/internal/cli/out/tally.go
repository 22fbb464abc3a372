package out

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
)

// tally adds up the events of a run to show how far it is. Its methods may be called concurrently.
type tally struct {
	mu         sync.Mutex
	steps      int    // of the plan; 0 while the plan is made
	queued     bool   // the job waits for a worker of the server
	head       string // says what is done, or how far it is; "" if steps are counted instead
	finished   map[int]bool
	done       int64 // bytes of the blobs that have arrived completely
	total      int64 // bytes of all blobs to send
	parts      int   // of a job that is divided; those that have not begun are in no other figure
	partsEnded int
	blobs      map[string]*blob
	waits      map[string]wait // by host
	samples    []sample        // of the last window, for the rate
}

// blob is a blob in progress to one repository.
type blob struct {
	digest string
	done   int64
	total  int64
	since  time.Time
}

// wait is a time until which no request is sent to a host, and the reason.
type wait struct {
	until time.Time
	why   string
}

type sample struct {
	at    time.Time
	bytes int64
}

// window is the time over which the rate is averaged.
const window = 10 * time.Second

func newTally() *tally {
	return &tally{finished: map[int]bool{}, blobs: map[string]*blob{}, waits: map[string]wait{}}
}

// see adds one event.
func (t *tally) see(e event.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := e.Name + " " + e.Digest
	switch e.Kind {
	case event.Sized:
		t.total += e.Total
	case event.Started, event.Advanced, event.Restarted:
		b := t.blobs[key]
		if b == nil {
			if e.Kind == event.Restarted {
				return
			}
			b = &blob{digest: e.Digest, total: e.Total, since: e.Time}
			t.blobs[key] = b
		}
		b.done = e.Done
	case event.Moved:
		delete(t.blobs, key)
		t.done += e.Total
	case event.Mounted, event.Present:
		delete(t.blobs, key)
		t.total -= e.Total
	case event.Finished:
		t.finished[e.Step] = true
	case event.Failed:
		t.blobs = map[string]*blob{}
	case event.Waiting:
		t.waits[e.Host] = wait{e.Time.Add(e.Wait), e.Text}
	case event.Retried:
		if e.Host != "" && e.Wait >= time.Second && e.Err != nil && !t.waits[e.Host].until.After(e.Time) {
			t.waits[e.Host] = wait{e.Time.Add(e.Wait), e.Err.Error()}
		}
	}
}

// set replaces the tally by the progress that a server reports.
func (t *tally) set(p wire.Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps, t.total, t.done = p.Steps, p.Total, p.Done
	t.parts, t.partsEnded = p.Parts, p.PartsEnded
	t.finished = make(map[int]bool, p.Finished)
	for i := range p.Finished {
		t.finished[i] = true
	}
	t.blobs, t.waits = map[string]*blob{}, map[string]wait{}
	for _, b := range p.Blobs {
		t.done -= b.Done // at adds the bytes of blobs in progress
		t.blobs[b.Name+" "+b.Digest] = &blob{digest: b.Digest, done: b.Done, total: b.Total, since: b.Since}
	}
	for _, w := range p.Waiting {
		t.waits[w.Host] = wait{w.Until, w.Why}
	}
}

// visible reports whether there is a blob or a wait to draw.
func (t *tally) visible() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.blobs)+len(t.waits) > 0
}

// state is a tally at one moment.
type state struct {
	done, total int64
	rate        float64 // bytes per second
	blobs       []blob  // in progress, the oldest first
	waiting     []string
	finished    int
	steps       int
	parts       int // of a divided job
	partsEnded  int
	head        string
	queued      bool
}

// at returns the state, and adds a sample for the rate.
func (t *tally) at(now time.Time) state {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := state{done: t.done, total: t.total, finished: len(t.finished), steps: t.steps, head: t.head, queued: t.queued}
	s.parts, s.partsEnded = t.parts, t.partsEnded
	for _, b := range t.blobs {
		s.done += b.done
		s.blobs = append(s.blobs, *b)
	}
	slices.SortFunc(s.blobs, func(a, b blob) int {
		if c := a.since.Compare(b.since); c != 0 {
			return c
		}
		return strings.Compare(a.digest, b.digest)
	})
	for host, w := range t.waits {
		if w.until.After(now) {
			s.waiting = append(s.waiting, waitLine(host, w))
		}
	}
	slices.Sort(s.waiting)
	t.samples = append(t.samples, sample{now, s.done})
	for len(t.samples) > 2 && now.Sub(t.samples[0].at) > window {
		t.samples = t.samples[1:]
	}
	first := t.samples[0]
	if passed := now.Sub(first.at).Seconds(); passed > 0 {
		s.rate = max(0, float64(s.done-first.bytes)/passed)
	}
	return s
}

func waitLine(host string, w wait) string {
	line := fmt.Sprintf("waiting for %s until %s", host, w.until.UTC().Format("2006-01-02 15:04:05 UTC"))
	if w.why != "" {
		line += ", " + w.why
	}
	return line
}

// progress returns a text such as "12 MiB of 45 MiB, 3.1 MiB/s, 11 s left", without the parts that are not
// known yet.
func (s state) progress() string {
	var parts []string
	if s.total > 0 {
		parts = append(parts, Size(s.done)+" of "+Size(s.total))
	}
	if s.rate >= 1 {
		parts = append(parts, Size(int64(s.rate))+"/s")
	}
	if left := s.left(); left > 0 {
		// This is an estimate, so it has no tenths of a second.
		parts = append(parts, strings.Replace(Seconds(max(time.Second, left.Round(time.Second))), ".0 s", " s", 1)+" left")
	}
	return strings.Join(parts, ", ")
}

// left returns how long the rest takes at the current rate; 0 if that is not known.
func (s state) left() time.Duration {
	if s.rate < 1 || s.done >= s.total || s.parts > s.partsEnded {
		return 0
	}
	return time.Duration(float64(s.total-s.done) / s.rate * float64(time.Second))
}
