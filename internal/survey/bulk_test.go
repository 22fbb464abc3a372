package survey_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

func TestAllTagsOfACRAreCopiedWithoutAHeadAtTheSource(t *testing.T) {
	y, _ := yard.Azure(t, 300)
	req := dray.CopyRequest{Source: "src/team/app", Targets: []string{"dst/app"}, Tags: dray.AllTags}
	p, err := y.PlanCopy(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Steps) != 300 || y.Src.Requests() != 1 || y.Dst.Count("HEAD", "") != 0 {
		t.Errorf("%d steps\n%s%s", len(p.Steps), y.Src.Story(), y.Dst.Story())
	}
	var file strings.Builder
	if err := p.Write(&file); err != nil { // sizes and media types are not known, and not required
		t.Fatal(err)
	}
	if strings.Contains(p.String(), `%!`) || !strings.Contains(p.String(), "sha256:") {
		t.Error(p.Steps[0].Describe())
	}
	rep := y.Must(y.Applied(p, nil))
	if rep.Count(dray.Done) != 300 || y.Src.Count("HEAD", testbed.Manifest) != 0 || y.Src.Count("", testbed.Own) > 2 || y.Src.Count("GET", testbed.Manifest) != 100 {
		t.Errorf("%s\n%s", yard.States(rep), yard.Spent(y.Src))
	}
	testbed.Same(t, y.Src, y.Dst, "team/app", "v299", "app", "v299")
	y.Forget()
	rep = y.Must(y.Copy(req))
	if rep.Count(dray.Unchanged) != 300 || y.Src.Requests() != 1 {
		t.Errorf("again: %s", yard.Spent(y.Src))
	}
	later, err := dray.ReadPlan(strings.NewReader(file.String()))
	rep = y.Must(y.Applied(later, err))
	if rep.Count(dray.Done)+rep.Count(dray.Unchanged) != 300 {
		t.Error(yard.States(rep))
	}
}

func TestMoreThanAHandfulOfTagsOfACRIsOneListing(t *testing.T) {
	y, _ := yard.Azure(t, 12)
	tags := func(n int) []string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf("v%03d", i)
		}
		return all
	}
	for n, want := range map[int]string{4: "HEAD manifest ×4", 5: "GET own ×1", 12: "GET own ×1", 13: "GET manifest ×1, GET own ×1, GET tags ×1, HEAD manifest ×1"} {
		y.Forget()
		p, err := y.PlanImport(t.Context(), dray.ImportRequest{Source: "src/team/app", Tags: tags(n), Target: "dst"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := yard.Spent(y.Src); got != want || len(p.Steps) != n {
			t.Errorf("%d tags: %s, want %s", n, got, want)
		}
	}
	// In the other direction, a tag that the target lists is not asked for, and a tag that it does
	// not list is free.
	y.Forget()
	testbed.Random(t, y.Dst, "app", "v1", testbed.RandomOptions{})
	var entries []dray.BatchEntry
	for i := range 20 {
		entries = append(entries, dray.BatchEntry{Source: "dst/app:v1", Targets: []string{fmt.Sprintf("src/team/app:v%03d", i)}})
	}
	p, err := y.PlanBatch(t.Context(), dray.BatchRequest{Entries: entries}, nil)
	if err != nil || len(p.Conflicts()) != 12 || yard.Spent(y.Src) != "GET own ×1" {
		t.Errorf("%v, %d conflicts, %s", err, len(p.Conflicts()), yard.Spent(y.Src))
	}
}

func TestListsOfACRTellDigestsAndTimes(t *testing.T) {
	y, shelf := yard.Azure(t, 9)
	var tags []dray.Entry
	if err := y.List(t.Context(), dray.LookRequest{Name: "src/team/app"}, nil, func(e dray.Entry) error { tags = append(tags, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(tags) != 9 || tags[4].Digest == "" || tags[4].Updated == nil || !tags[4].Updated.Equal(beside.Shelved) || y.Src.Requests() != 1 {
		t.Errorf("%+v\n%s", tags, y.Src.Story())
	}
	shelf.Rows = append(shelf.Rows, beside.Row{Digest: "sha256:" + strings.Repeat("ab", 32), MediaType: "application/x", Size: 5})
	var all []dray.ManifestEntry
	if err := y.ListManifests(t.Context(), dray.LookRequest{Name: "src/team/app"}, nil, func(e dray.ManifestEntry) error { all = append(all, e); return nil }); err != nil {
		t.Fatal(err)
	}
	last, err := json.Marshal(all[len(all)-1])
	want := `{"digest":"sha256:` + strings.Repeat("ab", 32) + `","imageSize":5,"createdTime":"2026-03-01T12:00:00Z","lastUpdateTime":"2026-03-01T12:00:00Z","mediaType":"application/x"}`
	if err != nil || len(all) != 4 || string(last) != want {
		t.Errorf("%s", last)
	}
	for _, name := range []string{"src/team/app:v000", "oci:x"} {
		if err := y.ListManifests(t.Context(), dray.LookRequest{Name: name}, nil, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARemovalNamesWhatGoesAndTakesNothingThatMoved(t *testing.T) {
	for _, kind := range []string{"acr", "plain"} {
		t.Run(kind, func(t *testing.T) {
			y, _ := yard.Azure(t, 6)
			if kind == "plain" {
				y = yard.New(t)
				y.Shelve(&beside.Shelf{Repo: "team/app"}, 6)
			}
			removal, err := y.PlanRemove(t.Context(), dray.RemoveRequest{Image: "src/team/app:v001"}, nil)
			if err != nil || !slices.Equal(removal.Tags, []string{"v001"}) || removal.Digest == "" {
				t.Fatalf("%+v %v", removal, err)
			}
			if err := y.Remove(t.Context(), removal, nil, nil); err != nil {
				t.Fatal(err)
			}
			if err := y.Remove(t.Context(), removal, nil, nil); !fault.Is(err, fault.NotFound) {
				t.Errorf("again: %v", err)
			}
			removal, err = y.PlanRemove(t.Context(), dray.RemoveRequest{Image: "src/team/app:v004", What: dray.RemoveManifest}, nil)
			if err != nil || !slices.Equal(removal.Tags, []string{"v003", "v004", "v005"}) {
				t.Fatalf("%+v %v", removal, err)
			}
			img := testbed.Random(t, y.Src, "team/app", "v004", testbed.RandomOptions{Seed: 99})
			if err := y.Remove(t.Context(), removal, nil, nil); !fault.Is(err, fault.Moved) || !strings.Contains(err.Error(), string(img.Root.Digest)) {
				t.Errorf("%v", err)
			}
			removal, err = y.PlanRemove(t.Context(), dray.RemoveRequest{Image: "src/team/app@" + string(removal.Digest), What: dray.RemoveManifest}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := y.Remove(t.Context(), removal, nil, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := y.Digest(t.Context(), dray.LookRequest{Name: "src/team/app:v005"}, nil); !fault.Is(err, fault.NotFound) {
				t.Errorf("v005: %v", err)
			}
			if _, err := y.Digest(t.Context(), dray.LookRequest{Name: "src/team/app:v004"}, nil); err != nil {
				t.Errorf("v004: %v", err)
			}
		})
	}
}

func TestARemovalImpliesNoTag(t *testing.T) {
	y := yard.New(t)
	for _, req := range []dray.RemoveRequest{{Image: "src/app"}, {Image: "src/app", What: dray.RemoveManifest}, {Image: "src/app@sha256:" + strings.Repeat("ab", 32)}} {
		if _, err := y.PlanRemove(t.Context(), req, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", req, err)
		}
	}
	y.WantSpent("", "")
}

// dockerHub returns a yard in which docker.io is r, and dst is the only other host.
func dockerHub(t *testing.T, r, dst *testbed.Registry) *yard.Yard {
	t.Helper()
	d, err := dray.New(dray.Config{
		Settings:   dray.Settings{PlainHTTP: true},
		Registries: map[string]dray.Registry{"dst": {Host: dst.Host, Settings: dray.Settings{PlainHTTP: true}}},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			switch host, _, _ := net.SplitHostPort(addr); {
			case host == "registry-1.docker.io":
				return r.Dial(ctx, network, r.Host)
			case addr == dst.Host:
				return dst.Dial(ctx, network, addr)
			}
			return nil, fmt.Errorf("no server at %s", addr)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return &yard.Yard{Dray: d, T: t, Src: r, Dst: dst}
}

func TestAListThatFallsBackIsToldOnce(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	hub := dockerHub(t, y.Src, y.Dst)
	y.Forget()
	var notes []string
	p, err := hub.PlanCopy(t.Context(), dray.CopyRequest{Source: "docker.io/app/", Targets: []string{"dst/app"}, Tags: dray.AllTags}, nil)
	if err == nil {
		t.Fatalf("%v", p)
	}
	testbed.Random(t, y.Src, "library/app", "v1", testbed.RandomOptions{})
	for range 2 {
		_, err = hub.PlanCopy(t.Context(), dray.CopyRequest{Source: "docker.io/library/app", Targets: []string{"dst/app"}, Tags: dray.AllTags}, func(e event.Event) {
			if e.Kind == event.Noted {
				notes = append(notes, e.Text)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "hub.docker.com") {
		t.Errorf("%q", notes)
	}
}

// The parts of a batch have together the steps of the batch, and each source repository is asked by one part.
func TestThePartsOfABatchAddUpToTheWhole(t *testing.T) {
	y := yard.New(t)
	var entries []dray.BatchEntry
	for i := range 12 {
		repo, tag := fmt.Sprintf("r%d", i%4), fmt.Sprintf("v%d", i/4)
		y.Tagged(repo, tag)
		entries = append(entries, dray.BatchEntry{Source: "src/" + repo + ":" + tag, Targets: []string{"TO/" + repo + ":" + tag}})
	}
	entries = append(entries, dray.BatchEntry{Source: "src/r0:none"}, dray.BatchEntry{Source: "not a name"})
	request := func(to string, at ...int) dray.BatchRequest {
		req := dray.BatchRequest{Target: "dst"}
		for _, i := range at {
			e := entries[i]
			if len(e.Targets) > 0 {
				e.Targets = []string{strings.ReplaceAll(e.Targets[0], "TO", to)}
			}
			req.Entries = append(req.Entries, e)
		}
		return req
	}
	text := func(rep dray.Report, to string) string {
		var lines []string
		for _, s := range rep.Steps {
			lines = append(lines, strings.ReplaceAll(fmt.Sprintf("%s %s %s %s %v", s.Asked, s.From, s.To, s.State, s.Err), "/"+to+"/", "/TO/"))
		}
		slices.Sort(lines)
		return strings.Join(append(lines, rep.Notes...), "\n")
	}
	all := make([]int, len(entries))
	for i := range all {
		all[i] = i
	}
	y.Forget()
	p, err := y.PlanBatch(t.Context(), request("one", all...), nil)
	whole, _ := y.Applied(p, err)
	asked := y.Src.Requests()
	y.Forget()
	parts := y.SplitBatch(request("some", all...))
	var sum dray.Report
	for _, part := range parts {
		req := request("some", part.Entries...)
		req.Of = part.Of
		p, err := y.PlanBatch(t.Context(), req, nil)
		rep, _ := y.Applied(p, err)
		sum.Add(rep)
	}
	if got, want := text(sum, "some"), text(whole, "one"); got != want || sum.Verb != "batch" || len(parts) != 5 {
		t.Errorf("%d parts:\n%s\nthe whole:\n%s", len(parts), got, want)
	}
	if got := y.Src.Requests(); got > asked {
		t.Errorf("%d requests at the source, want %d", got, asked)
	}

	twice := request("x", 0, 1, 2)
	twice.Entries[1].Targets = twice.Entries[0].Targets
	held := request("x", all...)
	held.Hold = plan.All
	disk := request("x", 0, 1)
	disk.Entries[1].Targets = []string{"oci:" + t.TempDir()}
	for name, req := range map[string]dray.BatchRequest{"one target of two sources": twice, "all or none": held, "on disk": disk} {
		if parts := y.SplitBatch(req); len(parts) != 1 || len(parts[0].Entries) != len(req.Entries) {
			t.Errorf("%s: %v", name, parts)
		}
	}
}
