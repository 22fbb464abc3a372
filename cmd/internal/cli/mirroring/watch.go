package mirroring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/mirror"
	"github.com/drayage/dray/cmd/internal/schedule"
	"github.com/drayage/dray/fault"
)

const (
	// lookAgain is how often a watch checks whether its file has changed.
	lookAgain = 5 * time.Second

	// goesOn is how often a long run logs that it is still going on.
	goesOn = time.Minute
)

// watchMirrors runs the rules at their times until ctx ends, which is not an error.
func watchMirrors(
	ctx context.Context, a *app.App, d *dray.Dray, f mirrorFlags, m config.Mirrors, state mirror.State,
) error {
	if !due(m) {
		return &fault.Fault{
			Kind: fault.Invalid,
			Op:   "watch",
			Name: f.file,
			Err:  errors.New("no rule has a schedule"),
			Hint: "give a rule schedule: or every:, or use --once",
		}
	}
	w := &mirrorWatch{
		app:   a,
		dray:  d,
		flags: f,
		state: state,
		log:   slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: logLevel(a)})),
	}
	w.tell = newRuleTeller(a, false, func(line string) { w.log.Warn(line) })
	w.log.Info("watching", "file", f.file, "rules", len(m.Rules))
	reload := make(chan []config.Mirror)
	var looking sync.WaitGroup
	looking.Go(func() { w.look(ctx, reload) })
	watch := mirror.Watch{Run: w.run, Tell: w.fired, Parallel: f.parallel, Last: func(rule string) time.Time {
		kept, _ := state.Read(rule)
		return kept.Last.Began
	}}
	_, _ = app.Patiently(ctx, 2*app.Grace, func() (struct{}, error) {
		watch.Until(ctx, m.Rules, reload)
		return struct{}{}, nil
	})
	looking.Wait()
	w.tell.stop()
	w.log.Info("stopped", "file", f.file)
	return nil
}

// due reports whether any rule has a time at which it runs.
func due(m config.Mirrors) bool {
	for _, r := range m.Rules {
		if when, err := schedule.Parse(r.Spec); err == nil && !r.Paused && !when.Never() {
			return true
		}
	}
	return false
}

// logLevel returns the level of the log that the flags ask for.
func logLevel(a *app.App) slog.Level {
	switch {
	case a.Debug, a.Verbose:
		return slog.LevelDebug
	case a.Quiet:
		return slog.LevelError
	}
	return slog.LevelInfo
}

// mirrorWatch is one run of dray mirror --watch.
type mirrorWatch struct {
	app   *app.App
	dray  *dray.Dray
	flags mirrorFlags
	state mirror.State
	log   *slog.Logger
	tell  *ruleTeller
}

// run runs a rule once, and logs how it goes.
func (w *mirrorWatch) run(ctx context.Context, rule config.Mirror) {
	began := time.Now()
	quit := make(chan struct{})
	var beats sync.WaitGroup
	beats.Go(func() {
		tick := time.NewTicker(goesOn)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.log.Info("run goes on", "rule", rule.Name, "took", time.Since(began).Round(time.Second))
			case <-quit:
				return
			}
		}
	})
	r := runRule(ctx, w.dray, rule, w.state, nil, w.tell)
	close(quit)
	beats.Wait()
	w.ended(r)
}

func (w *mirrorWatch) ended(r mirror.Result) {
	for _, n := range r.Notes {
		w.log.Info("note", "rule", r.Rule, "text", n)
	}
	told := false
	for _, t := range r.Targets {
		w.log.Debug("target", "rule", r.Rule, "host", t.Host, "done", t.Done, "unchanged", t.Unchanged,
			"failed", t.Failed, "left", t.Left, "missing", t.Missing, "retagged", t.Retagged)
		for _, f := range t.Failures {
			told = true
			w.log.Error("step failed", "rule", r.Rule, "image", f.To, "kind", f.Error.Kind, "err", f.Error.Message)
		}
	}
	if r.Error != nil && !told {
		w.log.Error("run failed", "rule", r.Rule, "kind", r.Error.Kind, "err", r.Error.Message)
	}
	w.log.Info("run ended", "rule", r.Rule, "outcome", r.Outcome, "drift", r.Drift, "left", r.Left,
		"bytes", r.Blobs.Bytes, "took", r.Took.Round(time.Millisecond))
	if w.app.Format == out.FormatJSON {
		if line, err := json.Marshal(r); err == nil {
			w.tell.mu.Lock()
			defer w.tell.mu.Unlock()
			// The reader of stdout may have gone. The watch goes on without it.
			_ = w.app.PrintText(string(line) + "\n")
		}
	}
}

func (w *mirrorWatch) fired(f mirror.Firing) {
	switch f.Kind {
	case mirror.Due:
		w.log.Info("next run", "rule", f.Rule, "at", f.At.UTC().Format(time.RFC3339))
	case mirror.Began:
		w.log.Info("run begins", "rule", f.Rule)
	case mirror.Waits:
		w.log.Warn("run waits until another rule ends", "rule", f.Rule)
	case mirror.Overran:
		w.log.Warn("left out: the last run took longer than the time between two runs",
			"rule", f.Rule, "times", f.N, "first", f.At.UTC().Format(time.RFC3339))
	case mirror.Gone:
		w.log.Info("rule is gone", "rule", f.Rule)
	}
}

// look reads the file again when it has changed, and on SIGHUP.
func (w *mirrorWatch) look(ctx context.Context, reload chan<- []config.Mirror) {
	var hangup <-chan os.Signal
	if w.app.IO.Hangup != nil {
		hangup = w.app.IO.Hangup(ctx)
	}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	was := w.looks()
	for {
		select {
		case <-tick.C:
			now := w.looks()
			if now == was {
				continue
			}
			was = now
		case <-hangup:
			was = w.looks()
		case <-ctx.Done():
			return
		}
		m, err := w.flags.pick(config.ReadMirrors(w.flags.file))
		if err != nil {
			w.log.Error("new rules are invalid, the old rules stay in use", "err", err)
			continue
		}
		w.log.Info("new rules", "file", w.flags.file, "rules", len(m.Rules))
		select {
		case reload <- m.Rules:
		case <-ctx.Done():
			return
		}
	}
}

// looks returns a text that differs if the file has changed.
func (w *mirrorWatch) looks() string {
	info, err := os.Stat(w.flags.file)
	if err != nil {
		return out.Bare(err).Error()
	}
	return fmt.Sprint(info.ModTime().UnixNano(), info.Size())
}
