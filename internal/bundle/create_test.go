package bundle_test

import (
	"os"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

func TestABundleOfNothingIsNotFoundAndLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.Tagged("app", "v1")
	none, err := plan.ParsePatterns("nosuch")
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []dray.TransferRequest{
		{Sources: []string{"src/nosuch/"}},
		{Sources: []string{"src"}, Selection: plan.Selection{IncludeTags: none}},
		{Sources: []string{"src"}, Selection: plan.Selection{IncludeRepositories: none}},
	} {
		for _, to := range []string{"a.tar", "dir/"} {
			if steps, sum, err := w.create(dray.BundleRequest{To: w.path(to), Transfer: from}); !fault.Is(err, fault.NotFound) {
				t.Errorf("%+v: %s %+v %v", from, steps, sum.Bundle, err)
			}
		}
	}
	left, err := os.ReadDir(w.dir)
	if err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}

func TestAFileInADirectoryThatDoesNotExistIsRefusedBeforeAnythingIsRead(t *testing.T) {
	w := newWorld(t)
	w.Tagged("app", "v1")
	w.Forget()
	for _, to := range []string{"no/a.tar", "no/dir/"} {
		if _, _, err := w.create(dray.BundleRequest{To: w.path(to)}); !fault.Is(err, fault.NotFound) {
			t.Error(to, err)
		}
	}
	if _, err := os.Stat(w.path("no")); !os.IsNotExist(err) || w.Src.Requests() != 0 {
		t.Error(err, w.Src.Requests())
	}
}

func TestABundleThatAnotherProcessMakesIsNotBegun(t *testing.T) {
	w := newWorld(t)
	w.Tagged("app", "v1")
	req := dray.BundleRequest{To: w.path("a.tar"), Made: now, Transfer: dray.TransferRequest{Sources: []string{"src"}}}
	begun := 0
	_, err := w.CreateBundle(t.Context(), req, nil, func(dray.RepositoryReport) error {
		begun++
		_, sum, err := w.create(dray.BundleRequest{To: w.path("a.tar")})
		if !fault.Is(err, fault.Conflict) || sum.Verb != "" {
			t.Errorf("the second: %q, %v", sum.Verb, err)
		}
		return nil
	})
	if err != nil || begun != 1 {
		t.Error(begun, err)
	}
}
