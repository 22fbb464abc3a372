package bundle_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
)

// The test binary is also a process that makes or loads a bundle slowly, until it is killed.
func TestMain(m *testing.M) {
	role := os.Getenv("BUNDLE_TEST_ROLE")
	if role == "" {
		os.Exit(m.Run())
	}
	host, path := os.Getenv("BUNDLE_TEST_HOST"), os.Getenv("BUNDLE_TEST_PATH")
	d, err := dray.New(dray.Config{
		Settings: dray.Settings{PlainHTTP: true},
		Limits:   dray.Limits{Images: 1, Blobs: 1, Bandwidth: 400_000},
	})
	if err != nil {
		panic(err)
	}
	ignore := func(dray.RepositoryReport) error { return nil }
	if role == "create" {
		req := dray.BundleRequest{To: path, Made: now, Transfer: dray.TransferRequest{Sources: []string{host}}}
		_, err = d.CreateBundle(context.Background(), req, nil, ignore)
	} else {
		req := dray.LoadRequest{Paths: []string{path}, Target: host, Now: now}
		_, err = d.LoadBundle(context.Background(), req, nil, ignore)
	}
	fmt.Fprintln(os.Stderr, "the process was not killed:", err)
	os.Exit(1)
}

// killed runs a process until enough reports true, and kills it.
func (w *world) killed(role, host, path string, enough func() bool) {
	w.T.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BUNDLE_TEST_ROLE="+role, "BUNDLE_TEST_HOST="+host, "BUNDLE_TEST_PATH="+path)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		w.T.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); !enough(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.T.Error("the process does not come far enough")
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		w.T.Error(err)
	}
	_ = cmd.Wait() // it was killed
}

// filled fills the source with images of one layer of 200 kB each.
func (w *world) filled() {
	w.T.Helper()
	for i := range 6 {
		testbed.Random(w.T, w.Src, fmt.Sprint("app", i), "v1", testbed.RandomOptions{Size: 200_000, Seed: uint64(i + 1)})
	}
}

func (w *world) arrived() {
	w.T.Helper()
	for i := range 6 {
		name := fmt.Sprint("app", i)
		testbed.Same(w.T, w.Src, w.Dst, name, "v1", name, "v1")
	}
}

func TestACreateThatWasKilledContinuesAndFetchesNothingTwice(t *testing.T) {
	w := newWorld(t)
	w.filled()
	path := w.path("a.tar")
	staged := func() []string {
		files, _ := filepath.Glob(path + ".partial/blobs/sha256/*")
		return files
	}
	w.killed("create", w.Src.Host, path, func() bool { return len(staged()) >= 5 })
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("a bundle that is not complete has its name:", err)
	}
	before := staged()
	w.Forget()
	w.must(w.create(dray.BundleRequest{To: path}))
	for _, q := range w.Src.Log() {
		for _, file := range before {
			if q.Kind == testbed.Blob && q.Method == "GET" && strings.Contains(q.Path, filepath.Base(file)) {
				t.Error("fetched again:", q.Path)
			}
		}
	}
	w.must(w.load(path))
	w.arrived()
}

func TestACreateThatWasKilledWhileItTidiedUpHasWrittenTheBundle(t *testing.T) {
	w := newWorld(t)
	w.Tagged("app", "v1")
	path := w.path("a.tar")
	w.must(w.create(dray.BundleRequest{To: path}))
	rest := path + ".partial.dray-removed"
	if err := os.MkdirAll(rest+"/blobs", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.create(dray.BundleRequest{To: path}); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "it exists") {
		t.Error(err)
	}
	if _, err := os.Stat(rest); !os.IsNotExist(err) {
		t.Error("the rest of the stage is left:", err)
	}
	if err := os.MkdirAll(rest+"/blobs", 0o700); err != nil {
		t.Fatal(err)
	}
	w.must(w.create(dray.BundleRequest{To: path, Only: []int{1}}))
	if _, err := os.Stat(rest); !os.IsNotExist(err) {
		t.Error("the rest of the stage is left:", err)
	}
}

func TestALoadThatWasKilledHasSetNoTagAndSendsNothingTwice(t *testing.T) {
	w := newWorld(t)
	w.filled()
	path := w.path("a.tar")
	_, sum := w.must(w.create(dray.BundleRequest{To: path}))
	w.Forget()
	uploaded := func() (n int64) {
		for _, q := range w.Dst.Log() {
			if q.Kind == testbed.Upload && q.Method == "PUT" && q.Status == 201 {
				n++
			}
		}
		return n
	}
	w.killed("load", w.Dst.Host, path, func() bool { return uploaded() >= 5 })
	done := uploaded()
	for _, q := range w.Dst.Log() {
		if q.Method == "PUT" && strings.HasSuffix(q.Path, "/manifests/v1") {
			t.Error("a tag was set before all content was there:", q.Path)
		}
	}
	w.Forget()
	steps, _ := w.must(w.load(path))
	if n := int64(strings.Count(steps, "done")); n != 6 {
		t.Error(steps)
	}
	if again := uploaded(); done+again > int64(sum.Bundle.Blobs) {
		t.Errorf("%d uploads and then %d, for %d blobs", done, again, sum.Bundle.Blobs)
	}
	w.arrived()
}
