package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/pool"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry"
)

const partTimeout = 2 * time.Second // the longest wait for the answer of one part

// readiness checks whether each part of the process works. Anybody may read the texts, so they
// contain no address and no path.
func (s *serving) readiness(ctx context.Context) []wire.Finding {
	if s.stopping.Load() {
		return []wire.Finding{{What: "process", Text: "stopping", Kind: fault.Unavailable}}
	}
	ask := func(what string, f func(context.Context) error) wire.Finding {
		ctx, cancel := context.WithTimeout(ctx, partTimeout)
		defer cancel()
		if err := f(ctx); err != nil {
			text := "does not answer"
			if fault.Is(err, fault.Full) {
				text = "no space is left on the disk"
			}
			return wire.Finding{What: what, Text: text, Kind: fault.KindOf(err)}
		}
		return wire.Finding{What: what, OK: true, Text: "ok"}
	}
	all := []wire.Finding{ask("database", s.db.PingContext)}
	if s.reg != nil {
		all = append(all, ask("storage", s.reg.Ping))
		if f, known := space(s.reg.State()); known {
			all = append(all, f)
		}
	}
	var oldest time.Duration
	f := ask("queue", func(ctx context.Context) (err error) {
		oldest, err = s.queue.Oldest(ctx)
		return err
	})
	if s.config.Engine == "" && f.OK {
		f = s.written(ctx, f)
	}
	switch {
	case !f.OK:
	case !s.working.Load():
		f.OK, f.Text, f.Kind = false, "the worker is not running", fault.Unavailable
	case oldest > time.Minute:
		f.Text = fmt.Sprintf("ok, the oldest job has waited for %s", oldest.Round(time.Second))
	}
	if text := s.unserved(ctx); f.OK && text != "" {
		f.Text = "ok, " + text
	}
	all = append(all, f)
	if s.config.Engine != "" {
		f := ask("engine", s.queue.Ready)
		if !f.OK {
			f.Text = pool.Silent(f.Kind)
		}
		if !f.OK && s.reg != nil { // the server does all but run jobs
			f.OK, f.Text = true, f.Text+": jobs are accepted and wait"
		}
		all = append(all, f)
	}
	return all
}

// space says whether the disk of the registry has room for pushes. known is false if nothing limits them.
func space(s registry.State) (f wire.Finding, known bool) {
	f = wire.Finding{What: wire.Space, OK: s.Room.Free >= max(s.Stays, 1), Text: s.Room.String()}
	if s.Stays > 0 {
		f.Text += fmt.Sprintf(", %d MiB stay free", s.Stays>>20)
	}
	if !f.OK {
		f.Text, f.Kind = "pushes are refused: "+f.Text, fault.Full
	}
	return f, s.Known
}

// written returns f, or why the one process of the embedded engine cannot write.
func (s *serving) written(ctx context.Context, f wire.Finding) wire.Finding {
	err := s.queue.Ready(ctx)
	switch {
	case fault.Is(err, fault.Full):
		return wire.Finding{What: f.What, Text: "no space is left on the disk", Kind: fault.Full}
	case err != nil:
		return wire.Finding{What: f.What, Text: "the database cannot be written", Kind: fault.KindOf(err)}
	}
	return f
}

// unserved says which queued jobs no worker can take; "" if there are none, or if the database does not answer.
func (s *serving) unserved(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	queued, err := s.queue.Backlog(ctx)
	if err != nil || len(queued) == 0 {
		return ""
	}
	workers, err := s.queue.Workers(ctx)
	if err != nil {
		return ""
	}
	var all []string
	for _, in := range slices.Sorted(maps.Keys(queued)) {
		why := pool.Unserved(workers, in)
		switch n := queued[in]; {
		case why == "":
		case n == 1:
			all = append(all, "1 job waits, and "+why)
		default:
			all = append(all, fmt.Sprintf("%d jobs wait, and %s", n, why))
		}
	}
	return strings.Join(all, "; ")
}

// finding returns err as a Finding, or text if err is nil.
func finding(what, text string, err error) wire.Finding {
	if err == nil {
		return wire.Finding{What: what, OK: true, Text: text}
	}
	if f, ok := errors.AsType[*fault.Fault](err); ok {
		return wire.Finding{What: what, Text: err.Error(), Hint: fault.HintOf(err), Kind: f.Kind}
	}
	return wire.Finding{What: what, Text: err.Error(), Kind: fault.Internal}
}
