package bundle_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// world is a sender and a receiver, and a directory between them.
type world struct {
	*yard.Yard
	dir string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{yard.New(t), t.TempDir()}
}

func (w *world) path(name string) string { return w.dir + "/" + name }

// create makes a bundle of a transfer of src, and lists "NAME STATE".
func (w *world) create(req dray.BundleRequest) (string, dray.TransferReport, error) {
	w.T.Helper()
	if req.Batch.Entries == nil && req.Only == nil && req.Transfer.Sources == nil {
		req.Transfer.Sources = []string{"src"}
	}
	req.Made = now
	return w.steps(func(visit func(dray.RepositoryReport) error) (dray.TransferReport, error) {
		return w.CreateBundle(w.T.Context(), req, nil, visit)
	})
}

// load loads a bundle into dst.
func (w *world) load(paths ...string) (string, dray.TransferReport, error) {
	w.T.Helper()
	return w.steps(func(visit func(dray.RepositoryReport) error) (dray.TransferReport, error) {
		req := dray.LoadRequest{Paths: paths, Target: "dst", Now: now, Receipt: w.path("receipt")}
		return w.LoadBundle(w.T.Context(), req, nil, visit)
	})
}

func (w *world) steps(
	do func(func(dray.RepositoryReport) error) (dray.TransferReport, error),
) (string, dray.TransferReport, error) {
	var lines []string
	sum, err := do(func(r dray.RepositoryReport) error {
		for _, s := range r.Steps {
			line := s.To.Path
			if s.To.Tag != "" {
				line += ":" + s.To.Tag
			}
			lines = append(lines, fmt.Sprintf("%s %s", line, s.State))
		}
		return nil
	})
	slices.Sort(lines)
	return strings.Join(lines, ", "), sum, err
}

// have writes the list of what dst has.
func (w *world) have(name string) string {
	w.T.Helper()
	var b bytes.Buffer
	if _, err := w.HaveList(w.T.Context(), dray.HaveRequest{Target: "dst", Now: now}, nil, &b); err != nil {
		w.T.Fatal(err)
	}
	return w.write(name, b.Bytes())
}

func (w *world) write(name string, raw []byte) string {
	w.T.Helper()
	if err := os.WriteFile(w.path(name), raw, 0o600); err != nil {
		w.T.Fatal(err)
	}
	return w.path(name)
}

func (w *world) must(steps string, sum dray.TransferReport, err error) (string, dray.TransferReport) {
	w.T.Helper()
	if err != nil {
		w.T.Fatalf("%v (hint: %s)", err, fault.HintOf(err))
	}
	return steps, sum
}

func TestABundleBringsWhatTheSenderHas(t *testing.T) {
	w := newWorld(t)
	testbed.Index(t, w.Src, "team/web", "1.0", 3)
	w.Tagged("app", "v1", "v2")
	steps, sum := w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	if steps != "app:v1 done, app:v2 done, team/web:1.0 done" {
		t.Error(steps)
	}
	if sum.Bundle.Names != 3 || len(sum.Bundle.Volumes) != 1 {
		t.Errorf("%+v", sum.Bundle)
	}
	if _, err := os.Stat(w.path("a.tar.partial")); !os.IsNotExist(err) {
		t.Error("the stage is left:", err)
	}
	w.Forget()
	steps, sum = w.must(w.load(w.path("a.tar")))
	if steps != "app:v1 done, app:v2 done, team/web:1.0 done" || w.Src.Requests() != 0 {
		t.Error(steps, w.Src.Requests())
	}
	for _, name := range [][2]string{{"app", "v1"}, {"app", "v2"}, {"team/web", "1.0"}} {
		testbed.Same(t, w.Src, w.Dst, name[0], name[1], name[0], name[1])
	}
	w.Spends(sum.Traffic, w.Dst)

	w.Forget()
	steps, _ = w.must(w.load(w.path("a.tar")))
	if steps != "app:v1 unchanged, app:v2 unchanged, team/web:1.0 unchanged" {
		t.Error(steps)
	}
	if in, _ := w.Dst.Sent("PUT", ""); in != 0 || w.Dst.Count("POST", "") != 0 || w.Dst.Count("PUT", "") != 0 {
		t.Error("the second load sends something:", yard.Spent(w.Dst))
	}
}

var _ = filepath.Join
