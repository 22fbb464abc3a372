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

// tally is how far a run is, added up from its events. Its methods may be called concurrently.
type tally struct {
	mu       sync.Mutex
	steps    int    // of the plan; 0 while it is made
	queued   bool   // a server has it, and has not begun
	head     string // how far a run of many repositories is; "" for one that has its steps counted
	finished map[int]bool
	done     int64 // bytes that arrived, of blobs that did so whole
	total    int64 // bytes that have to arrive
	blobs    map[string]*blob
	waits    map[string]wait // by host
	samples  []sample        // of the last seconds, for the rate
}

// blob is one that is under way to one repository.
type blob struct {
	digest string
	done   int64
	total  int64
	since  time.Time
}

// wait is why a host is not asked for the moment.
type wait struct {
	until time.Time
	why   string
}

type sample struct {
	at    time.Time
	bytes int64
}

// window is the time over which the rate is taken.
const window = 10 * time.Second

func newTally() *tally {
	return &tally{finished: map[int]bool{}, blobs: map[string]*blob{}, waits: map[string]wait{}}
}

// see takes one event in.
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
	}
}

// set takes in what a server adds up.
func (t *tally) set(p wire.Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps, t.total, t.done = p.Steps, p.Total, p.Done
	t.finished = make(map[int]bool, p.Finished)
	for i := range p.Finished {
		t.finished[i] = true
	}
	t.blobs, t.waits = map[string]*blob{}, map[string]wait{}
	for _, b := range p.Blobs {
		t.done -= b.Done // at counts those under way by themselves
		t.blobs[b.Name+" "+b.Digest] = &blob{digest: b.Digest, done: b.Done, total: b.Total, since: b.Since}
	}
	for _, w := range p.Waiting {
		t.waits[w.Host] = wait{w.Until, w.Why}
	}
}

// visible reports whether there is something to draw.
func (t *tally) visible() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.blobs)+len(t.waits) > 0
}

// state is what a tally says at one moment.
type state struct {
	done, total int64
	rate        float64 // bytes per second
	blobs       []blob  // under way, the oldest first
	waiting     []string
	finished    int
	steps       int
	head        string
	queued      bool
}

// at reads the tally, and takes a sample of the rate.
func (t *tally) at(now time.Time) state {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := state{done: t.done, total: t.total, finished: len(t.finished), steps: t.steps, head: t.head, queued: t.queued}
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
	line := fmt.Sprintf("waiting for %s until %s", host, w.until.Format("15:04:05"))
	if w.why != "" {
		line += ", " + w.why
	}
	return line
}

// progress is "12 MiB of 45 MiB, 3.1 MiB/s, 11 s left"; what is not known yet is left out.
func (s state) progress() string {
	var parts []string
	if s.total > 0 {
		parts = append(parts, Size(s.done)+" of "+Size(s.total))
	}
	if s.rate >= 1 {
		parts = append(parts, Size(int64(s.rate))+"/s")
	}
	if left := s.left(); left > 0 {
		// A guess has no tenths.
		parts = append(parts, strings.Replace(Seconds(max(time.Second, left.Round(time.Second))), ".0 s", " s", 1)+" left")
	}
	return strings.Join(parts, ", ")
}

// left is how long the rest takes at the present rate; 0 when that can not be said.
func (s state) left() time.Duration {
	if s.rate < 1 || s.done >= s.total {
		return 0
	}
	return time.Duration(float64(s.total-s.done) / s.rate * float64(time.Second))
}
