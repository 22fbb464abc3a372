package migrate_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// perRanges says how many names are planned at a time, by the part of the target that they go to.
var perRanges = map[string]int{"whole": 1000, "ones": 1, "threes": 3}

// ranged is a world of two sources with one repository each, and a target.
type ranged struct {
	t       *testing.T
	regs    []*testbed.Registry
	named   map[string]dray.Registry
	request dray.TransferRequest
}

// newRanged makes the world of a seed.
func newRanged(t *testing.T, seed uint64) *ranged {
	t.Helper()
	rng := rand.New(rand.NewPCG(11, seed))
	w := &ranged{t: t, named: map[string]dray.Registry{}}
	for _, name := range []string{"src", "other", "dst"} {
		o := testbed.Options{}
		if name == "src" {
			o.Front = hiding(map[string]int{"v7": http.StatusNotFound, "v8": http.StatusForbidden})
		}
		reg := testbed.Distribution(t, o)
		w.regs = append(w.regs, reg)
		w.named[name] = dray.Registry{Host: reg.Host, Settings: dray.Settings{PlainHTTP: true}}
	}
	w.fill(rng)
	w.choose(rng)
	return w
}

// ranging runs the request of a world with some names planned at a time.
type ranging struct {
	*ranged
	*dray.Dray
	part    string // of the target
	request dray.TransferRequest
}

func (w *ranged) with(part string) *ranging {
	w.t.Helper()
	d, err := dray.NewWith(dray.Config{StateDir: w.t.TempDir(), Registries: w.named},
		place.Inside{PerRange: perRanges[part]})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(d.Close)
	req := w.request
	req.Target = "dst/" + part + "/"
	if req.Also != nil {
		req.Also = []string{"dst/second/" + part + "/"}
	}
	return &ranging{w, d, part, req}
}

// hiding answers with a status for some tags.
func hiding(tags map[string]int) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			_, tag, _ := strings.Cut(r.URL.Path, "/manifests/")
			if status := tags[tag]; status != 0 && r.Method != http.MethodPut {
				rw.WriteHeader(status)
				return
			}
			h.ServeHTTP(rw, r)
		})
	}
}

// fill draws what the registries have: few images under many tags, some of which move, and what signs some images.
func (w *ranged) fill(rng *rand.Rand) {
	put := func(reg *testbed.Registry, tag string, images int, paths ...string) (d oci.Digest) {
		o := testbed.RandomOptions{Seed: uint64(1 + rng.IntN(images)), Size: 50}
		for _, path := range paths {
			d = oci.Digest(testbed.Random(w.t, reg, path, tag, o).Digest())
		}
		return d
	}
	var targets []string
	for part := range perRanges {
		targets = append(targets, part+"/team/app")
	}
	for _, tag := range []string{"v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "latest", "prod"} {
		d := put(w.regs[0], tag, 4, "team/app")
		if rng.IntN(4) == 0 {
			put(w.regs[0], oci.DigestTags(d)[0], 9, "team/app")
		}
		if rng.IntN(3) == 0 {
			put(w.regs[1], tag, 4, "team/app")
		}
		if rng.IntN(2) == 0 {
			put(w.regs[2], tag, 6, targets...)
		}
	}
}

// choose draws what is asked for.
func (w *ranged) choose(rng *rand.Rand) {
	req := dray.TransferRequest{Sources: []string{"src/team/app"}}
	if rng.IntN(2) == 0 {
		req.Sources = append(req.Sources, "other/team/app")
	}
	if rng.IntN(3) == 0 {
		req.Also = []string{"second"}
	}
	if rng.IntN(2) == 0 {
		req.Prefer = []string{"src"}
	}
	if rng.IntN(3) == 0 {
		req.Map.Pairs = []plan.Pair{{From: "v0", To: "first"}, {From: "v0", To: "v0-too"}, {From: "v1", To: "v2-too"}}
	}
	if rng.IntN(2) == 0 {
		req.Backup = plan.Backup{Template: []string{"{tag}-too", "kept"}[rng.IntN(2)]}
	}
	if rng.IntN(3) == 0 {
		req.Referrers.Mode = plan.ReferrersNone
	}
	if rng.IntN(3) == 0 {
		req.Selection.Latest = 4
	}
	req.SkipBroken = rng.IntN(4) == 0
	w.request = req
}

// said returns text without the addresses of this world.
func (w *ranging) said(text string) string {
	text = strings.ReplaceAll(text, w.part+"/", "PART/")
	for i, reg := range w.regs {
		text = strings.ReplaceAll(text, reg.Host, []string{"src", "other", "dst"}[i])
	}
	return text
}

// planned returns the plan of the world, as its file has it.
func (w *ranging) planned() string {
	w.t.Helper()
	y := &yard.Yard{Dray: w.Dray, T: w.t}
	return w.said(string(y.Written(w.request)))
}

// transferred returns what a transfer of the world reports, with the steps in the order of their names.
func (w *ranging) transferred() string {
	w.t.Helper()
	var steps []string
	open := map[string]int{}
	sum, err := w.Transfer(w.t.Context(), w.request, nil, func(r dray.RepositoryReport) error {
		open[r.To.String()]++
		if r.More != (r.Part > 0 && r.More) || r.Part > 0 && r.Part != open[r.To.String()] {
			w.t.Errorf("%s: part %d, more %v, call %d", r.To, r.Part, r.More, open[r.To.String()])
		}
		for _, s := range r.Steps {
			steps = append(steps, w.said(fmt.Sprintf("%s: %s, %v, %+v", s.Describe(), s.State, s.Err, s.Referrers)))
		}
		return nil
	})
	for i := range sum.Retags {
		steps = append(steps, w.said("retagged "+sum.Retags[i].To.String()))
	}
	slices.Sort(steps)
	slices.Sort(sum.Notes)
	sum.Referrers.Lost = nil
	return w.said(fmt.Sprintf("%s\n%d %v %v %d %d %+v %q %v\n", strings.Join(steps, "\n"), sum.Repositories, sum.Actions,
		sum.States, sum.Retagged, sum.Untagged, sum.Referrers, sum.Notes, err != nil))
}

// compared returns the receipt of a verification of the world, and each name.
func (w *ranging) compared() string {
	w.t.Helper()
	var lines []string
	of := w.request
	of.Backup = plan.Backup{}
	rec, err := w.Verify(w.t.Context(), dray.VerifyRequest{Of: of}, nil, func(e dray.VerifyEntry) error {
		lines = append(lines, fmt.Sprintf("%s %s %s %v", e.To, e.Match, e.Source, e.Err))
		return nil
	})
	return w.said(fmt.Sprintf("%s\n%d %d %d %v %q %v", strings.Join(lines, "\n"), rec.Repositories, rec.Names, rec.Extra,
		rec.Matches, rec.Notes, err != nil))
}

// The plan of a world is the same, byte for byte, and so is what is done, however many names are planned at a time.
func TestPlansAndReportsAreTheSameHoweverManyNamesArePlannedAtATime(t *testing.T) {
	worlds := 8
	if testing.Short() || yard.Small() {
		worlds = 3
	}
	for seed := range worlds {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			w := newRanged(t, uint64(seed))
			results := func(part string) []string {
				r := w.with(part)
				return []string{r.planned(), r.transferred(), r.compared()}
			}
			whole := results("whole")
			for _, part := range []string{"ones", "threes"} {
				got := results(part)
				for i, what := range []string{"plan", "transfer", "verify"} {
					if got[i] != whole[i] {
						t.Errorf("%s with %d names at a time:\n%s\nwith all of them:\n%s", what, perRanges[part], got[i], whole[i])
					}
				}
			}
		})
	}
}
