package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/plan"
)

func TestAnImportArrivesAndItsReportIsWhatTheRegistriesCounted(t *testing.T) {
	y := newYard(t, settings{})
	y.image("app", "v1", 1)
	y.src.Reset()
	y.dst.Reset()
	j := y.done(importing("src/app:v1", "team/app:v1", "team/app:latest"), wire.Done)
	testbed.Same(t, y.src, y.dst, "app", "v1", "team/app", "v1")
	testbed.Same(t, y.src, y.dst, "app", "v1", "team/app", "latest")
	var rep dray.Report
	y.report(j.ID, &rep)
	if rep.Count(dray.Done) != 2 || rep.Verb != "import" {
		t.Errorf("%+v", rep)
	}
	if got, want := rep.Traffic[y.dst.Host].Requests, y.dst.Requests(); got != want {
		t.Errorf("the report counts %d requests, the target %d\n%s", got, want, y.dst.Story())
	}
	if got, want := rep.Traffic[y.src.Host].Requests, y.src.Requests(); got != want {
		t.Errorf("the report counts %d requests, the source %d\n%s", got, want, y.src.Story())
	}
	if steps := y.steps(j.ID); len(steps) != 2 || steps[0].State != dray.Done {
		t.Errorf("%+v", steps)
	}
	var p wire.Progress
	if err := json.Unmarshal(j.Progress, &p); err != nil || p.Finished != 2 || p.Done != p.Total || p.Done == 0 {
		t.Errorf("%s %v", j.Progress, err)
	}
}

func TestATagThatCannotBeIsRefusedBeforeThereIsAJob(t *testing.T) {
	y := newYard(t, settings{idle: true})
	resp, text := y.ask("ann", http.MethodPost, "/tags", `{"image":"dst/app:v1","tags":["v2","bad tag"]}`)
	if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, "not a tag") {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

func TestAPathThatTakesOtherMethodsNamesThem(t *testing.T) {
	y := newYard(t, settings{idle: true})
	resp, text := y.ask("ann", http.MethodGet, "/imports", "")
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "POST" || !strings.Contains(text, "this path takes POST") {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, text)
	}
}

func TestEachVerbDoesWhatItDoesLocally(t *testing.T) {
	y := newYard(t, settings{})
	for i, tag := range []string{"v1", "v2", "v3"} {
		y.image("app", tag, uint64(i+1))
	}
	y.image("tools/helper", "v1", 9)
	kinds := func(r wire.Request, want wire.State) dray.TransferReport {
		t.Helper()
		var sum dray.TransferReport
		y.report(y.done(r, want).ID, &sum)
		return sum
	}
	y.done(wire.Request{Kind: wire.KindCopy, Copy: &wire.Copy{Source: "src/app", Targets: []string{"dst/copied"}, All: "all", Tagging: wire.Tagging{Rename: []string{"s/^v/r/"}}}}, wire.Done)
	testbed.Same(t, y.src, y.dst, "app", "v2", "copied", "r2")
	y.done(wire.Request{Kind: wire.KindTag, Tag: &wire.Tag{Image: "dst/copied:r1", Tags: []string{"stable"}}}, wire.Done)
	testbed.Same(t, y.src, y.dst, "app", "v1", "copied", "stable")
	j := y.done(wire.Request{Kind: wire.KindBatch, Batch: &wire.Batch{Target: "dst", Entries: []wire.BatchEntry{{Source: "src/app:v1", Targets: []string{"b/one:1"}}, {Source: "src/app:gone"}}}}, wire.Partly)
	if j.Failure == nil || j.Failure.Kind != fault.NotFound || !strings.HasPrefix(j.Failure.Text, "1 of 2 steps failed") {
		t.Errorf("%+v", j.Failure)
	}
	testbed.Same(t, y.src, y.dst, "app", "v1", "b/one", "1")
	whole := wire.Ends{Sources: []string{"src"}, Target: "dst/mirror/"}
	if sum := kinds(wire.Request{Kind: wire.KindTransfer, Transfer: &wire.Transfer{Ends: whole}}, wire.Done); sum.States[dray.Done] != 4 || sum.Repositories != 2 {
		t.Errorf("%+v", sum)
	}
	testbed.Same(t, y.src, y.dst, "tools/helper", "v1", "mirror/tools/helper", "v1")
	var r dray.Receipt
	y.report(y.done(wire.Request{Kind: wire.KindVerify, Verify: &wire.Verify{Ends: whole, Depth: "deep"}}, wire.Done).ID, &r)
	if !r.Right() || r.Names != 4 || r.By != "ann" {
		t.Errorf("%+v", r)
	}
	testbed.Random(t, y.dst, "mirror/app", "v3", testbed.RandomOptions{Seed: 77})
	j = y.done(wire.Request{Kind: wire.KindVerify, Verify: &wire.Verify{Ends: whole}}, wire.Partly)
	if j.Failure.Kind != fault.Conflict {
		t.Errorf("%+v", j.Failure)
	}
	j = y.done(wire.Request{Kind: wire.KindVerify, Verify: &wire.Verify{Ends: wire.Ends{Sources: []string{"src/app:v1"}, Target: "dst/mirror/app"}}}, wire.Done)
}

func TestAPlanIsMadeShownSentBackAndCarriedOut(t *testing.T) {
	y := newYard(t, settings{})
	c := y.client("ann")
	y.image("app", "v1", 1)
	y.image("app", "v2", 2)
	p := y.done(wire.Request{Kind: wire.KindPlan, Plan: &wire.Plan{Transfer: &wire.Transfer{Ends: wire.Ends{Sources: []string{"src"}, Target: "dst"}}}}, wire.Done)
	if n := y.dst.Count(http.MethodPut, ""); n != 0 {
		t.Errorf("a plan sent %d writes", n)
	}
	in, err := c.Plan(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(in)
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	read, err := plan.Read(bytes.NewReader(file))
	if err != nil || len(read.Steps) != 2 || read.Verb != "transfer" {
		t.Fatalf("%v %+v\n%s", err, read, file)
	}
	var again bytes.Buffer
	if err := read.Write(&again); err != nil || again.String() != string(file) {
		t.Errorf("%v\n%s\n%s", err, &again, file)
	}
	// One tag of the source moves after the plan was made. Its step fails, the other step is done.
	moved := y.image("app", "v2", 3)
	j := y.done(wire.Request{Kind: wire.KindApply, Apply: &wire.Apply{Plan: p.ID}}, wire.Partly)
	if j.Failure.Kind != fault.Moved {
		t.Errorf("%+v", j.Failure)
	}
	testbed.Same(t, y.src, y.dst, "app", "v1", "app", "v1")
	// A client uploads the same file.
	sent := y.done(wire.Request{Kind: wire.KindPlan, Plan: &wire.Plan{Uploaded: true, File: file}}, wire.Done)
	y.done(wire.Request{Kind: wire.KindApply, Apply: &wire.Apply{Plan: sent.ID, Follow: true}}, wire.Done)
	if got := testbed.CraneDigest(t, y.dst, "app", "v2"); got != moved.Digest() {
		t.Errorf("%s, want %s", got, moved.Digest())
	}
	if sum := strings.Count(string(file), "\n"); sum != 4 {
		t.Errorf("%d lines", sum)
	}
	upload := func(file string) error {
		_, err := c.Submit(t.Context(), wire.Request{Kind: wire.KindPlan, Plan: &wire.Plan{Uploaded: true, File: []byte(file)}}, client.How{Key: "file"})
		return err
	}
	if err := upload(string(file)); err != nil {
		t.Error(err)
	}
	if err := upload(string(file)); err != nil {
		t.Errorf("a second upload of the same file: %v", err)
	}
	if err := upload(string(file[:len(file)-1])); !fault.Is(err, fault.Conflict) {
		t.Errorf("another file with the same key: %v", err)
	}
	for name, bad := range map[string]string{"no plan": "{}\n", "cut": string(file[:len(file)-9])} {
		j, err := c.Submit(t.Context(), wire.Request{Kind: wire.KindPlan, Plan: &wire.Plan{Uploaded: true, File: []byte(bad)}}, client.How{Wait: 10 * time.Second})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), " line ") || j.ID != "" {
			t.Errorf("%s: %v %+v", name, err, j)
		}
	}
}

func TestARetryDoesOnlyWhatFailed(t *testing.T) {
	y := newYard(t, settings{})
	c := y.client("ann")
	y.image("app", "v1", 1)
	y.image("app", "v2", 2)
	r := wire.Request{Kind: wire.KindBatch, Batch: &wire.Batch{Target: "dst", Entries: []wire.BatchEntry{{Source: "src/app:v1"}, {Source: "src/app:late"}, {Source: "src/app:v2"}}}}
	parent := y.done(r, wire.Partly)
	late := y.image("app", "late", 3)
	y.src.Reset()
	y.dst.Reset()
	j, err := c.Retry(t.Context(), parent.ID, wire.Logins{}, client.How{})
	if err != nil || j.Parent != parent.ID {
		t.Fatal(err)
	}
	y.ended(c, j, wire.Done)
	if steps := y.steps(j.ID); len(steps) != 1 || steps[0].To.Tag != "late" || string(steps[0].Digest()) != late.Digest() {
		t.Errorf("%+v", steps)
	}
	for _, q := range y.src.Log() {
		if q.Ref == "v1" || q.Ref == "v2" {
			t.Errorf("%s was requested again", q.Ref)
		}
	}
	if _, err := c.Retry(t.Context(), j.ID, wire.Logins{}, client.How{}); !fault.Is(err, fault.Conflict) {
		t.Errorf("a retry of a job that is done: %v", err)
	}

	// The retry of a transfer copies only the tag that failed. It does not read the repository whose
	// tags are all done.
	y.image("other", "v1", 4)
	testbed.Random(t, y.dst, "m/app", "v1", testbed.RandomOptions{Seed: 50})
	refuse := wire.Request{Kind: wire.KindTransfer, Transfer: &wire.Transfer{Ends: wire.Ends{Sources: []string{"src"}, Target: "dst/m/"}, Overwrite: "refuse"}}
	parent = y.done(refuse, wire.Partly)
	y.src.Reset()
	if j, err = c.Retry(t.Context(), parent.ID, wire.Logins{}, client.How{}); err != nil {
		t.Fatal(err)
	}
	y.ended(c, j, wire.Failed)
	if steps := y.steps(j.ID); len(steps) != 1 || steps[0].To.Tag != "v1" || steps[0].To.Path != "m/app" {
		t.Errorf("%+v", steps)
	}
	for _, q := range y.src.Log() {
		if strings.Contains(q.Repo, "other") {
			t.Errorf("%s was requested again", q.Repo)
		}
	}
}

func TestWhatCouldNotBeLookedAtOrWasCanceledIsRetriedWhole(t *testing.T) {
	lists := hostile.Error(http.StatusForbidden, "DENIED", "no").On(http.MethodGet, testbed.Tags).In("broken")
	y := newYard(t, settings{src: hostile.New(t, testbed.NewDistribution(t, testbed.Options{Content: testbed.Open}), lists.Times(1))})
	c := y.client("ann")
	y.image("app", "v1", 1)
	y.image("broken", "v1", 2)
	y.image("broken", "v2", 3)
	parent := y.done(wire.Request{Kind: wire.KindTransfer, Transfer: &wire.Transfer{Ends: wire.Ends{Sources: []string{"src"}, Target: "dst/m/", Selection: wire.Selection{ExcludeTags: []string{"v2"}}}}}, wire.Partly)
	if parent.Failure.Kind != fault.Denied {
		t.Errorf("%+v", parent.Failure)
	}
	y.src.Reset()
	j, err := c.Retry(t.Context(), parent.ID, wire.Logins{}, client.How{})
	if err != nil {
		t.Fatal(err)
	}
	y.ended(c, j, wire.Done)
	testbed.Same(t, y.src, y.dst, "broken", "v1", "m/broken", "v1")
	if steps := y.steps(j.ID); len(steps) != 1 || steps[0].To.Path != "m/broken" || steps[0].To.Tag != "v1" {
		t.Errorf("%+v", steps)
	}
	for _, q := range y.src.Log() {
		if q.Repo == "app" {
			t.Errorf("%s %s was requested again", q.Method, q.Path)
		}
	}
	var sum dray.TransferReport
	y.report(j.ID, &sum)
	if sum.States[dray.Done] != 1 || sum.Verb != "transfer" {
		t.Errorf("%+v", sum)
	}
}

func TestAFirewallsRefusalSaysToRunDrayInside(t *testing.T) {
	wall := hostile.Error(http.StatusForbidden, "DENIED", "client with IP '203.0.113.9' is not allowed access. Refer https://aka.ms/acr/firewall to grant access.")
	y := newYard(t, settings{src: hostile.New(t, testbed.NewDistribution(t, testbed.Options{Content: testbed.Open}), wall)})
	j := y.done(importing("src/app:v1"), wire.Failed)
	if j.Failure.Kind != fault.Denied || !strings.Contains(j.Failure.Hint, "run a dray server inside that network") {
		t.Errorf("%+v", j.Failure)
	}
}

func TestAServerConnectsToNoAddressThatItsEgressForbids(t *testing.T) {
	y := newYard(t, settings{})
	for _, source := range []string{"169.254.169.254/latest/meta-data:v1", "10.1.2.3:5000/app:v1"} {
		j := y.done(importing(source, "app:v1"), wire.Failed)
		if j.Failure.Kind != fault.Refused {
			t.Errorf("%s: %+v", source, j.Failure)
		}
	}
}

// What a hint names can be written where the request was written: fields in JSON, flags in a command of dray.
func TestAHintUsesTheWordsOfTheRequest(t *testing.T) {
	y := newYard(t, settings{})
	y.image("app", "v1", 1)
	y.image("app", "v2", 2)
	y.done(importing("src/app:v1", "app:v1"), wire.Done)
	resp, text := y.ask("ann", http.MethodPost, "/imports", `{"source":"src/app:v2","target":"dst","images":["app:v1"]}`, "Prefer", "wait=20")
	if resp.StatusCode != http.StatusOK || !strings.Contains(text, `"hint":"use overwrite: update to replace it"`) {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	if _, text = y.ask("ann", http.MethodPost, "/imports", `{"source":"src/app:v1"}`); !strings.Contains(text, `"hint":"name the registry with target, or a full name with images"`) {
		t.Error(text)
	}
	bare := wire.Request{Kind: wire.KindImport, Import: &wire.Import{Source: "src/app:v1"}}
	schedule := `{"name":"n","cron":"@daily","request":{"kind":"import","import":{"source":"src/app:v1"}}}`
	if _, text = y.ask("ann", http.MethodPost, "/schedules", schedule); !strings.Contains(text, "name the registry with target,") {
		t.Error(text)
	}
	c := y.client("ann")
	if _, err := c.Submit(t.Context(), bare, client.How{}); fault.HintOf(err) != "name the registry with --name, or a full name with --image" {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
	j := y.done(importing("src/app:v2", "app:v1"), wire.Failed)
	if j.Failure.Hint != "use --force to replace it" {
		t.Errorf("%+v", j.Failure)
	}
	resp, text = y.ask("ann", http.MethodPost, "/jobs/"+j.ID+"/retry", "", "Prefer", "wait=20")
	if resp.StatusCode != http.StatusOK || !strings.Contains(text, `"hint":"use overwrite: update to replace it"`) {
		t.Errorf("a retry: %d %s", resp.StatusCode, text)
	}
}
