package bundle_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/plan"
)

// loadTo loads a bundle into a target.
func (w *world) loadTo(target string, paths ...string) (string, dray.TransferReport, error) {
	w.T.Helper()
	return w.steps(func(visit func(dray.RepositoryReport) error) (dray.TransferReport, error) {
		req := dray.LoadRequest{Paths: paths, Target: target, Now: now, Receipt: w.path("receipt")}
		return w.LoadBundle(w.T.Context(), req, nil, visit)
	})
}

func TestABundleIsLoadedIntoALayout(t *testing.T) {
	w := newWorld(t)
	image := testbed.Index(t, w.Src, "team/web", "1.0", 3)
	signed := testbed.Artifact(t, w.Src, "team/web", "", image.Root)
	testbed.Artifact(t, w.Src, "team/web", "", signed.Root)
	testbed.Random(t, w.Src, "team/web", strings.Replace(image.Digest(), ":", "-", 1)+".sig", testbed.RandomOptions{Seed: 7})
	w.Tagged("app", "v1", "v2")
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	target := "oci:" + w.path("out") + "/"
	steps, sum := w.must(w.loadTo(target, w.path("a.tar")))
	if strings.Count(steps, " done") != 3 || sum.Referrers.Copied != 3 || sum.Verb != "load" {
		t.Error(steps, sum.Referrers, sum.Verb)
	}
	w.proven("oci-archive:"+w.path("a.tar")+"/", target)
	w.proven("src/team/web:1.0", "oci:"+w.path("out")+":team/web:1.0")
	steps, _ = w.must(w.loadTo(target, w.path("a.tar")))
	if strings.Contains(steps, "done") {
		t.Error("the second load writes something:", steps)
	}

	// The receipt is a list for the next bundle, and what the next bundle leaves out is in the layout.
	testbed.Random(t, w.Src, "app", "v3", testbed.RandomOptions{Seed: 9})
	testbed.Index(t, w.Src, "other", "1.0", 3)
	_, sum = w.must(w.create(dray.BundleRequest{To: w.path("b.tar"), Since: []string{w.path("receipt")}}))
	if sum.Bundle.Absent == 0 {
		t.Errorf("%+v", sum.Bundle)
	}
	w.must(w.loadTo(target, w.path("b.tar")))
	w.proven("src/other:1.0", "oci:"+w.path("out")+":other:1.0")
	w.proven("src/app:v3", "oci:"+w.path("out")+":app:v3")
	req := dray.BundleRequest{To: w.path("c.tar"), Since: []string{w.haveOf(target, "have")}}
	req.Transfer = dray.TransferRequest{Sources: []string{"src"}, Referrers: plan.Referrers{Mode: plan.ReferrersSync}}
	if _, sum = w.must(w.create(req)); sum.Bundle.Names != 0 {
		t.Errorf("%+v", sum.Bundle)
	}
}

func TestADirectoryOfLayoutsIsContinuedAndListed(t *testing.T) {
	w := newWorld(t)
	w.Tagged("app", "v1")
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	if err := os.MkdirAll(w.path("out"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.must(w.loadTo("oci:"+w.path("out/app")+"/", w.path("a.tar"))) // as a layout below the directory
	w.must(w.loadTo("oci:"+w.path("out")+"/", w.path("a.tar")))
	w.Tagged("other", "v1")
	req := dray.BundleRequest{To: w.path("b.tar"), Since: []string{w.haveOf("oci:"+w.path("out")+"/", "have")}}
	if _, sum := w.must(w.create(req)); sum.Bundle.Names != 1 {
		t.Errorf("%+v", sum.Bundle)
	}
}

func TestVolumesAreLoadedIntoALayoutAndASparseIndexIsRefused(t *testing.T) {
	w := newWorld(t)
	testbed.Index(t, w.Src, "web", "1.0", 3)
	w.must(w.create(of(t, w.path("a.tar"), "linux/amd64", plan.Sparse)))
	target := "oci:" + w.path("out") + "/"
	_, _, err := w.loadTo(target, w.path("a.tar"))
	if !fault.Is(err, fault.Refused) || !strings.Contains(fault.HintOf(err), "make the bundle without --sparse") {
		t.Errorf("a layout holds whole indexes only: %v (%s)", err, fault.HintOf(err))
	}
	if _, err := os.Stat(w.path("out")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
	files := w.split("s.tar")
	for i := range files {
		w.must(w.loadTo(target, files[len(files)-1-i]))
	}
	w.proven("src/app3:v1", "oci:"+w.path("out")+":app3:v1")
}

func TestWhatIsNoReceiverIsRefused(t *testing.T) {
	w := newWorld(t)
	w.Tagged("app", "v1")
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	w.must(w.create(dray.BundleRequest{To: w.path("dir/")}))
	if err := os.Mkdir(w.path("some"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.write("some/file", nil)
	before := read(t, w.path("dir/index.json"))
	for target, want := range map[string]string{
		"oci:" + w.path("out"):                   "oci:DIR/ with a slash at the end",
		"oci:" + w.path("out") + ":app":          "",
		"oci-archive:" + w.path("out.tar") + "/": "oci:DIR/ with a slash at the end",
		"oci:" + w.path("dir") + "/":             "name another directory",
		"oci:" + w.path("some") + "/":            "name a new or an empty directory",
	} {
		if _, _, err := w.loadTo(target, w.path("a.tar")); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), want) {
			t.Errorf("%s: %v (%s)", target, err, fault.HintOf(err))
		}
	}
	if string(before) != string(read(t, w.path("dir/index.json"))) {
		t.Error("a bundle was changed")
	}
	if _, err := os.Stat(w.path("out")); !os.IsNotExist(err) {
		t.Error(err)
	}
}
