package verb_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/cmd/internal/wire"
)

// A job with a large request gives its place to others while the memory for it is taken.
func TestALargeJobWaitsForOtherLargeJobsWithoutAPlace(t *testing.T) {
	h, src, dst := newPair(t, nil)
	d, err := dray.New(between(src, dst))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	budget := memory.New(memory.Options{})
	service := verb.New(verb.Config{Dray: d, Queue: h.queue, Access: h.access, DB: h.db, Memory: budget})
	submit := func(entries int) string {
		r := wire.Batch{Target: "dst"}
		for i := range entries {
			r.Entries = append(r.Entries, wire.BatchEntry{Source: fmt.Sprintf("src/%s:v%d", strings.Repeat("x", 100), i)})
		}
		j, _, err := service.Submit(t.Context(), ann, wire.Request{Kind: wire.KindBatch, Batch: &r}, "")
		if err != nil {
			t.Fatal(err)
		}
		return j.ID
	}
	other := budget.Begin("other job")
	other.TakeNow(memory.Jobs, 64<<20)
	large, small := submit(150), submit(1)
	ctx, stop := context.WithCancel(t.Context())
	worked := make(chan struct{})
	go func() { defer close(worked); _ = h.queue.Work(ctx, 1, service) }()
	defer func() { stop(); <-worked }()
	end := func(id string, see func(job.Job)) (j job.Job) {
		for e, err := range h.queue.Watch(t.Context(), id, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind != "state" && e.Kind != "ended" {
				continue
			}
			if err := json.Unmarshal(e.Data, &j); err != nil {
				t.Fatal(err)
			}
			see(j)
		}
		return j
	}
	if j := end(small, func(job.Job) {}); j.State != job.Failed {
		t.Errorf("%+v", j)
	}
	waited := false
	if j := end(large, func(j job.Job) {
		if j.State == job.Waiting {
			waited = true
			other.Release()
		}
	}); j.State != job.Failed || !waited {
		t.Errorf("waited: %v, %+v", waited, j)
	}
	lines, err := h.queue.Log(t.Context(), large, 0, 0)
	if err != nil || len(lines) == 0 || !strings.HasPrefix(lines[0].Text, "waiting until other large jobs have ended") {
		t.Errorf("%v %+v", err, lines)
	}
	if use := budget.Use(memory.Jobs); use.Used != 0 || use.Refused == 0 {
		t.Errorf("%+v", use)
	}
}
