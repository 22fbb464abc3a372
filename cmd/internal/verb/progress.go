package verb

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

// Progress is how far a job is: the data of "progress" events, and the snapshot in the job.
type Progress struct {
	Steps    int     `json:"steps"`    // planned so far; 0 while a plan is made
	Finished int     `json:"finished"` // of them, well or not
	Failed   int     `json:"failed,omitempty"`
	Done     int64   `json:"doneBytes"`         // that arrived
	Total    int64   `json:"totalBytes"`        // that have to arrive, as far as is known
	Blobs    []Blob  `json:"blobs,omitempty"`   // under way, the oldest first, up to 16
	Waiting  []Wait  `json:"waiting,omitempty"` // registries that are not asked for the moment
	Rate     float64 `json:"bytesPerSecond"`
}

// Blob is one that is under way.
type Blob struct {
	Name   string    `json:"name"` // of the repository that it goes to
	Digest string    `json:"digest"`
	Done   int64     `json:"doneBytes"`
	Total  int64     `json:"totalBytes"`
	Since  time.Time `json:"since"`
}

// Wait is why a registry is not asked for the moment.
type Wait struct {
	Host  string    `json:"host"`
	Until time.Time `json:"until"`
	Why   string    `json:"why,omitempty"`
}

const (
	shownBlobs = 16
	window     = 10 * time.Second // over which the rate is taken
)

// tally adds up a run from its events.
type tally struct {
	mu       sync.Mutex
	sum      Progress
	blobs    map[string]*Blob
	waits    map[string]Wait
	samples  []sample
	previous []byte
}

type sample struct {
	at    time.Time
	bytes int64
}

func newTally() *tally { return &tally{blobs: map[string]*Blob{}, waits: map[string]Wait{}} }

func (t *tally) see(e event.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := e.Name + " " + e.Digest
	switch e.Kind {
	case event.Sized:
		t.sum.Total += e.Total
	case event.Started, event.Advanced, event.Restarted:
		b := t.blobs[key]
		if b == nil {
			if e.Kind == event.Restarted {
				return
			}
			b = &Blob{Name: e.Name, Digest: e.Digest, Total: e.Total, Since: e.Time}
			t.blobs[key] = b
		}
		b.Done = e.Done
	case event.Moved:
		delete(t.blobs, key)
		t.sum.Done += e.Total
	case event.Mounted, event.Present:
		delete(t.blobs, key)
		t.sum.Total -= e.Total
	case event.Failed:
		t.sum.Failed++
		for key, b := range t.blobs {
			if strings.HasPrefix(e.Name, b.Name) {
				delete(t.blobs, key)
			}
		}
	case event.Waiting:
		t.waits[e.Host] = Wait{Host: e.Host, Until: e.Time.Add(e.Wait), Why: e.Text}
	}
}

// steps says how many there are; planned that there are more.
func (t *tally) steps(n int) { t.mu.Lock(); t.sum.Steps = n; t.mu.Unlock() }

func (t *tally) planned(n int) { t.mu.Lock(); t.sum.Steps += n; t.mu.Unlock() }

// done says that n steps ended; of a transfer they are told when they did.
func (t *tally) done(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.Finished += n
	t.sum.Steps = max(t.sum.Steps, t.sum.Finished)
}

// snapshot is the progress as JSON, and whether it is another than before.
func (t *tally) snapshot() (raw json.RawMessage, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, now := t.sum, time.Now()
	for _, b := range t.blobs {
		p.Done += b.Done
		p.Blobs = append(p.Blobs, *b)
	}
	slices.SortFunc(p.Blobs, func(a, b Blob) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.Digest, b.Digest)
	})
	p.Blobs = p.Blobs[:min(len(p.Blobs), shownBlobs)]
	for _, w := range t.waits {
		if w.Until.After(now) {
			p.Waiting = append(p.Waiting, w)
		}
	}
	slices.SortFunc(p.Waiting, func(a, b Wait) int { return strings.Compare(a.Host, b.Host) })
	p.Rate = t.rate(now, p.Done)
	raw, err := json.Marshal(p)
	if err != nil || bytes.Equal(raw, t.previous) {
		return nil, false
	}
	t.previous = raw
	return raw, true
}

func (t *tally) rate(now time.Time, done int64) float64 {
	t.samples = append(t.samples, sample{now, done})
	for len(t.samples) > 2 && now.Sub(t.samples[0].at) > window {
		t.samples = t.samples[1:]
	}
	first := t.samples[0]
	if passed := now.Sub(first.at).Seconds(); passed > 0 {
		return max(0, float64(done-first.bytes)/passed)
	}
	return 0
}

// tells are the events that are told one by one, by the name under which they are; how far
// blobs are is in the progress, and each request is too much.
var tells = map[event.Kind]string{
	event.Resolved: "resolved", event.Sized: "sized", event.Present: "present", event.Mounted: "mounted", event.Started: "started",
	event.Restarted: "restarted", event.Moved: "moved", event.Committed: "committed", event.Tagged: "tagged", event.Finished: "finished",
	event.Failed: "failed", event.Noted: "noted", event.Waiting: "waiting", event.Retried: "retried",
}

// Event is an event.Event as it is told to who watches a job.
type Event struct {
	Time   time.Time     `json:"time"`
	Kind   event.Kind    `json:"kind"`
	Step   int           `json:"step,omitempty"`
	Side   string        `json:"side,omitempty"`
	Name   string        `json:"name,omitempty"`
	Host   string        `json:"host,omitempty"`
	Digest string        `json:"digest,omitempty"`
	Done   int64         `json:"doneBytes,omitempty"`
	Total  int64         `json:"totalBytes,omitempty"`
	Count  int           `json:"count,omitempty"`
	Wait   time.Duration `json:"waitNanoseconds,omitempty"`
	Text   string        `json:"text,omitempty"`
	Error  *Problem      `json:"error,omitempty"`
}

// Problem is an error as it is told.
type Problem struct {
	Kind    fault.Kind `json:"kind"`
	Message string     `json:"message"`
	Hint    string     `json:"hint,omitempty"`
}

func eventOf(e event.Event) Event {
	out := Event{Time: e.Time, Kind: e.Kind, Step: e.Step, Side: e.Side, Name: e.Name, Host: e.Host, Digest: e.Digest, Done: e.Done, Total: e.Total, Count: e.Count, Wait: e.Wait, Text: e.Text}
	if e.Err != nil {
		out.Error = &Problem{fault.KindOf(e.Err), e.Err.Error(), fault.HintOf(e.Err)}
	}
	return out
}

// Event is the event that e tells of.
func (e Event) Event() event.Event {
	out := event.Event{Time: e.Time, Kind: e.Kind, Step: e.Step, Side: e.Side, Name: e.Name, Host: e.Host, Digest: e.Digest, Done: e.Done, Total: e.Total, Count: e.Count, Wait: e.Wait, Text: e.Text}
	if e.Error != nil {
		out.Err = &fault.Fault{Kind: e.Error.Kind, Hint: e.Error.Hint, Err: errors.New(e.Error.Message)}
	}
	return out
}

// oneLine takes out what a registry's answer could do to a log.
func oneLine(err error) string {
	if err == nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r < ' ' || r == 0x7f:
			return -1
		}
		return r
	}, err.Error())
}
