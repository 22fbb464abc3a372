package migrate_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

// flight watches the images in flight: an image begins when the source sends its manifest, and ends
// when the target has it.
type flight struct {
	mu        sync.Mutex
	now, most int
	begins    []time.Time
}

func (f *flight) begin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") {
			f.mu.Lock()
			f.now++
			f.most = max(f.most, f.now)
			f.begins = append(f.begins, time.Now())
			f.mu.Unlock()
			time.Sleep(time.Millisecond) // all that may begin now begin before one of them ends
		}
		next.ServeHTTP(w, r)
	})
}

func (f *flight) end(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.now--
		}
	})
}

// inFlight runs test in virtual time with a source that has three repositories of three images each.
func inFlight(t *testing.T, limits dray.Limits, test func(y *yard.Yard, f *flight)) {
	t.Helper()
	a, b := testbed.NewDistribution(t, testbed.Options{}), testbed.NewDistribution(t, testbed.Options{})
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) })
		f := &flight{}
		src := testbed.Serve(t, a, testbed.Options{Wire: testbed.Pipes, Host: "src.example:5000", Front: f.begin})
		dst := testbed.Serve(t, b, testbed.Options{Wire: testbed.Pipes, Host: "dst.example:5000", Front: f.end})
		for i := range 9 {
			testbed.Random(t, src, fmt.Sprintf("r%d", i/3), fmt.Sprintf("v%d", i%3), testbed.RandomOptions{Seed: uint64(i + 1), Size: 100})
		}
		d, err := dray.New(dray.Config{Limits: limits, Dial: testbed.Dialer(src, dst), Settings: dray.Settings{PlainHTTP: true},
			Registries: map[string]dray.Registry{"src": {Host: src.Host, Settings: dray.Settings{PlainHTTP: true}}, "dst": {Host: dst.Host, Settings: dray.Settings{PlainHTTP: true}}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		test(&yard.Yard{Dray: d, T: t, Src: src, Dst: dst}, f)
	})
}

// transferTook transfers everything and returns how long it took in whole seconds.
func transferTook(y *yard.Yard, req dray.TransferRequest) int {
	y.T.Helper()
	began := time.Now()
	if got, _, err := y.Transferred(req); err != nil || strings.Count(got, "done") != 9 {
		y.T.Fatalf("%s %v", got, err)
	}
	return int(time.Since(began) / time.Second)
}

func TestTheImagesOfAllRepositoriesShareThePlacesOfATransfer(t *testing.T) {
	inFlight(t, dray.Limits{Images: 2}, func(y *yard.Yard, f *flight) {
		transferTook(y, yard.Whole())
		if f.most != 2 {
			y.T.Errorf("%d images were in flight at once, want 2", f.most)
		}
	})
	inFlight(t, dray.Limits{}, func(y *yard.Yard, f *flight) {
		transferTook(y, yard.Whole())
		if f.most != 9 {
			y.T.Errorf("%d images were in flight at once, want all", f.most)
		}
	})
}

func TestATransferRestsBetweenTwoImages(t *testing.T) {
	req := yard.Whole()
	req.Delay = 10 * time.Second
	inFlight(t, dray.Limits{}, func(y *yard.Yard, f *flight) {
		if took := transferTook(y, req); took != 80 || f.most != 1 {
			y.T.Errorf("%d s, %d in flight; want 8 rests of 10 s, one image at a time", took, f.most)
		}
		for i, at := range f.begins {
			if i > 0 && at.Sub(f.begins[i-1]) < req.Delay {
				y.T.Errorf("image %d began %s after the one before", i, at.Sub(f.begins[i-1]))
			}
		}
	})
	inFlight(t, dray.Limits{Images: 3}, func(y *yard.Yard, f *flight) {
		if took := transferTook(y, req); took != 20 || f.most != 3 {
			y.T.Errorf("%d s, %d in flight; want two rests of 10 s of each of 3 places", took, f.most)
		}
		began := time.Now()
		if got, _, err := y.Transferred(req); got != "" || err != nil || time.Since(began) > time.Second {
			y.T.Errorf("nothing was copied, but it took %s: %s %v", time.Since(began), got, err)
		}
	})
	inFlight(t, dray.Limits{}, func(y *yard.Yard, _ *flight) {
		req := req
		req.Overwrite = plan.Always // puts all again, which rests too
		transferTook(y, req)
		if took := transferTook(y, req); took != 80 {
			y.T.Errorf("%d s, want 8 rests of 10 s", took)
		}
	})
}
