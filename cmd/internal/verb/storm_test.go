package verb_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile/storm"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
)

// The engine, its database and the registries are in virtual time. The database is a file; a copy of one whose
// tables exist already saves their creation.
func TestAJobSurvivesOrNamesASingleFault(t *testing.T) {
	t.Parallel()
	stage := storm.NewStage(t)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { newOffice(t, dir).close() })
	tables, err := os.ReadFile(filepath.Join(dir, "dray.db"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range storm.Cases(stage.Place(storm.Job)) {
		if yard.Small() && i%2 == 1 {
			continue // make whole tries all of them without the race detector
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, content := range map[string][]byte{"dray.db": tables, "key": key} {
				if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			target := testbed.NewDistribution(t, testbed.Options{Content: testbed.Open})
			synctest.Test(t, func(t *testing.T) {
				w := stage.Open(t, storm.Job, target, storm.Cases(stage.Place(storm.Job))[i])
				o := newOffice(t, dir)
				defer o.close()
				o.work(w.Config())
				traffic, err := o.transfer()
				w.Judge(traffic, err)
				w.Calm()
				_, err = o.transfer()
				w.Complete(err)
			})
		})
	}
}

// office is the engine of one server, without its door.
type office struct {
	t       *testing.T
	db      *store.DB
	access  *access.Access
	vault   *access.Vault
	queue   *job.Queue
	service *verb.Service
	stop    []func()
}

// newOffice opens the database in dir, or makes it with a token for ann.
func newOffice(t *testing.T, dir string) *office {
	t.Helper()
	o := &office{t: t}
	_, err := os.Stat(filepath.Join(dir, "dray.db"))
	made := errors.Is(err, os.ErrNotExist)
	o.db, err = store.Open(t.Context(), "sqlite:"+filepath.Join(dir, "dray.db"))
	o.must(err)
	o.vault, err = access.OpenVault(t.Context(), access.KeySource{File: filepath.Join(dir, "key")})
	o.must(err)
	o.access, err = access.Open(t.Context(), access.Config{DB: o.db, Vault: o.vault, Rules: []access.Rule{
		{Principals: []string{"ann"}, Verbs: []string{"*"}, Sources: []string{"**"}, Targets: []string{"**"}, Rights: access.Rights}}})
	o.must(err)
	if made {
		_, _, err = o.access.NewToken(t.Context(), access.Token{Principal: ann.Name, Role: ann.Role, By: "root"})
		o.must(err)
	}
	o.queue, err = job.Open(t.Context(), job.Config{DB: o.db, Seal: o.vault})
	o.must(err)
	return o
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// work runs jobs with a Dray of c.
func (o *office) work(c dray.Config) {
	o.t.Helper()
	d, err := dray.New(c)
	o.must(err)
	o.service = verb.New(verb.Config{Dray: d, Queue: o.queue, Access: o.access, DB: o.db})
	o.stop = append(o.stop, suite.Work(o.t, o.queue, 1, o.service), d.Close)
}

func (o *office) close() {
	for _, stop := range o.stop {
		stop()
	}
	for _, err := range []error{o.queue.Close(), o.db.Close()} {
		if err != nil {
			o.t.Error(err)
		}
	}
}

// step is a line of a report.
type step struct {
	State dray.State `json:"state"`
}

// transfer submits the transfer of a storm as a job, and returns the traffic of its report and its error when it
// has ended. Its row, its report, its items and its events must agree.
func (o *office) transfer() (traffic map[string]dray.Traffic, err error) {
	o.t.Helper()
	j, fresh, err := o.service.Submit(o.t.Context(), ann, transfer("dst", "src/team/"), "")
	o.must(err)
	states := o.watch(j.ID)
	j, err = o.queue.Get(o.t.Context(), j.ID)
	o.must(err)
	if last := states[len(states)-1]; !fresh || last != j.State || states[0] == j.State {
		o.t.Errorf("the events of a job have the states %v, and its row %s", states, j.State)
	}
	raw, err := o.queue.Report(o.t.Context(), j.ID)
	o.must(err)
	var report dray.TransferReport
	if raw != nil {
		o.must(json.Unmarshal(raw, &report))
	}
	items, err := o.queue.Items(o.t.Context(), j.ID, 0, 0)
	o.must(err)
	counted := map[dray.State]int{}
	for _, item := range items {
		var s step
		o.must(json.Unmarshal(item.Data, &s))
		counted[s.State]++
	}
	for _, state := range []dray.State{dray.Done, dray.Unchanged, dray.Failed} {
		if report.States[state] != counted[state] {
			o.t.Errorf("the items of a job have %d steps that are %s, and its report %d", counted[state], state, report.States[state])
		}
	}
	good, bad := counted[dray.Done]+counted[dray.Unchanged], counted[dray.Failed]
	want := job.Done
	switch {
	case j.Failure != nil && good > 0 && bad > 0:
		want = job.Partly
	case j.Failure != nil:
		want = job.Failed
	}
	if j.State != want {
		o.t.Errorf("the job is %s after %d steps that went well and %d that did not: %+v", j.State, good, bad, j.Failure)
	}
	return report.Traffic, failed(j)
}

// watch returns the states of a job, each once, until it has ended.
func (o *office) watch(id string) (states []job.State) {
	o.t.Helper()
	for e, err := range o.queue.Watch(o.t.Context(), id, 0) {
		o.must(err)
		if e.Kind != "state" && e.Kind != "ended" {
			continue
		}
		var j job.Job
		o.must(json.Unmarshal(e.Data, &j))
		if len(states) == 0 || states[len(states)-1] != j.State {
			states = append(states, j.State)
		}
	}
	return states
}

// failed returns the failure of a job as the error that it was.
func failed(j job.Job) error {
	if j.Failure == nil {
		return nil
	}
	return &fault.Fault{Kind: j.Failure.Kind, Side: j.Failure.Side, Err: errors.New(j.Failure.Text), Hint: j.Failure.Hint}
}
