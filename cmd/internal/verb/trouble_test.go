package verb_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile/world"
	"github.com/drayage/dray/internal/yard"
)

// A job keeps the promises of TestNoTroubleBreaksAPromise: the same worlds, and the same work as durable jobs, with the
// queue and its database in virtual time. Another process may run each of them.
func TestNoTroubleBreaksAPromiseOfAJob(t *testing.T) {
	worlds := "100"
	switch soak := os.Getenv("DRAY_SOAK"); {
	case soak != "":
		worlds = soak + "0"
	case testing.Short(), yard.Small():
		worlds = "20"
	}
	if err := flag.Set("rapid.checks", worlds); err != nil {
		t.Fatal(err)
	}
	first := ""
	defer func() {
		if t.Failed() {
			t.Logf("the first world that broke a promise: %s", first)
		}
	}()
	rapid.Check(t, func(rt *rapid.T) {
		w := world.Draw(rt)
		var broken string
		t.Run("world", func(t *testing.T) { // so that the registries of a world end with it
			h := w.Handlers(t)
			synctest.Test(t, func(t *testing.T) {
				t.Cleanup(func() { time.Sleep(time.Second) })
				broken = liveAsJobs(t, w.Open(t, h))
			})
		})
		if broken != "" {
			broken = fmt.Sprintf("%+v\n%s", w, broken)
			first = cmp.Or(first, broken)
			rt.Log(broken)
			rt.Fatal("a promise is broken")
		}
	})
}

func liveAsJobs(t *testing.T, s *world.Stage) string {
	t.Helper()
	h := newFixture(t, s.Config(), access.Rule{Principals: []string{"ann"}, Verbs: []string{"*"},
		Sources: []string{"**"}, Targets: []string{"**"}, Rights: access.Rights})
	worker := h.service
	return s.Live(func(fresh bool) world.Outcome {
		if fresh {
			worker = h.worker(t, s.Config())
		}
		return h.doWork(t, worker, s.World)
	})
}

// doWork does the work of a world as a job, and returns what the job says about it.
func (h *fixture) doWork(t *testing.T, worker *verb.Service, w world.World) (out world.Outcome) {
	t.Helper()
	if _, _, err := h.service.Submit(t.Context(), ann, asked(w), ""); err != nil {
		t.Fatal(err)
	}
	j := h.runOne(t, worker)
	if j.State != job.Done {
		out.Err = fmt.Errorf("%s: %+v", j.State, j.Failure)
		if j.Failure != nil {
			out.Err = &fault.Fault{Kind: j.Failure.Kind, Err: out.Err}
		}
	}
	items, err := h.queue.Items(t.Context(), j.ID, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		var step dray.StepReport
		if err := json.Unmarshal(it.Data, &step); err != nil {
			t.Fatal(err)
		}
		out.Steps = append(out.Steps, step)
	}
	raw, err := h.queue.Report(t.Context(), j.ID)
	var report struct{ Traffic map[string]dray.Traffic }
	if err == nil && len(raw) > 0 {
		err = json.Unmarshal(raw, &report)
	}
	if err != nil {
		t.Fatal(err)
	}
	out.Traffic = report.Traffic
	return out
}

// asked is the request of a world as clients of a server send it.
func asked(w world.World) wire.Request {
	with := wire.Referrers{Mode: string(w.Referrers)}
	var only wire.Platforms
	if w.Platforms {
		only.Only = []string{"linux/amd64"}
	}
	switch w.Work {
	case world.Transfer:
		req, _ := w.TransferRequest()
		return wire.Request{Kind: wire.KindTransfer, Transfer: &wire.Transfer{Overwrite: string(w.Overwrite),
			Ends: wire.Ends{Sources: req.Sources, Target: req.Target, Referrers: with, Platforms: only,
				Mapping:   wire.Mapping{StripPrefix: req.Mapping.StripPrefix, AddPrefix: req.Mapping.AddPrefix},
				Selection: wire.Selection{ExcludeTags: []string{world.Left}},
			}}}
	case world.Import:
		req := w.ImportRequest()
		return wire.Request{Kind: wire.KindImport, Import: &wire.Import{Source: req.Source, Target: req.Target,
			Images: req.Images, Overwrite: string(w.Overwrite), Referrers: with, Platforms: only}}
	case world.Tag:
		req := w.TagRequest()
		return wire.Request{Kind: wire.KindTag, Tag: &wire.Tag{Image: req.Image, Tags: req.Tags}}
	}
	req := w.CopyRequest()
	return wire.Request{Kind: wire.KindCopy, Copy: &wire.Copy{Source: req.Source, Targets: req.Targets, All: "all",
		Overwrite: string(w.Overwrite), Referrers: with, Platforms: only}}
}
