package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/cmd/internal/visible"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// streams registers watch-job and describes the answers that are streamed in the OpenAPI document.
func (a *api) streams() {
	handle(a, operation{
		id: "watch-job", method: http.MethodGet, path: "/jobs/{id}/events", role: access.Reader,
		status: http.StatusOK, tag: "jobs",
		text: `Stream the events of a job as server-sent events; the first is "state", the last is "ended"`,
	}, a.watch)
	content := a.huma.OpenAPI().Paths["/jobs/{id}/events"].Get.Responses["200"]
	content.Description = "a stream of events; each event has an id, after which a client can resume"
	content.Content = map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}}
	content = a.huma.OpenAPI().Paths["/plans/{id}"].Get.Responses["200"]
	content.Content = map[string]*huma.MediaType{"application/jsonl": {Schema: &huma.Schema{Type: "string"}}}
}

// watching is a request for the events of a job.
type watching struct {
	ByID
	LastEventID int64 `header:"Last-Event-ID" minimum:"0" maximum:"9007199254740992" doc:"the id of the last event that the client has read"`
	After       int64 `query:"after" minimum:"0" maximum:"9007199254740992" doc:"the same as Last-Event-ID, for a client that cannot set the header"`
}

// watch streams the events of a job until the job ends or the client goes.
func (a *api) watch(ctx context.Context, in *watching) (*huma.StreamResponse, error) {
	if _, err := a.Verb.Visible(ctx, caller(ctx), in.ID); err != nil {
		return nil, err
	}
	after := max(in.LastEventID, in.After)
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		leave, ok := a.Streams.Take(caller(ctx))
		if !ok {
			problemOf(&fault.Fault{
				Kind:       fault.Throttled,
				Op:         "watch job",
				Name:       in.ID,
				RetryAfter: 5 * time.Second,
				Err:        errors.New("this principal has too many event streams open"),
				Hint:       "close some streams, or poll the job instead",
			}).write(w)
			return
		}
		defer leave()
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("X-Accel-Buffering", "no") // otherwise nginx buffers the stream
		w.WriteHeader(http.StatusOK)
		defer clearWriteDeadline(w)
		s := &sse{w: w, control: http.NewResponseController(w), patience: a.Patience}
		ctx, done := context.WithCancel(hc.Context())
		defer done()
		events := make(chan wire.Event)
		go func() {
			defer close(events)
			for e, err := range a.Queue.Watch(ctx, in.ID, after) {
				if err != nil {
					return // the client reconnects and resumes
				}
				select {
				case events <- e:
				case <-ctx.Done():
					return
				}
			}
		}()
		beat, look := time.NewTicker(a.Heartbeat), time.NewTicker(blockedInterval)
		defer beat.Stop()
		defer look.Stop()
		b := blocked{verb: a.Verb}
		err := s.write("retry: 1000\n\n")
		for err == nil {
			select {
			case e, open := <-events:
				if !open {
					return
				}
				b.see(e)
				err = s.event(e)
			case <-look.C:
				if text := b.news(ctx); text != nil {
					err = s.write("event: " + wire.BlockedEvent + "\ndata: " + string(text) + "\n\n")
				}
			case <-beat.C:
				err = s.write(": still here\n\n")
			}
		}
		// A write failed, because the client has gone or did not read for s.patience. The deferred
		// done ends the goroutine above.
	}}, nil
}

// blockedInterval is the time between two looks at whether a queued job can start.
const blockedInterval = 2 * time.Second

// blocked finds out why a job that is being watched cannot start.
type blocked struct {
	verb *verb.Service
	job  wire.Job
	said string // the last text that was sent
}

// see remembers the job of an event that has one.
func (b *blocked) see(e wire.Event) {
	if e.Kind == "state" {
		_ = json.Unmarshal(e.Data, &b.job) // a job that cannot be read has no state, and is not looked at
	}
}

// news returns why the job cannot start, as the data of an event, if that has changed; else nil. If the database
// does not answer, there are no news.
func (b *blocked) news(ctx context.Context) json.RawMessage {
	text, err := b.verb.Blocked(ctx, b.job)
	if err != nil || text == b.said {
		return nil
	}
	b.said = text
	raw, _ := json.Marshal(wire.Blocked{Text: text}) // text is a string, which is always JSON
	return raw
}

// sse writes server-sent events. Each write must end within patience.
type sse struct {
	w        io.Writer
	control  *http.ResponseController
	patience time.Duration
}

func (s *sse) event(e wire.Event) error {
	data := e.Data
	if len(data) == 0 {
		data = json.RawMessage("null")
	}
	// An event must fit on one line. JSON has line breaks only between tokens, and e.Data is compact.
	return s.write("id: " + strconv.FormatInt(e.Seq, 10) + "\nevent: " + e.Kind + "\ndata: " + string(data) + "\n\n")
}

func (s *sse) write(text string) error {
	// A writer without deadlines is acceptable: tests use one.
	if err := s.control.SetWriteDeadline(time.Now().Add(s.patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := io.WriteString(s.w, visible.Text(text)); err != nil {
		return err
	}
	return s.control.Flush()
}

// clearWriteDeadline removes the deadline of the last write, because the connection serves further
// requests.
func clearWriteDeadline(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
}

// showPlan streams the file of a plan.
func (a *api) showPlan(ctx context.Context, in *ByID) (*huma.StreamResponse, error) {
	file, err := a.Verb.Plan(ctx, caller(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		w.Header().Set("Content-Type", "application/jsonl")
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "plan-"+in.ID+".jsonl"))
		defer clearWriteDeadline(w)
		control := http.NewResponseController(w)
		buf := make([]byte, 64<<10)
		for {
			n, err := file.Read(buf)
			if n > 0 {
				_ = control.SetWriteDeadline(time.Now().Add(a.Patience))
				if _, err := w.Write(buf[:n]); err != nil {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				// The status has already been sent. Only a broken connection can tell the client
				// that the file is not complete.
				panic(http.ErrAbortHandler)
			}
		}
	}}, nil
}
