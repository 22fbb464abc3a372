package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

const (
	maxEvent   = 4 << 20          // bytes of the longest line of an event
	silence    = 60 * time.Second // a connection without events and heartbeats for this long is dead
	reconnects = 30               // attempts to reach a server again that has answered before; about two minutes
	missed     = 4                // failed attempts in a row, in less than a second, after which Watch yields Away
)

// Away is the kind of an event that no server sends: Watch yields it once when the server does not answer any
// more, and then tries on. The next other event says that the server is back.
const Away = "away"

// Watch yields the events of a job that follow sequence number after. With 0 it begins with the oldest
// event that the server still has. The first event is the job's state, then come the events of its run,
// and the last one is "ended". "state" and "ended" carry the job.
//
// If the connection breaks, Watch connects again and continues after the last event. It yields Away if it
// cannot. The sequence ends after "ended", or with an error, which is Canceled if ctx has ended.
func (c *Client) Watch(ctx context.Context, id string, after int64) iter.Seq2[wire.Event, error] {
	return func(yield func(wire.Event, error) bool) {
		most := maxTries
		for failures := 0; ; {
			over, progress, err := c.watchOnce(ctx, id, &after, yield)
			if over {
				return
			}
			if progress || fault.Is(err, fault.Throttled) {
				most = reconnects
			}
			if progress {
				failures = 0
			}
			failures++
			if err != nil && (!fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Throttled) || failures > most) {
				yield(wire.Event{}, err)
				return
			}
			if failures == missed && most == reconnects && fault.Is(err, fault.Unavailable) &&
				!yield(wire.Event{Kind: Away}, nil) {
				return
			}
			t := time.NewTimer(min(time.Duration(failures*failures)*50*time.Millisecond, 5*time.Second))
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				yield(wire.Event{}, &fault.Fault{Kind: fault.Canceled, Op: "watch job", Name: id, Err: context.Cause(ctx)})
				return
			}
		}
	}
}

// watchOnce yields the events of one connection. over reports whether the watch is finished: the job
// has ended, or yield returned false. progress reports whether at least one event arrived.
func (c *Client) watchOnce(
	ctx context.Context, id string, after *int64, yield func(wire.Event, error) bool,
) (over, progress bool, err error) {
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	quiet := time.AfterFunc(silence, func() { cut(errSilent) })
	defer quiet.Stop()
	header := http.Header{"Accept": {"text/event-stream"}}
	if *after > 0 {
		header.Set("Last-Event-ID", strconv.FormatInt(*after, 10))
	}
	resp, err := c.send(ctx, call{method: http.MethodGet, path: jobPath(id, "/events"), header: header})
	if err != nil {
		return false, false, unavailableIfSilent(ctx, err)
	}
	defer resp.Body.Close()
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/event-stream" {
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // an incomplete body is used as it is
		return false, false, c.sent.Error(c.stranger(resp, raw))
	}
	in := &eventReader{lines: bufio.NewScanner(resp.Body)}
	in.lines.Buffer(nil, maxEvent)
	in.alive = func() { quiet.Reset(silence) }
	for {
		e, err := in.next()
		if errors.Is(err, io.EOF) {
			return false, progress, nil // the server or a proxy closed the connection
		}
		if err != nil {
			return false, progress, unavailableIfSilent(ctx, c.networkFault(ctx, err))
		}
		*after, progress = max(*after, e.Seq), true
		if !yield(e, nil) || e.Kind == "ended" {
			return true, true, nil
		}
	}
}

var errSilent = errors.New("the server has sent nothing for 60 seconds")

// unavailableIfSilent returns err, or Unavailable if the connection was cut because of silence. Watch
// then connects again.
func unavailableIfSilent(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		return &fault.Fault{Kind: fault.Unavailable, Op: "watch", Err: errSilent}
	}
	return err
}

// eventReader reads a stream of server-sent events, as the HTML standard defines it.
type eventReader struct {
	lines *bufio.Scanner
	alive func() // called for each line, including comments
}

func (r *eventReader) next() (wire.Event, error) {
	var e wire.Event
	var data []string
	for r.lines.Scan() {
		r.alive()
		line := r.lines.Text()
		if line == "" {
			if e.Kind == "" && data == nil {
				continue
			}
			e.Data = json.RawMessage(strings.Join(data, "\n"))
			return e, nil
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			e.Seq, _ = strconv.ParseInt(value, 10, 64) // 0 if the ID is no number, which dray never sends
		case "event":
			e.Kind = value
		case "data":
			data = append(data, value)
		}
	}
	if err := r.lines.Err(); err != nil {
		return e, err
	}
	return e, io.EOF
}

// Wait waits until the job has ended and returns it.
func (c *Client) Wait(ctx context.Context, id string) (wire.Job, error) {
	for e, err := range c.Watch(ctx, id, 0) {
		if err != nil {
			return wire.Job{}, err
		}
		if e.Kind == "ended" {
			var j wire.Job
			if err := json.Unmarshal(e.Data, &j); err != nil {
				return wire.Job{}, &fault.Fault{Kind: fault.Internal, Op: "read event", Err: err}
			}
			return j, nil
		}
	}
	return c.Job(ctx, id)
}
