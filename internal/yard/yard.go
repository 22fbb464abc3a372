package yard

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/plan"
)

// Yard holds two registries and a Dray that knows them as "src" and "dst".
type Yard struct {
	*dray.Dray
	T        *testing.T
	Src, Dst *testbed.Registry
}

// New returns a yard of two registries that accept everything that the specification allows.
func New(t *testing.T) *Yard {
	t.Helper()
	open := testbed.Options{Content: testbed.Open}
	return Of(t, testbed.Distribution(t, open), testbed.Distribution(t, open))
}

// Of returns a yard of two registries.
func Of(t *testing.T, src, dst *testbed.Registry) *Yard {
	t.Helper()
	d, err := dray.New(dray.Config{Registries: map[string]dray.Registry{
		"src": {Host: src.Host, Settings: dray.Settings{PlainHTTP: true}},
		"dst": {Host: dst.Host, Settings: dray.Settings{PlainHTTP: true}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return &Yard{Dray: d, T: t, Src: src, Dst: dst}
}

// Forget empties both request logs.
func (y *Yard) Forget() { y.Src.Reset(); y.Dst.Reset() }

// Applied applies a plan.
func (y *Yard) Applied(p *dray.Prepared, err error) (dray.Report, error) {
	y.T.Helper()
	if err != nil {
		return dray.Report{}, err
	}
	return y.Apply(y.T.Context(), p, nil)
}

// Import plans and applies an import.
func (y *Yard) Import(req dray.ImportRequest) (dray.Report, error) {
	y.T.Helper()
	return y.Applied(y.PlanImport(y.T.Context(), req, nil))
}

// Copy plans and applies a copy.
func (y *Yard) Copy(req dray.CopyRequest) (dray.Report, error) {
	y.T.Helper()
	return y.Applied(y.PlanCopy(y.T.Context(), req, nil))
}

// Must ends the test if err is not nil.
func (y *Yard) Must(rep dray.Report, err error) dray.Report {
	y.T.Helper()
	if err != nil {
		y.T.Fatalf("%v (hint: %s)", err, fault.HintOf(err))
	}
	return rep
}

// Spent lists the requests of a registry as "METHOD kind ×n", sorted.
func Spent(r *testbed.Registry) string {
	count := map[string]int{}
	for _, q := range r.Log() {
		count[fmt.Sprintf("%s %s", q.Method, q.Kind)]++
	}
	var lines []string
	for what, n := range count {
		lines = append(lines, fmt.Sprintf("%s ×%d", what, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

// WantSpent compares the requests of both registries with the expected ones.
func (y *Yard) WantSpent(src, dst string) {
	y.T.Helper()
	if got := Spent(y.Src); got != src {
		y.T.Errorf("source: %s\n  want: %s\n%s", got, src, y.Src.Story())
	}
	if y.Src != y.Dst {
		if got := Spent(y.Dst); got != dst {
			y.T.Errorf("target: %s\n  want: %s\n%s", got, dst, y.Dst.Story())
		}
	}
}

// Spends compares the traffic in a report with what each registry counted.
func (y *Yard) Spends(got map[string]dray.Traffic, registries ...*testbed.Registry) {
	y.T.Helper()
	for _, r := range registries {
		var in, out int64
		for _, q := range r.Log() {
			in += q.In
			if q.Method != http.MethodHead { // the handler's body is counted, but not sent
				out += q.Out
			}
		}
		if got := got[r.Host]; got.Requests != r.Requests() || got.Sent != in || got.Received != out {
			y.T.Errorf("%s: report %+v, counted %d requests, %d in, %d out: %s", r.Host, got, r.Requests(), in, out, Spent(r))
		}
	}
}

// Run replaces the Dray by a new one that uses the state directory state, as a new process would.
func (y *Yard) Run(state string) { y.T.Helper(); y.RunOn(state, "") }

// RunOn is Run with a source of the given kind.
func (y *Yard) RunOn(state, kind string) {
	y.T.Helper()
	d, err := dray.New(dray.Config{StateDir: state, Registries: map[string]dray.Registry{
		"src": {Host: y.Src.Host, Settings: dray.Settings{PlainHTTP: true, Kind: kind}},
		"dst": {Host: y.Dst.Host, Settings: dray.Settings{PlainHTTP: true}},
	}})
	if err != nil {
		y.T.Fatal(err)
	}
	y.T.Cleanup(d.Close)
	y.Dray = d
	y.Forget()
}

// Tagged fills a repository of the source with a different image for each tag.
func (y *Yard) Tagged(repo string, tags ...string) {
	y.T.Helper()
	for i, tag := range tags {
		testbed.Random(y.T, y.Src, repo, tag, testbed.RandomOptions{Seed: uint64(i + 1)})
	}
}

// States lists "target state" of each step, in the report's order.
func States(rep dray.Report) string {
	var lines []string
	for _, s := range rep.Steps {
		lines = append(lines, fmt.Sprintf("%s:%s %s", s.To.Path, s.To.Tag, s.State))
	}
	return strings.Join(lines, ", ")
}

// Written returns the plan file of a transfer.
func (y *Yard) Written(req dray.TransferRequest) []byte {
	y.T.Helper()
	var b bytes.Buffer
	w, err := plan.NewWriter(&b, plan.Plan{Verb: "transfer", Overwrite: plan.Update, Hold: plan.Each, Backup: req.Backup,
		Referrers: req.Referrers, Platforms: req.Platforms})
	if err != nil {
		y.T.Fatal(err)
	}
	_, err = y.PlanTransfer(y.T.Context(), req, nil, func(p dray.RepositoryPlan) error {
		for _, s := range p.Steps {
			if err := w.Step(s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		y.T.Fatal(err)
	}
	if err := w.Close(); err != nil {
		y.T.Fatal(err)
	}
	return b.Bytes()
}

// FromFile applies a plan file and lists "REPO:TAG STATE", sorted.
func (y *Yard) FromFile(file []byte, follow bool) (string, dray.TransferReport, error) {
	y.T.Helper()
	r, err := plan.NewReader(bytes.NewReader(file))
	if err != nil {
		y.T.Fatal(err)
	}
	var lines []string
	req := dray.PlanFileRequest{Plan: r, Follow: follow}
	sum, err := y.ApplyFile(y.T.Context(), req, nil, func(r dray.RepositoryReport) error {
		for _, s := range r.Steps {
			line := fmt.Sprintf("%s:%s %s", s.To.Path, s.To.Tag, s.State)
			if s.Err != nil {
				line += " " + string(fault.KindOf(s.Err))
			}
			lines = append(lines, line)
		}
		return nil
	})
	slices.Sort(lines)
	return strings.Join(lines, ", "), sum, err
}

// Outcomes lists the steps of a transfer as "NAME/PATH:TAG STATE", sorted. names has the NAME of
// each host.
func (y *Yard) Outcomes(req dray.TransferRequest, names map[string]string) (string, dray.TransferReport, error) {
	y.T.Helper()
	var lines []string
	sum, err := y.Transfer(y.T.Context(), req, nil, func(r dray.RepositoryReport) error {
		for _, s := range r.Steps {
			lines = append(lines, fmt.Sprintf("%s/%s:%s %s", names[s.To.Host], s.To.Path, s.To.Tag, s.State))
		}
		return nil
	})
	slices.Sort(lines)
	return strings.Join(lines, ", "), sum, err
}

// Transferred runs a transfer and lists "REPO:TAG STATE" of all steps that are not Unchanged,
// sorted.
func (y *Yard) Transferred(req dray.TransferRequest) (string, dray.TransferReport, error) {
	y.T.Helper()
	var lines []string
	sum, err := y.Transfer(y.T.Context(), req, nil, func(r dray.RepositoryReport) error {
		for _, s := range r.Steps {
			if s.State != dray.Unchanged {
				lines = append(lines, fmt.Sprintf("%s:%s %s", s.To.Path, s.To.Tag, s.State))
			}
		}
		return nil
	})
	slices.Sort(lines)
	return strings.Join(lines, ", "), sum, err
}

// Planned lists the actions of a transfer: "ACTION REPO:TAG".
func (y *Yard) Planned(req dray.TransferRequest) (string, error) {
	y.T.Helper()
	var lines []string
	_, err := y.PlanTransfer(y.T.Context(), req, nil, func(p dray.RepositoryPlan) error {
		for _, s := range p.Steps {
			lines = append(lines, fmt.Sprintf("%s %s:%s", s.Action, s.To.Path, s.To.Tag))
		}
		return nil
	})
	return strings.Join(lines, ", "), err
}

// Whole returns a request for all of the source.
func Whole() dray.TransferRequest {
	return dray.TransferRequest{Sources: []string{"src"}, Target: "dst"}
}

// Raw reads a manifest without an entry in the log.
func (y *Yard) Raw(r *testbed.Registry, repo, tag, mediaType string) []byte {
	y.T.Helper()
	var raw bytes.Buffer
	r.Direct(y.T, http.MethodGet, "/v2/"+repo+"/manifests/"+tag, http.Header{"Accept": {mediaType}}, nil, &raw)
	return raw.Bytes()
}

// Complete fails the test if content of a tag is missing at the target.
func (y *Yard) Complete() {
	y.T.Helper()
	err := y.List(y.T.Context(), dray.LookRequest{Name: "dst"}, nil, func(repo dray.Entry) error {
		err := y.List(y.T.Context(), dray.LookRequest{Name: repo.Name}, nil, func(tag dray.Entry) error {
			testbed.Same(y.T, y.Dst, y.Dst, tag.Repository.Path, tag.Tag, tag.Repository.Path, tag.Tag)
			return nil
		})
		if fault.Is(err, fault.NotFound) {
			return nil // an interrupted run sent blobs there and no manifest, so there is no tag
		}
		return err
	})
	if err != nil {
		y.T.Fatal(err)
	}
}

// Verified lists the names that are not the same: "REPO:TAG MATCH what=why…".
func (y *Yard) Verified(req dray.VerifyRequest) (string, dray.Receipt, error) {
	y.T.Helper()
	var lines []string
	rec, err := y.Verify(y.T.Context(), req, nil, func(e dray.VerifyEntry) error {
		if e.Match == dray.Same && !e.Healed {
			return nil
		}
		line := fmt.Sprintf("%s:%s %s", filepath.Base(cmp.Or(e.To.Path, e.To.Dir)), e.To.Tag, e.Match)
		if e.Healed {
			line += " healed"
		}
		for _, l := range e.Lacks {
			line += fmt.Sprintf(" %s=%s", l.What, l.Why)
		}
		lines = append(lines, line)
		return nil
	})
	return strings.Join(lines, ", "), rec, err
}

// Verifies fails the test unless a verification finds exactly want.
func (y *Yard) Verifies(want string, req dray.VerifyRequest) dray.Receipt {
	y.T.Helper()
	got, rec, err := y.Verified(req)
	if err != nil || got != want {
		y.T.Errorf("got  %s\nwant %s\n%v", got, want, err)
	}
	return rec
}

// Transfers runs a transfer that must succeed.
func (y *Yard) Transfers(req dray.TransferRequest) {
	y.T.Helper()
	if got, _, err := y.Transferred(req); err != nil {
		y.T.Fatalf("%s %v", got, err)
	}
}
