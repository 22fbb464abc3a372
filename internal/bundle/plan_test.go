package bundle_test

import (
	"os"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

func TestAPlanHasTheSizesThatTheBundleThenHasAndReadsNoBlob(t *testing.T) {
	w := newWorld(t)
	twice(w)
	testbed.Index(t, w.Src, "team/web", "1.0", 3)
	w.must(w.create(dray.BundleRequest{To: w.path("first.tar"), Transfer: dray.TransferRequest{Sources: []string{"src/team/web"}}}))
	w.must(w.load(w.path("first.tar")))
	since := []string{w.have("have")}
	testbed.Random(t, w.Src, "team/web", "2.0", testbed.RandomOptions{Layers: 2, Size: 30_000, Seed: 4})
	for name, req := range map[string]dray.BundleRequest{
		"whole": {To: w.path("a.tar")}, "split": {To: w.path("b.tar"), Split: 90_000}, "since": {To: w.path("c.tar"), Since: since},
		"some": {To: w.path("d.tar"), Transfer: of(t, "", "linux/amd64", plan.Sparse).Transfer},
	} {
		if len(req.Transfer.Sources) == 0 {
			req.Transfer.Sources = []string{"src"}
		}
		if len(req.Transfer.Platforms.Only) > 0 {
			req.Transfer.Platforms.Lacks = plan.Optional // most images are for one platform
		}
		req.Made = now
		w.Forget()
		steps := 0
		planned, err := w.PlanBundle(t.Context(), req, nil, func(p dray.RepositoryPlan) error { steps += len(p.Steps); return nil })
		if err != nil || steps == 0 || planned.Referrers.Copied != 0 {
			t.Fatal(name, steps, planned.Referrers, err)
		}
		if name != "some" && w.Src.Count("GET", testbed.Blob) != 0 { // configs say which platform an image is for
			t.Error(name, "a blob is read:", yard.Spent(w.Src))
		}
		if _, err := os.Stat(req.To + ".partial"); !os.IsNotExist(err) {
			t.Error(name, "a stage is left:", err)
		}
		_, made := w.must(w.create(req))
		if planned.Bundle.ID != made.Bundle.ID || planned.Referrers.Planned != made.Referrers.Copied {
			t.Errorf("%s: planned %+v, made %+v", name, planned.Bundle, made.Bundle)
		}
		for i, v := range made.Bundle.Volumes {
			if info, err := os.Stat(v.File); err != nil || planned.Bundle.Volumes[i] != v || info.Size() != v.Bytes {
				t.Errorf("%s: planned %+v, made %+v, %v", name, planned.Bundle.Volumes[i], v, err)
			}
		}
	}
}
