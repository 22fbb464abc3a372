package live

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
)

const beat = 100 * time.Millisecond // time between two messages about a run

// Tell sends the events of runs in this process to watchers in other processes, for jobs that are
// watched there. It returns when ctx ends, or when the database is closed.
func (j Jobs) Tell(ctx context.Context) {
	said, err := j.DB.Listen(ctx, watched)
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
			j.begin(told, payload)
		case <-ticks:
		}
		for id, t := range told {
			if !t.tell(j.DB) || time.Now().After(t.until) {
				delete(told, id)
			}
		}
	}
}

// teller sends the events of one run.
type teller struct {
	r     *Ring
	seq   int64
	until time.Time
}

func (j Jobs) begin(told map[string]*teller, payload string) {
	id, after, _ := strings.Cut(payload, " ")
	r := j.Here(id)
	seq, err := strconv.ParseInt(after, 10, 64)
	if r == nil || err != nil || !j.DB.Postgres() { // SQLite has one process, in which watchers read the ring
		return
	}
	t := told[id]
	if t == nil || t.r != r {
		t = &teller{r: r, seq: seq}
		told[id] = t
	}
	t.seq = min(t.seq, seq) // watchers skip events that they already have
	t.until = time.Now().Add(interest)
}

// tell sends the events that are new, and reports whether more may follow.
func (t *teller) tell(db *store.DB) bool {
	events, _, ended := t.r.since(t.seq)
	for len(events) > 0 {
		payload, n := message(events)
		if db.Publish(Topic(t.r.job), payload) != nil {
			return false
		}
		t.seq, events = events[n-1].Seq, events[n:]
	}
	return !ended
}

// message packs as many events as fit into one payload. An event that is too large by itself is sent
// without its data.
func message(events []wire.Event) (payload string, n int) {
	var b strings.Builder
	for _, e := range events {
		one, err := json.Marshal(e)
		if err != nil || len(one) > store.MaxPayload-2 {
			one, _ = json.Marshal(wire.Event{Seq: e.Seq, Kind: e.Kind, At: e.At}) // without data, this cannot fail
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
