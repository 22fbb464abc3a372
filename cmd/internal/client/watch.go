package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

const (
	maxEvent = 4 << 20          // bytes of one
	silence  = 60 * time.Second // without even a heartbeat the connection is dead
	returns  = 30               // a server that was there is waited for, about two minutes
)

// Watch yields what happens to a job after the event of sequence number after, or from what is
// kept with 0: its state first, then what its run says, and "ended" at last, with the job. A
// connection that breaks is opened again, and goes on after the last event. It ends with an
// error, when ctx ends, or after "ended".
func (c *Client) Watch(ctx context.Context, id string, after int64) iter.Seq2[wire.Event, error] {
	return func(yield func(wire.Event, error) bool) {
		most := tries
		for failures := 0; ; {
			over, progress, err := c.watchOnce(ctx, id, &after, yield)
			if over {
				return
			}
			if progress || fault.Is(err, fault.Throttled) {
				most = returns
			}
			if progress {
				failures = 0
			}
			failures++
			if err != nil && (!fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Throttled) || failures > most) {
				yield(wire.Event{}, err)
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

// watchOnce reads one connection. over says that nothing more is to come, or nobody takes it.
func (c *Client) watchOnce(ctx context.Context, id string, after *int64, yield func(wire.Event, error) bool) (over, progress bool, err error) {
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
		return false, false, quietly(ctx, err)
	}
	defer resp.Body.Close()
	in := &eventReader{lines: bufio.NewScanner(resp.Body)}
	in.lines.Buffer(nil, maxEvent)
	in.alive = func() { quiet.Reset(silence) }
	for {
		e, err := in.next()
		if errors.Is(err, io.EOF) {
			return false, progress, nil // the server ended, or a proxy did
		}
		if err != nil {
			return false, progress, quietly(ctx, c.trouble(ctx, err))
		}
		*after, progress = max(*after, e.Seq), true
		if !yield(e, nil) || e.Kind == "ended" {
			return true, true, nil
		}
	}
}

var errSilent = errors.New("the server is silent")

// quietly makes of a connection that was given up one to open again.
func quietly(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		return &fault.Fault{Kind: fault.Unavailable, Op: "watch", Err: errSilent}
	}
	return err
}

// eventReader reads server-sent events, as the HTML standard describes the stream.
type eventReader struct {
	lines *bufio.Scanner
	alive func() // called for each line, comments too
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
			e.Seq, _ = strconv.ParseInt(value, 10, 64) // another's id is none of ours
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

// Wait returns the job once it has ended.
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
