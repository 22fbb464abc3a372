package verb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

// finished counts and stores the results of steps. It also writes to the audit log which announced
// names were not confirmed.
func (w *work) finished(ctx context.Context, steps []dray.StepReport) error {
	var unsure []access.Entry
	states := map[dray.State]int{}
	for _, s := range steps {
		said := w.wasAnnounced(s.To)
		states[s.State]++
		switch s.State {
		case dray.Done, dray.Unchanged:
			w.good++
		case dray.Failed:
			w.failed(s.Err)
			w.run.Log(oneLine(s.Err))
			if said {
				unsure = append(unsure, w.entry(s.Step, " (not confirmed)"))
			}
		case dray.NotFinished:
			w.failed(stopped(w.row.Kind))
			if said {
				unsure = append(unsure, w.entry(s.Step, " (not confirmed)"))
			}
		}
		if err := w.item(ctx, s); err != nil {
			return err
		}
	}
	done, failed := states[dray.Done]+states[dray.Unchanged], states[dray.Failed]
	w.tally.Ended(done, failed, len(steps)-done-failed)
	w.audit(ctx, unsure)
	return nil
}

// repository returns a function that calls finished with the steps of one repository.
func (w *work) repository(ctx context.Context) func(dray.RepositoryReport) error {
	return func(r dray.RepositoryReport) error { return w.finished(ctx, r.Steps) }
}

// item stores one line of the report as an item of the job.
func (w *work) item(ctx context.Context, line any) error {
	raw, err := json.Marshal(line)
	if err != nil {
		return &fault.Fault{Kind: fault.Internal, Op: "write report", Err: err}
	}
	return w.run.Item(ctx, raw)
}

// failed counts a step that failed.
func (w *work) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first == nil {
		w.first = err
	}
	w.bad++
	w.kinds[fault.KindOf(err)] = true
}

// outcome returns the outcome of the job: Done, Partly if some steps succeeded and others failed,
// Failed, or Canceled if its context ended before it did.
func (w *work) outcome(ctx context.Context, report any, err error) job.Outcome {
	var raw json.RawMessage
	if report != nil {
		var e error
		if raw, e = json.Marshal(report); e != nil {
			return failure(job.Failed, nil, &fault.Fault{Kind: fault.Internal, Op: "write report", Err: e})
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case (ctx.Err() != nil || w.canceled) && (err != nil || w.bad > 0):
		return failure(job.Canceled, raw, stopped(w.row.Kind))
	case err == nil && w.bad == 0:
		return job.Outcome{State: job.Done, Report: raw}
	case w.bad == 0:
		return failure(job.Failed, raw, err)
	}
	out := failure(job.Failed, raw, w.first)
	if w.good > 0 {
		out.State = job.Partly
	}
	if w.good+w.bad > 1 {
		out.Failure.Text = fmt.Sprintf("%d of %d steps failed: %s", w.bad, w.good+w.bad, out.Failure.Text)
	}
	if len(w.kinds) > 1 {
		out.Failure.Kind = "" // The steps failed with several Kinds, and none of them is right for the job.
	}
	return out
}

// stopped returns the error of a job whose context ended before the job did.
func stopped(op string) error {
	return &fault.Fault{Kind: fault.Canceled, Op: op, Err: errors.New("the job stopped before it was complete")}
}

func failure(state job.State, report json.RawMessage, err error) job.Outcome {
	return job.Outcome{State: state, Report: report, Failure: job.FailureOf(err)}
}
