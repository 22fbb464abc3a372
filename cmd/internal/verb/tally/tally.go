// Package tally computes the progress of a run of a job from the events of what it does.
package tally

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
)

const (
	shownBlobs = 16               // blobs in transfer that a snapshot lists
	window     = 10 * time.Second // the rate is the average over this time
)

// Tally is the progress of a run so far. It is safe for concurrent use.
type Tally struct {
	mu       sync.Mutex
	sum      wire.Progress
	failed   int // steps that the report has as failed
	left     int // steps that were not finished
	blobs    map[string]*wire.Blob
	waits    map[string]wire.Wait
	samples  []sample
	previous []byte
}

type sample struct {
	at    time.Time
	bytes int64
}

// New returns the tally of a run that begins.
func New() *Tally { return &Tally{blobs: map[string]*wire.Blob{}, waits: map[string]wire.Wait{}} }

// See counts an event.
func (t *Tally) See(e event.Event) {
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
			b = &wire.Blob{Name: e.Name, Digest: e.Digest, Total: e.Total, Since: e.Time}
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
		t.waits[e.Host] = wire.Wait{Host: e.Host, Until: e.Time.Add(e.Wait), Why: e.Text}
	}
}

// Steps sets the number of planned steps. Planned adds n to it.
func (t *Tally) Steps(n int) { t.mu.Lock(); t.sum.Steps = n; t.mu.Unlock() }

// Planned adds to the number of planned steps.
func (t *Tally) Planned(n int) { t.mu.Lock(); t.sum.Steps += n; t.mu.Unlock() }

// Ended adds steps that ended: done of them are as planned, failed of them failed, and left of them were not
// finished. A transfer reports its steps only when they have ended, so the number of planned steps grows with
// them.
func (t *Tally) Ended(done, failed, left int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.Finished += done
	t.left += left
	t.failed += failed
	t.sum.Steps = max(t.sum.Steps, t.sum.Finished+t.failed+t.left)
}

// Snapshot returns the progress as JSON. fresh is false if it equals the previous snapshot.
func (t *Tally) Snapshot() (raw json.RawMessage, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, now := t.sum, time.Now()
	p.Failed = max(p.Failed, t.failed) // a step that was refused before it began has no event
	for _, b := range t.blobs {
		p.Done += b.Done
		p.Blobs = append(p.Blobs, *b)
	}
	slices.SortFunc(p.Blobs, func(a, b wire.Blob) int {
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
	slices.SortFunc(p.Waiting, func(a, b wire.Wait) int { return strings.Compare(a.Host, b.Host) })
	p.Rate = t.rate(now, p.Done)
	raw, err := json.Marshal(p)
	if err != nil || bytes.Equal(raw, t.previous) {
		return nil, false
	}
	t.previous = raw
	return raw, true
}

func (t *Tally) rate(now time.Time, done int64) float64 {
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
