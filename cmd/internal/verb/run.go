package verb

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/verb/tally"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/ref"
)

const (
	// grace is how long a verb may take to return after its job was canceled. It is short, so that the
	// job's state changes within a second. A verb that takes longer is left to end on its own. It can
	// set no more names, because the job's attempt no longer holds the job.
	grace = 500 * time.Millisecond

	// snapshotInterval is the time between two snapshots of progress.
	snapshotInterval = 250 * time.Millisecond

	// retryAfterOutage is the time until a job is tried again if the database was not reachable when the
	// rights of its owner were checked.
	retryAfterOutage = 5 * time.Second

	// retryMemory is the time until a job is tried again whose memory was not free.
	retryMemory = 5 * time.Second
)

// Run carries out the job of r. The Service is the job.Runner of the queue.
func (s *Service) Run(ctx context.Context, r *job.Run) job.Outcome {
	w := s.begin(r)
	return w.guarded(ctx, func(ctx context.Context) job.Outcome {
		hidden, out := w.prepare(ctx)
		if out.State != "" {
			return out
		}
		report, err := w.carryOut(ctx, hidden)
		return w.outcome(ctx, report, err)
	})
}

// begin returns the state of a run that begins.
func (s *Service) begin(r *job.Run) *work {
	w := &work{Service: s, run: r, at: r.Job.Created, tally: tally.New()}
	w.kinds, w.announced = map[fault.Kind]bool{}, map[ref.Name]bool{}
	return w
}

// guarded calls do, and reports its progress meanwhile. If ctx ends, it waits for do no longer than grace.
func (w *work) guarded(ctx context.Context, do func(context.Context) job.Outcome) job.Outcome {
	done := make(chan job.Outcome, 1)
	go func() {
		defer func() { w.hold.Release() }() // not before: a verb that takes longer than grace still has its memory
		defer func() {
			if p := recover(); p != nil {
				done <- failure(job.Failed, nil, &fault.Fault{Kind: fault.Internal, Op: "run job",
					Err: fmt.Errorf("the job panicked: %v", p)})
			}
		}()
		done <- do(ctx)
	}()
	tick := time.NewTicker(snapshotInterval)
	defer tick.Stop()
	var late <-chan time.Time
	ended := ctx.Done()
	for {
		select {
		case out := <-done:
			w.snapshot()
			return out
		case <-tick.C:
			w.snapshot()
		case <-ended:
			ended, late = nil, time.After(grace)
		case <-late:
			return failure(job.Canceled, nil, stopped("run job"))
		}
	}
}

func (w *work) snapshot() {
	if raw, fresh := w.tally.Snapshot(); fresh {
		w.run.Progress(raw)
	}
}

// read reads the request of the job, without its logins.
func (w *work) read() error {
	if err := json.Unmarshal(w.run.Job.Request, &w.row); err != nil {
		return &fault.Fault{Kind: fault.Internal, Op: "read request", Err: err}
	}
	w.Service = w.reading(w.row)
	by, may := bringingOf(w.row.Request)
	w.dray = w.Service.dray.For(place.Job{Guard: w.announce, Words: w.row.Words,
		IncludeForeign: foreignOf(w.row.Request), Via: credential.Via(by.Via), AcceptUnseen: may.AcceptUnseen})
	return nil
}

// prepare reads the request and its logins, and checks it against the present rules. out is set if the run ends here.
func (w *work) prepare(ctx context.Context) (hidden secret, out job.Outcome) {
	r := w.run.Job
	if !w.weigh() {
		return hidden, job.Outcome{State: job.Waiting, After: retryMemory}
	}
	sealed, err := w.run.Secret(ctx)
	hidden, e := unseal(sealed)
	if err = cmp.Or(err, e, w.read()); err != nil {
		return hidden, failure(job.Failed, nil, err)
	}
	p, err := w.access.Still(ctx, access.Principal{Name: r.Principal, Role: w.row.Role, Via: w.row.Via})
	switch {
	case fault.Is(err, fault.Unavailable):
		return hidden, job.Outcome{State: job.Waiting, After: retryAfterOutage}
	case fault.Is(err, fault.Denied):
		w.pauseOrphanedSchedule(ctx)
	}
	if err := cmp.Or(err, checkVerb(w.row.Request)); err != nil {
		return hidden, failure(job.Failed, nil, err)
	}
	if _, err := w.allow(ctx, p, w.row.Request, w.at); err != nil {
		return hidden, failure(job.Failed, nil, err)
	}
	join(&w.row.Request, hidden)
	return hidden, job.Outcome{}
}

const (
	memoryPerByte = 100     // what a job takes for each byte of its request: 4 KiB for a short entry of a batch
	lightJob      = 1 << 20 // what a job may take without being weighed
)

// weigh takes the memory that the job needs. It reports whether that is free. A job whose memory is not free gives its
// place to another one, and waits.
func (w *work) weigh() bool {
	n := int64(len(w.run.Job.Request)) * memoryPerByte
	if n <= lightJob {
		return true
	}
	w.hold = w.memory.Begin(w.run.Job.ID)
	if w.hold.TakeNow(memory.Jobs, n) {
		return true
	}
	if w.run.Job.Attempt == 1 {
		w.run.Log("waiting until other large jobs have ended, so that they do not take too much memory together")
	}
	return false
}

// pauseOrphanedSchedule pauses the schedule that created this job, because its owner no longer exists
// and each of its jobs would fail. The job's log says so.
func (w *work) pauseOrphanedSchedule(ctx context.Context) {
	r := w.run.Job
	if r.Schedule == "" {
		return
	}
	err := w.queue.PauseSchedule(ctx, r.Schedule, func(tx *sql.Tx) error {
		return w.access.Audit(ctx, tx, access.Entry{
			Principal: r.Principal, Verb: "schedule pause (its owner is gone)",
			Source: r.Source, Target: r.Target, Old: r.Schedule,
		})
	})
	if err != nil {
		w.run.Log("the schedule of this job could not be paused: " + oneLine(err))
		return
	}
	w.run.Log("the schedule of this job is paused, because its owner no longer exists")
}

// carryOut carries out the verb. It may return a report together with an error.
func (w *work) carryOut(ctx context.Context, hidden secret) (report any, err error) {
	if w.row.Failed {
		return w.again(ctx)
	}
	switch w.row.Kind {
	case wire.KindTransfer:
		req, err := w.transferRequest()
		if err != nil {
			return nil, err
		}
		return w.lost(w.dray.Transfer(ctx, req, w.observe, w.repository(ctx)))
	case wire.KindVerify:
		req, err := w.verifyRequest()
		if err != nil {
			return nil, err
		}
		return w.receipt(w.verify(ctx, req))
	case wire.KindPlan:
		if w.row.Plan.Uploaded {
			if hidden.File != nil { // the job was accepted by a dray that stored the file so
				return w.upload(ctx, bytes.NewReader(hidden.File))
			}
			return w.upload(ctx, w.run.File(ctx))
		}
		return w.plan(ctx, *w.row.Plan)
	case wire.KindApply:
		return w.apply(ctx, *w.row.Apply)
	}
	p, err := w.planOne(ctx, w.row.Request)
	if err != nil {
		return nil, err
	}
	return w.applyAll(ctx, p)
}
