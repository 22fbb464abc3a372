package admit_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

// door is a gate that refuses some tags, and writes down what it is asked.
type door struct {
	refuses []string
	mu      sync.Mutex
	asked   []string
}

func (d *door) Admit(ctx context.Context, i *gate.Image) error {
	d.mu.Lock()
	d.asked = append(d.asked, i.Name.Path+":"+i.Name.Tag)
	d.mu.Unlock()
	if _, err := i.Documents(ctx); err != nil {
		return err
	}
	if slices.Contains(d.refuses, i.Name.Tag) {
		return gate.Refuse(i, "the door", errors.New("it is closed"), "")
	}
	return nil
}

func TestARefusedImageStaysWhereItIsAndTheOthersMove(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2", "v3")
	testbed.Random(t, y.Dst, "app", "v3", testbed.RandomOptions{Seed: 3}) // up to date
	d := &door{refuses: []string{"v2", "v3"}}
	req := yard.Whole()
	req.Gate = d
	if got, err := y.Planned(req); got != "copy app:v1, refused app:v2, skip app:v3" || err != nil {
		t.Errorf("%s %v", got, err)
	}
	y.Forget()
	got, sum, err := y.Transferred(req)
	if got != "app:v1 done, app:v2 failed" || !fault.Is(err, fault.Refused) || sum.Actions[plan.Refused] != 1 {
		t.Errorf("%s %v %+v", got, err, sum.Actions)
	}
	want := "source: the door refuses " + y.Src.Host + "/app:v2@" + testbed.CraneDigest(t, y.Src, "app", "v2") + ": refused: it is closed"
	if err.Error() != want {
		t.Errorf("%q\nwant %q", err, want)
	}
	for _, q := range y.Dst.Log() {
		if q.Kind == testbed.Manifest && q.Method == http.MethodPut && q.Ref != "v1" {
			t.Errorf("%s %s", q.Method, q.Ref)
		}
	}
	testbed.Same(t, y.Src, y.Dst, "app", "v1", "app", "v1")
}

func TestWithHoldAllNothingMovesIfOneImageIsRefused(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	req := dray.ImportRequest{Source: "src/app", Tags: []string{"v1", "v2"}, Target: "dst", Hold: plan.All, Gate: &door{refuses: []string{"v2"}}}
	rep, err := y.Import(req)
	if yard.States(rep) != "app:v1 not_started, app:v2 failed" || !fault.Is(err, fault.Refused) || y.Dst.Count(http.MethodPut, "")+y.Dst.Count(http.MethodPost, "") != 0 {
		t.Errorf("%s %v\n%s", yard.States(rep), err, y.Dst.Story())
	}
}

func TestAGateIsAskedOnceAboutAnImageAndWhatItReadIsNotReadAgain(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	d := &door{}
	y.Forget()
	req := dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1", "dst/app:v2", "dst/web:v1"}, Gate: d}
	y.Must(y.Copy(req))
	read := 0
	for _, q := range y.Src.Log() {
		if q.Kind == testbed.Manifest && q.Method == http.MethodGet && !strings.HasPrefix(q.Ref, "sha256-") { // a tag for referrers
			read++
		}
	}
	if got := strings.Join(d.asked, " "); got != "app:v1" || read != 1 {
		t.Errorf("asked about %s\n%s", got, y.Src.Story())
	}
	y.Must(y.Copy(req))
	if got := strings.Join(d.asked, " "); got != "app:v1" {
		t.Errorf("asked about %s, but all is up to date", got)
	}
}

func TestTheGateOfTheConfigurationCountsForEveryRequestAndPlanFile(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	file := y.Written(yard.Whole()) // made without a gate
	settings := dray.Settings{PlainHTTP: true}
	d, err := dray.New(dray.Config{Gate: &door{refuses: []string{"v1"}}, Registries: map[string]dray.Registry{
		"src": {Host: y.Src.Host, Settings: settings}, "dst": {Host: y.Dst.Host, Settings: settings},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	open := y.Dray
	y.Dray = d
	request := &door{refuses: []string{"v2"}}
	for name, try := range map[string]func() (dray.Report, error){
		"copy": func() (dray.Report, error) {
			return y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app"}, Gate: request})
		},
		"import": func() (dray.Report, error) { return y.Import(dray.ImportRequest{Source: "src/app:v1", Target: "dst"}) },
		"of the request": func() (dray.Report, error) {
			return y.Import(dray.ImportRequest{Source: "src/app:v2", Target: "dst", Images: []string{"other:v2"}, Gate: request})
		},
		"batch": func() (dray.Report, error) {
			return y.Applied(y.PlanBatch(t.Context(), dray.BatchRequest{Target: "dst", Entries: []dray.BatchEntry{{Source: "src/app:v1"}}}, nil))
		},
		"a plan that was read": func() (dray.Report, error) { return y.Applied(dray.ReadPlan(bytes.NewReader(file))) },
	} {
		if _, err := try(); !fault.Is(err, fault.Refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, _, err := y.FromFile(bytes.Replace(file, []byte(`"verb":"transfer"`), []byte(`"verb":"tag"`), 1), false); got != "app:v1 failed refused, app:v2 done" || !fault.Is(err, fault.Refused) {
		t.Errorf("a plan file that calls itself a plan of tag: %s %v", got, err)
	}
	y.Dray = open
	r, err := plan.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	_, err = y.ApplyFile(t.Context(), dray.PlanFileRequest{Plan: r, Gate: &door{refuses: []string{"v1"}}}, nil, func(dray.RepositoryReport) error { return nil })
	if !fault.Is(err, fault.Refused) {
		t.Errorf("a plan file with a gate of its own: %v", err)
	}
	if got, err := y.Planned(yard.Whole()); got != "copy app:v1, skip app:v2" || err != nil {
		t.Errorf("%s %v", got, err)
	}
}

func TestARefusedStepOfAPlanFileIsNotDoneLater(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	req := yard.Whole()
	req.Gate = &door{refuses: []string{"v1"}}
	file := y.Written(req)
	for _, follow := range []bool{false, true} {
		if got, _, err := y.FromFile(file, follow); got != "app:v1 failed refused" || !fault.Is(err, fault.Refused) {
			t.Errorf("%s %v", got, err)
		}
	}
}

func TestANewTagInItsOwnRepositoryIsNoMoveButACopyIs(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	settings := dray.Settings{PlainHTTP: true}
	d, err := dray.New(dray.Config{Gate: &door{refuses: []string{"v1"}}, Registries: map[string]dray.Registry{"src": {Host: y.Src.Host, Settings: settings}}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	y.Dray = d
	if _, err := y.Applied(y.PlanTag(t.Context(), dray.TagRequest{Image: "src/app:v1", Tags: []string{"v2"}}, nil)); err != nil {
		t.Error(err)
	}
	if _, err := y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"src/app:v3"}}); !fault.Is(err, fault.Refused) {
		t.Error(err)
	}
}

func TestAnImageThatCannotBeCheckedDoesNotMove(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	_, err := y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app"}, Gate: blind{}})
	if !fault.Is(err, fault.Unavailable) || y.Dst.Count(http.MethodPut, "") != 0 {
		t.Error(err)
	}
}

// blind cannot check anything.
type blind struct{}

func (blind) Admit(context.Context, *gate.Image) error {
	return &fault.Fault{Kind: fault.Unavailable, Op: "look"}
}

func TestADigestTagGoesWithTheImageThatItBelongsTo(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	index := testbed.Index(t, y.Src, "app", "multi", 2)
	tagOf := func(digest, suffix string) string { return strings.Replace(digest, ":", "-", 1) + suffix }
	attach := func(digest, suffix string, seed uint64) string {
		testbed.Random(t, y.Src, "app", tagOf(digest, suffix), testbed.RandomOptions{Seed: seed})
		return "app:" + tagOf(digest, suffix)
	}
	one := attach(testbed.CraneDigest(t, y.Src, "app", "v1"), ".sig", 11)
	two := attach(testbed.CraneDigest(t, y.Src, "app", "v2"), ".att", 12)
	child := attach(index.Children[1].Digest.String(), ".sbom", 13)
	gone := attach("sha256:"+strings.Repeat("0", 64), ".sig", 14)
	list := attach(testbed.CraneDigest(t, y.Src, "app", "v1"), "", 15)
	req := yard.Whole()
	d := &door{refuses: []string{"v2", ""}} // children are refused if they are asked about alone
	req.Gate = d
	got, sum, err := y.Transferred(req)
	for _, want := range []string{"app:v1 done", "app:v2 failed", "app:multi done", one + " done", two + " failed", child + " done", gone + " failed", list + " done"} {
		if !strings.Contains(got+",", want+",") {
			t.Errorf("%s is missing: %s", want, got)
		}
	}
	if sum.Actions[plan.Refused] != 3 || err == nil {
		t.Errorf("%+v %v", sum.Actions, err)
	}
	if n := strings.Count(" "+strings.Join(d.asked, " "), " app:v1"); n != 1 {
		t.Errorf("asked about v1 %d times: %v", n, d.asked)
	}
	late := attach(index.Children[0].Digest.String(), ".sig", 16)           // of an index that is at the target
	later := attach(testbed.CraneDigest(t, y.Src, "app", "v1"), ".att", 17) // of an image that is at the target
	if got, _, _ := y.Transferred(req); !strings.Contains(got+",", late+" done,") || !strings.Contains(got+",", later+" done,") {
		t.Errorf("%s", got)
	}
}
