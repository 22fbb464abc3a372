package migrate_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

// endless answers the lists of a registry like Azure's, and generates them while they are read:
// repos repositories with 500 tags each, or as many as tags says. In each generation, one tag in a thousand differs.
type endless struct {
	repos, tags, generation int
	pages                   atomic.Int64
}

const endlessTags = 500

func (e *endless) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	e.pages.Add(1)
	q := req.URL.Query()
	var b bytes.Buffer
	switch path := req.URL.Path; {
	case path == "/v2/_catalog":
		from := 0
		if _, last, ok := strings.Cut(q.Get("last"), "r"); ok {
			from, _ = strconv.Atoi(last)
			from++
		}
		b.WriteString(`{"repositories":[`)
		to := min(from+1000, e.repos)
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, `"r%06d"%s`, i, map[bool]string{true: ","}[i < to-1])
		}
		b.WriteString(`]}`)
		if to < e.repos {
			w.Header().Set("Link", fmt.Sprintf(`</v2/_catalog?last=r%06d&n=1000>; rel="next"`, to-1))
		}
	case strings.HasPrefix(path, "/acr/v1/r") && strings.HasSuffix(path, "/_tags"):
		repo, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(path, "/acr/v1/r"), "/_tags"))
		b.WriteString(`{"tags":[`)
		from, tags := 0, cmp.Or(e.tags, endlessTags)
		if _, err := fmt.Sscanf(q.Get("last"), "v1.%d.0", &from); err == nil {
			from++
		}
		to := min(from+1000, tags)
		if to < tags {
			w.Header().Set("Link", fmt.Sprintf(`<%s?last=v1.%d.0&n=1000>; rel="next"`, path, to-1))
		}
		for i := from; i < to; i++ {
			generation := 0
			if (repo*endlessTags+i)%1000 == 7 {
				generation = e.generation
			}
			fmt.Fprintf(&b, `{"name":"v1.%d.0","digest":"sha256:%x","createdTime":"2026-01-02T03:04:05.1234567Z","lastUpdateTime":"2026-01-02T03:04:05.1234567Z","signed":false,"quarantineState":"","changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true}}%s`,
				i, sha256.Sum256(fmt.Appendf(nil, "%d %d %d", repo, i, generation)), map[bool]string{true: ","}[i < to-1])
		}
		b.WriteString(`]}`)
	case strings.Contains(path, "/_tags/"):
		b.WriteString(`{"tag":{"changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true}}}`)
	default:
		http.Error(w, `{"errors":[{"code":"NAME_UNKNOWN"}]}`, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = b.WriteTo(w)
}

func TestAMillionTagsArePlannedAndReadAsStreams(t *testing.T) {
	repos, limit := 2000, uint64(256<<20)
	switch {
	case testing.Short():
		repos = 100
	case yard.Small():
		repos = 60 // make check runs the full size without the race detector
	}
	src, dst := &endless{repos: repos, generation: 1}, &endless{repos: repos, generation: 2}
	serve := func(e *endless) string { return testbed.Serve(t, e, testbed.Options{}).Host }
	d, err := dray.New(dray.Config{Registries: map[string]dray.Registry{
		"src": {Host: serve(src), Settings: dray.Settings{PlainHTTP: true, Kind: "acr"}},
		"dst": {Host: serve(dst), Settings: dray.Settings{PlainHTTP: true, Kind: "acr"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	most := yard.WatchHeap()
	in, out := io.Pipe()
	type result struct {
		sum dray.TransferReport
		err error
	}
	planned := make(chan result, 1)
	go func() {
		w, err := plan.NewWriter(out, plan.Plan{Verb: "transfer", Overwrite: plan.Update, Hold: plan.Each})
		var sum dray.TransferReport
		if err == nil {
			req := yard.Whole()
			req.Referrers.Mode = plan.ReferrersNone // they would cost further requests for each image that moves
			sum, err = d.PlanTransfer(t.Context(), req, nil, func(p dray.RepositoryPlan) error {
				for _, s := range p.Steps {
					if err := w.Step(s); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err == nil {
			err = w.Close()
		}
		out.CloseWithError(err)
		planned <- result{sum, err}
	}()
	r, err := plan.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	for ; err == nil; steps++ {
		_, err = r.Next()
	}
	got := <-planned
	peak := most()
	t.Logf("%d tags, %d pages of the source, peak of the heap %d MiB, %v", steps-1, src.pages.Load(), peak>>20, got.sum.Took)
	n := repos * endlessTags
	if !errors.Is(err, io.EOF) || got.err != nil || steps-1 != n || got.sum.Actions[plan.Skip] != n-n/1000 || got.sum.Retagged != n/1000 {
		t.Errorf("%d steps, %v, %v, %+v", steps-1, err, got.err, got.sum.Actions)
	}
	if peak > limit {
		t.Errorf("the heap had %d MiB, want at most %d", peak>>20, limit>>20)
	}
	// One page of a round length may be followed by a request for the next one.
	if pages, want := src.pages.Load(), int64(repos+repos/1000+1); pages < want || pages > want+1 {
		t.Errorf("%d requests at the source for %d repositories", pages, repos)
	}
}

// largest is how much of the heap one repository may take, however many tags it has.
const largest = 96 << 20

// between returns a Dray that copies from one endless registry to another.
func between(t *testing.T, src, dst *endless) *dray.Dray {
	t.Helper()
	serve := func(e *endless) string { return testbed.Serve(t, e, testbed.Options{}).Host }
	d, err := dray.New(dray.Config{Registries: map[string]dray.Registry{
		"src": {Host: serve(src), Settings: dray.Settings{PlainHTTP: true, Kind: "acr"}},
		"dst": {Host: serve(dst), Settings: dray.Settings{PlainHTTP: true, Kind: "acr"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestARepositoryOfManyTagsIsPlannedAppliedAndVerifiedInLittleMemory(t *testing.T) {
	tags := 200_000
	switch {
	case testing.Short():
		tags = 20_000
	case yard.Small():
		tags = 10_000
	}
	src, dst := &endless{repos: 1, tags: tags}, &endless{repos: 1, tags: tags}
	d := between(t, src, dst)
	req := yard.Whole()
	measured := func(what string, work func() (names, calls, repositories int, err error)) {
		t.Helper()
		runtime.GC()
		most := yard.WatchHeap()
		names, calls, repositories, err := work()
		peak := most()
		t.Logf("%s: %d names in %d parts, peak of the heap %d MiB", what, names, calls, peak>>20)
		if err != nil || names != tags || repositories != 1 {
			t.Errorf("%s: %d names of %d repositories, %v", what, names, repositories, err)
		}
		if peak > largest {
			t.Errorf("%s: the heap had %d MiB, want at most %d", what, peak>>20, largest>>20)
		}
	}
	measured("plan", func() (names, calls, _ int, _ error) {
		last := ""
		sum, err := d.PlanTransfer(t.Context(), req, nil, func(p dray.RepositoryPlan) error {
			calls++
			for _, s := range p.Steps {
				if s.To.Tag <= last || s.Action != plan.Skip {
					t.Fatalf("%s after %s", s.Describe(), last)
				}
				names, last = names+1, s.To.Tag
			}
			if more := names < tags; p.More != more || p.Part != calls {
				t.Errorf("part %d, more: %v, after %d", p.Part, p.More, names)
			}
			return nil
		})
		return names, calls, sum.Repositories, err
	})
	measured("transfer", func() (names, calls, _ int, _ error) {
		sum, err := d.Transfer(t.Context(), req, nil, func(r dray.RepositoryReport) error {
			calls, names = calls+1, names+len(r.Steps)
			return nil
		})
		return min(names, sum.States[dray.Unchanged]), calls, sum.Repositories, err
	})
	measured("verify", func() (names, calls, _ int, _ error) {
		rec, err := d.Verify(t.Context(), dray.VerifyRequest{Of: req}, nil, func(dray.VerifyEntry) error {
			names++
			return nil
		})
		return min(names, rec.Matches[dray.Same]), calls, rec.Repositories, err
	})
}

func TestTagsWithoutEndAreRefusedInLittleMemory(t *testing.T) {
	if testing.Short() || yard.Small() {
		t.Skip("the limit of a list is some hundred thousand names; make check reads them without the race detector")
	}
	src, dst := &endless{repos: 1, tags: 1 << 30}, &endless{repos: 1, tags: 1}
	d := between(t, src, dst)
	most := yard.WatchHeap()
	var steps []plan.Step
	_, err := d.PlanTransfer(t.Context(), yard.Whole(), nil, func(p dray.RepositoryPlan) error {
		steps = append(steps, p.Steps...)
		return nil
	})
	peak := most()
	t.Logf("refused after %d pages, peak of the heap %d MiB", src.pages.Load(), peak>>20)
	if err != nil || len(steps) != 1 || steps[0].Action != plan.Broken || steps[0].Problem.Kind != fault.TooLarge {
		t.Errorf("%v %v", steps, err)
	}
	const limit = 160 << 20 // the limit of lists lets 796,000 tags with digests pass
	if peak > limit {
		t.Errorf("the heap had %d MiB, want at most %d", peak>>20, limit>>20)
	}
}
