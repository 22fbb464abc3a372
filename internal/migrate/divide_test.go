package migrate_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

// sides are two sources and two targets, with the same content for the same seed.
type sides struct {
	*testing.T
	*dray.Dray
	hosts  *strings.Replacer
	config dray.Config
	srcs   []*testbed.Registry
}

// newSides fills six repositories at the sources, one of them with a tag without a manifest and one without tags, and
// some of their tags at the targets.
func newSides(t *testing.T, seed uint64) *sides {
	t.Helper()
	gone := hostile.Error(404, "MANIFEST_UNKNOWN", "manifest unknown").When(func(req *http.Request) bool {
		return req.Method != http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/gone")
	})
	empty := hostile.Status(http.StatusOK, nil, `{"tags":null}`).On(http.MethodGet, testbed.Tags).When(func(req *http.Request) bool {
		return strings.Contains(req.URL.Path, "/team/empty/")
	})
	s := &sides{T: t, config: dray.Config{Registries: map[string]dray.Registry{}}}
	var all []*testbed.Registry
	for range 4 {
		all = append(all, hostile.New(t, testbed.NewDistribution(t, testbed.Options{Content: testbed.Open}), gone, empty))
	}
	slices.SortFunc(all, func(a, b *testbed.Registry) int { return strings.Compare(a.Host, b.Host) }) // as messages do
	var names []string
	regs := map[string]*testbed.Registry{}
	for i, name := range []string{"more", "src", "dst", "second"} {
		r := all[i]
		regs[name], names = r, append(names, r.Host, name+".example")
		s.config.Registries[name] = dray.Registry{Host: r.Host, Settings: dray.Settings{PlainHTTP: true}}
	}
	s.hosts, s.srcs = strings.NewReplacer(names...), []*testbed.Registry{regs["src"], regs["more"]}
	rng := rand.New(rand.NewPCG(11, seed))
	put := func(host, repo, tag string, seed int) {
		testbed.Random(t, regs[host], repo, tag, testbed.RandomOptions{Seed: uint64(seed), Size: 100})
	}
	for _, repo := range []string{"app", "team/api", "team/web", "tool/a", "tool/b", "tool/c"} {
		for i := range 3 {
			tag := "v" + strconv.Itoa(i)
			put("src", repo, tag, 1+rng.IntN(8))
			if rng.IntN(3) == 0 {
				put("more", repo, tag, 1+rng.IntN(2))
			}
			if rng.IntN(3) == 0 {
				put("dst", "m/"+repo, tag, 1+rng.IntN(8))
			}
		}
	}
	put("src", "tool/c", "gone", 1)
	put("src", "team/empty", "x", 1)
	s.Dray = s.another()
	return s
}

// another returns a Dray like that of another process.
func (s *sides) another() *dray.Dray {
	s.Helper()
	d, err := dray.New(s.config)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(d.Close)
	return d
}

// request returns the request number n, of which each has other settings.
func (s *sides) request(n int) dray.TransferRequest {
	req := dray.TransferRequest{Sources: []string{"src", "more"}, Target: "dst/m/"}
	patterns := func(p ...string) plan.Patterns {
		all, err := plan.ParsePatterns(p...)
		if err != nil {
			s.Fatal(err)
		}
		return all
	}
	rename := func(r string) plan.Renames {
		all, err := plan.ParseRenames([]string{r})
		if err != nil {
			s.Fatal(err)
		}
		return all
	}
	in := func(lines ...string) plan.InUse {
		text := strings.NewReplacer("src/", s.config.Registries["src"].Host+"/").Replace(strings.Join(lines, "\n"))
		used, err := plan.ParseInUse([]byte(text))
		if err != nil {
			s.Fatal(err)
		}
		return used
	}
	switch n {
	case 1:
		req.Prefer, req.Also, req.SkipBroken = []string{"more"}, []string{"second"}, true
	case 2:
		req.Sources, req.Strict, req.Backup = []string{"src"}, true, plan.Backup{Template: "{tag}-{digest12}"}
	case 3: // rules that match nothing in some parts, or in all
		req.Prefer, req.Selection.IncludeTags = []string{"src"}, patterns("v1", "gone", "latst")
		req.Map = plan.TagMap{Pairs: []plan.Pair{{From: "v1", To: "one"}, {From: "vv", To: "x"}}, Rename: rename("s/^g/b/")}
		req.Selection.IncludeRepositories = patterns("team/*", "tool/*", "taem/*")
	case 4:
		req.Prefer, req.Selection.IncludeTags, req.Selection.RequireMatch = []string{"src"}, patterns("v1", "latst"), true
	case 5:
		req.Sources, req.Overwrite = []string{"src"}, plan.Refuse
		req.InUse = in("src/app:v1", "src/team/api:none", "src/none:v1", "elsewhere.example/x:1")
	case 6: // two names collide
		req.Sources, req.Map.Rename = []string{"src/app"}, rename("s/^v.*$/all/")
	case 7:
		req.Sources, req.Target = []string{"src/app", "src/team/api"}, "dst/joined"
		req.Also, req.Prefer = []string{"second/x/"}, []string{"src/app"}
	case 8:
		req.Sources, req.Heal, req.SkipBroken = []string{"src"}, true, true
		req.Selection.Repository, req.Selection.MinTags = "tool/c", 2
	case 9:
		req.Sources, req.Selection.MaxRepositories = []string{"src"}, 2
	case 10:
		req.Sources, req.Selection.IncludeRepositories, req.Selection.MinTags = []string{"src"}, patterns("nothing"), 1
	}
	return req
}

const requests = 11

// outcome is what a transfer or a verification did, as text without hosts and times.
type outcome struct{ items, sum, err string }

func (s *sides) outcome(items []any, sum any, err error) outcome {
	s.Helper()
	text := func(v any) string {
		raw, e := json.MarshalIndent(v, "", " ")
		if e != nil {
			s.Fatal(e)
		}
		return s.hosts.Replace(string(raw))
	}
	var lines []string
	for _, it := range items {
		lines = append(lines, text(it))
	}
	slices.Sort(lines)
	out := outcome{items: strings.Join(lines, "\n"), sum: text(sum)}
	if err != nil {
		out.err = s.hosts.Replace(fmt.Sprintf("%s %v %s", fault.KindOf(err), err, fault.HintOf(err)))
	}
	return out
}

// transferred clears what depends on the order of steps, or differs from run to run.
func (s *sides) transferred(steps []dray.StepReport, sum dray.TransferReport, err error) outcome {
	var items []any
	for _, step := range steps {
		step.Took, step.Blobs = 0, dray.StepReport{}.Blobs // which repository sends a blob that several need is not fixed
		items = append(items, step)
	}
	sum.Took, sum.Traffic, sum.Pending = 0, nil, nil
	sum.Blobs.Sent, sum.Blobs.Bytes, sum.Blobs.Mounted = sum.Blobs.Sent+sum.Blobs.Mounted, 0, 0 // the same
	slices.Sort(sum.Notes)
	slices.SortFunc(sum.Retags, func(a, b dray.Retag) int { return a.To.Compare(b.To) })
	return s.outcome(items, sum, firstOf(err))
}

// firstOf returns err, but not which of several steps failed first.
func firstOf(err error) error {
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return &fault.Fault{Kind: fault.KindOf(err), Err: fmt.Errorf("a step failed")}
	}
	return err
}

// each runs do for the parts on two workers, and returns the reports as they arrive at a sum.
func each[R any](s *sides, parts []dray.Part, first R, do func(d *dray.Dray, p *dray.Part) R) iter.Seq2[R, error] {
	s.Helper()
	through := func(in, out any) { // as between processes
		raw, err := json.Marshal(in)
		if err == nil {
			err = json.Unmarshal(raw, out)
		}
		if err != nil {
			s.Error(err)
		}
	}
	reports := make([]R, len(parts)+1)
	through(first, &reports[0])
	var wg sync.WaitGroup
	workers := []*dray.Dray{s.Dray, s.Dray}
	for k, d := range workers {
		wg.Go(func() {
			for i := k; i < len(parts); i += len(workers) {
				var p dray.Part
				through(parts[i], &p)
				through(do(d, &p), &reports[i+1])
			}
		})
	}
	wg.Wait()
	return func(yield func(R, error) bool) {
		for _, r := range reports {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// requests returns and forgets how often the sources were asked for each list and tag. How often content is read that
// several sources have, and how many of them are asked for its referrers, depends on which image comes first, also in two
// runs of the whole.
func (s *sides) requests() map[string]int {
	all := map[string]int{}
	for _, r := range s.srcs {
		for _, q := range r.Log() {
			if !strings.Contains(q.Path, "/sha256:") {
				all[s.hosts.Replace(q.Method+" "+r.Host+q.Path)]++
			}
		}
		r.Reset()
	}
	return all
}

// differing returns the lines of two outcomes that only one of them has.
func differing(parts, whole outcome) string {
	a, b := strings.Split(fmt.Sprint(parts), "\n"), strings.Split(fmt.Sprint(whole), "\n")
	text := ""
	for _, l := range a {
		if !slices.Contains(b, l) {
			text += "\nparts: " + l
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			text += "\nwhole: " + l
		}
	}
	return text
}

func asksNoMore(t *testing.T, parts, whole map[string]int) {
	t.Helper()
	for at, n := range parts {
		if n > whole[at] {
			t.Errorf("the parts ask %d times for %s, and the whole %d times", n, at, whole[at])
		}
	}
}

// For each kind of request, the parts of a transfer have together the steps, the report and the error of one transfer,
// and ask the sources as often.
func TestThePartsOfATransferAddUpToTheWhole(t *testing.T) {
	for n := range requests {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			one := newSides(t, uint64(n))
			one.requests()
			var steps []dray.StepReport
			sum, err := one.Transfer(t.Context(), one.request(n), nil, func(r dray.RepositoryReport) error {
				steps = append(steps, r.Steps...)
				return nil
			})
			whole, asked := one.transferred(steps, sum, err), one.requests()

			some := newSides(t, uint64(n))
			some.requests()
			steps = nil
			req := some.request(n)
			parts, found, err := some.SplitTransfer(t.Context(), req, nil)
			var mu sync.Mutex
			if err == nil {
				sum, err = some.SumTransfer(req, each(some, parts, found, func(d *dray.Dray, p *dray.Part) dray.TransferReport {
					req := req
					req.Part = p
					rep, _ := d.Transfer(t.Context(), req, nil, func(r dray.RepositoryReport) error {
						mu.Lock()
						defer mu.Unlock()
						steps = append(steps, r.Steps...)
						return nil
					})
					return rep
				}))
			} else {
				sum = found
			}
			if got := some.transferred(steps, sum, err); got != whole {
				t.Errorf("%d parts: %s", len(parts), differing(got, whole))
			}
			if req.Selection.MaxRepositories == 0 { // it ends while others are being planned
				asksNoMore(t, some.requests(), asked)
			}
			t.Logf("%d parts, %d steps, %s", len(parts), len(steps), cmp.Or(whole.err, "no error"))
		})
	}
}

func TestThePartsOfAVerificationAddUpToTheWhole(t *testing.T) {
	for n := range requests + 1 {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			at := time.Date(2026, 11, 28, 1, 2, 3, 0, time.UTC)
			ask := func(s *sides) dray.VerifyRequest {
				req := dray.VerifyRequest{Of: s.request(n), When: at}
				if n%2 == 1 {
					req.Depth = dray.Deep
				}
				if n == requests {
					req.Of.Sources, req.Of.Target = []string{"src/app:v1"}, "dst/m/app"
				}
				return req
			}
			tell := func(s *sides, entries []dray.VerifyEntry, rec dray.Receipt, err error) outcome {
				rec.Took, rec.Traffic, rec.Pending, rec.Sources = 0, nil, nil, nil
				// The digest is that of names with their hosts, so that it differs between two yards.
				rec.Digest = ""
				slices.Sort(rec.Notes)
				slices.SortFunc(rec.Troubles, func(a, b dray.VerifyEntry) int { return a.To.Compare(b.To) })
				var items []any
				for _, e := range entries {
					items = append(items, e)
				}
				return s.outcome(items, rec, firstOf(err))
			}
			s := newSides(t, uint64(n))
			req := ask(s)
			var entries []dray.VerifyEntry
			var mu sync.Mutex
			note := func(e dray.VerifyEntry) error {
				mu.Lock()
				defer mu.Unlock()
				entries = append(entries, e)
				return nil
			}
			s.requests()
			rec, err := s.Verify(t.Context(), req, nil, note)
			digest, whole, asked := rec.Digest, tell(s, entries, rec, err), s.requests()

			entries = nil
			parts, found, err := s.SplitVerify(t.Context(), req, nil)
			if err == nil {
				rec, err = s.SumVerify(req, each(s, parts, found, func(d *dray.Dray, p *dray.Part) dray.Receipt {
					req := req
					req.Of.Part = p
					rec, _ := d.Verify(t.Context(), req, nil, note)
					return rec
				}))
			} else {
				rec = found
			}
			if got := tell(s, entries, rec, err); got != whole || len(parts) > 0 && rec.Digest != digest {
				t.Errorf("%d parts, digest %s, the whole has %s: %s", len(parts), rec.Digest, digest, differing(got, whole))
			}
			asksNoMore(t, s.requests(), asked)
		})
	}
}

// A note about the request is told once, by the split.
func TestPartsRepeatNoNoteAboutTheRequest(t *testing.T) {
	s := newSides(t, 1)
	req := s.request(0)
	req.Prefer = []string{"src", "dst"}
	told := map[string]int{}
	var mu sync.Mutex
	watch := func(e event.Event) {
		if e.Kind == event.Noted {
			mu.Lock()
			defer mu.Unlock()
			told[e.Text]++
		}
	}
	parts, found, err := s.SplitTransfer(t.Context(), req, watch)
	if err != nil || len(parts) < 3 || !slices.Contains(found.Notes, "dst is preferred but is not one of the sources") {
		t.Fatal(len(parts), found.Notes, err)
	}
	for _, p := range parts {
		req.Part = &p
		rep, _ := s.Transfer(t.Context(), req, watch, func(dray.RepositoryReport) error { return nil })
		if len(rep.Notes) > 0 {
			t.Errorf("notes of a part: %q", rep.Notes)
		}
	}
	for text, n := range told {
		if n > 1 {
			t.Errorf("told %d times: %s", n, text)
		}
	}
}

// A sum without all reports is an error, and has the sums of those that are there.
func TestASumSaysThatPartsAreMissing(t *testing.T) {
	s := newSides(t, 1)
	req := s.request(0)
	req.Sources = []string{"src"}
	parts, found, err := s.SplitTransfer(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	reports := each(s, parts[:2], found, func(d *dray.Dray, p *dray.Part) dray.TransferReport {
		req := req
		req.Part = p
		rep, _ := d.Transfer(t.Context(), req, nil, func(dray.RepositoryReport) error { return nil })
		return rep
	})
	sum, err := s.SumTransfer(req, reports)
	if want := fmt.Sprintf("2 of %d parts were carried out", len(parts)); !fault.Is(err, fault.Canceled) || !strings.Contains(err.Error(), want) || sum.Repositories != 2 {
		t.Errorf("%v, %+v", err, sum)
	}
	_, err = s.SumTransfer(req, func(yield func(dray.TransferReport, error) bool) { yield(dray.TransferReport{}, nil) })
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("a report that is not of a part: %v", err)
	}
}

// A blob that repositories of several parts need is sent once and then mounted.
func TestPartsInOneProcessShareWhatTheySent(t *testing.T) {
	y := yard.New(t)
	for i := range 6 {
		testbed.Random(t, y.Src, fmt.Sprintf("r%d", i), "v1", testbed.RandomOptions{Seed: 5, Size: 1000})
	}
	parts, _, err := y.SplitTransfer(t.Context(), yard.Whole(), nil)
	if err != nil || len(parts) != 6 {
		t.Fatal(len(parts), err)
	}
	var all dray.TransferReport
	for _, p := range parts {
		req := yard.Whole()
		req.Part = &p
		rep, err := y.Transfer(t.Context(), req, nil, func(dray.RepositoryReport) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		all.Add(rep)
	}
	if all.Blobs.Sent != 2 || all.Blobs.Mounted != 10 {
		t.Errorf("%+v", all.Blobs)
	}
}
