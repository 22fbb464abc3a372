package bundle_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/have"
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
func (w *world) have(name string) string { return w.haveOf("dst", name) }

func (w *world) haveOf(target, name string) string {
	w.T.Helper()
	var b bytes.Buffer
	if _, err := w.HaveList(w.T.Context(), dray.HaveRequest{Target: target, Now: now}, nil, &b); err != nil {
		w.T.Fatal(err)
	}
	return w.write(name, b.Bytes())
}

// relabeled writes a list again, as that of another receiver.
func (w *world) relabeled(path, of string) string {
	w.T.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		w.T.Fatal(err)
	}
	list, err := have.Read(bytes.NewReader(raw), path)
	if err != nil {
		w.T.Fatal(err)
	}
	list.Of = of
	var b bytes.Buffer
	if err := list.Write(&b); err != nil {
		w.T.Fatal(err)
	}
	return w.write("relabeled", b.Bytes())
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

func TestTheSecondBundleHasOnlyTheMissingBlobs(t *testing.T) {
	w := newWorld(t)
	first := testbed.Random(t, w.Src, "app", "v1", testbed.RandomOptions{Layers: 2, Size: 100_000, Seed: 1})
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	w.must(w.load(w.path("a.tar")))

	// v2 shares its first layer with v1, and v1 is also in another repository.
	second := testbed.Random(t, w.Src, "app", "v2", testbed.RandomOptions{Layers: 3, Size: 100_000, Seed: 1})
	testbed.Random(t, w.Src, "other", "v1", testbed.RandomOptions{Layers: 2, Size: 100_000, Seed: 1})
	_ = first
	for name, since := range map[string]string{"list": w.have("have"), "receipt": w.path("receipt")} {
		w.Forget()
		to := w.path(name + ".tar")
		steps, sum := w.must(w.create(dray.BundleRequest{To: to, Since: []string{since}}))
		if steps != "app:v1 unchanged, app:v2 done, other:v1 done" {
			t.Error(name, steps)
		}
		var want int64 // the third layer and the config of v2
		for _, l := range second.Layers[2:] {
			want += l.Size
		}
		if sum.Bundle.Bytes != want || sum.Bundle.Blobs != 2 || sum.Bundle.Names != 2 || sum.Bundle.Absent != 4-1 {
			t.Errorf("%s: %+v, want %d bytes", name, sum.Bundle, want)
		}
		if _, out := w.Src.Sent("GET", testbed.Blob); out != want {
			t.Errorf("%s: read %d bytes of blobs, want %d", name, out, want)
		}
		if info, err := os.Stat(to); err != nil || info.Size() > want+30_000 {
			t.Error(name, info.Size(), err)
		}
	}
	w.Forget()
	w.must(w.load(w.path("list.tar")))
	testbed.Same(t, w.Src, w.Dst, "app", "v2", "app", "v2")
	testbed.Same(t, w.Src, w.Dst, "other", "v1", "other", "v1")
}

func TestWhatTheReceiverLostIsFoundAndNothingGetsATag(t *testing.T) {
	w := newWorld(t)
	testbed.Random(t, w.Src, "app", "v1", testbed.RandomOptions{Layers: 2, Size: 1000, Seed: 1})
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	w.must(w.load(w.path("a.tar")))
	since := w.have("have")
	testbed.Random(t, w.Src, "app", "v2", testbed.RandomOptions{Layers: 3, Size: 1000, Seed: 1})
	w.must(w.create(dray.BundleRequest{To: w.path("other.tar"), Since: []string{since}}))
	empty := yard.Of(t, w.Src, testbed.Distribution(t, testbed.Options{Content: testbed.Open}))
	since = w.relabeled(since, empty.Dst.Host+"/")
	w.must(w.create(dray.BundleRequest{To: w.path("b.tar"), Since: []string{since}}))

	w.Yard = empty
	steps, _, err := w.load(w.path("other.tar"))
	if steps != "" || !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "this target lacks 2 of these 2 blobs") {
		t.Error("the bundle is for another receiver:", steps, err)
	}
	steps, _, err = w.load(w.path("b.tar"))
	if steps != "app:v2 failed" || !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "the receiver lost it") ||
		!strings.Contains(fault.HintOf(err), "dray bundle have") {
		t.Error(steps, err, fault.HintOf(err))
	}
	if w.Dst.Count("PUT", testbed.Manifest) != 0 {
		t.Error("a manifest was put:", yard.Spent(w.Dst))
	}
}

// parts returns the files of a tar, with where their bytes begin.
type part struct {
	name     string
	at, size int64
}

func partsOf(t *testing.T, path string) (all []part) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	in := bytes.NewReader(raw)
	r := tar.NewReader(in)
	for {
		h, err := r.Next()
		if err != nil {
			return all
		}
		all = append(all, part{h.Name, int64(len(raw)) - int64(in.Len()), h.Size})
	}
}

func TestOneFlippedByteIsFoundAndNamedInEachPart(t *testing.T) {
	w := newWorld(t)
	testbed.Index(t, w.Src, "web", "1.0", 2)
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	raw, err := os.ReadFile(w.path("a.tar"))
	if err != nil {
		t.Fatal(err)
	}
	parts := partsOf(t, w.path("a.tar"))
	if len(parts) < 10 {
		t.Fatal(parts)
	}
	flip := func(at int64, want string) {
		t.Helper()
		bad := slices.Clone(raw)
		bad[at] ^= 1
		path := w.write("bad.tar", bad)
		w.Forget()
		found, err := w.VerifyBundle(t.Context(), []string{path}, nil)
		if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), want) {
			t.Errorf("byte %d: %v, want %q; %+v", at, err, want, found.Damages)
		}
		if _, _, err := w.load(path); !fault.Is(err, fault.Corrupt) {
			t.Errorf("byte %d is loaded: %v", at, err)
		}
		if w.Dst.Requests() != 0 {
			t.Error("a damaged bundle reaches the receiver:", yard.Spent(w.Dst))
		}
	}
	flip(parts[0].at+parts[0].size/2, "its list does not match")
	flip(20, "first header") // of the list
	for _, p := range parts[1:] {
		want := p.name
		if p.name == "dray/contents.json" {
			want = "dray/contents.json does not match"
		}
		flip(p.at+p.size/2, want)
		if p.name == "dray/contents.json" {
			continue // its header is verified after it is read
		}
		flip(p.at-512+110, p.name) // its header
		if p.size%512 != 0 {
			flip(p.at+p.size, p.name) // the padding
		}
	}
	flip(int64(len(raw))-1, "the end of the tar")
}

func TestATruncatedBundleIsRefusedWhereverItEnds(t *testing.T) {
	w := newWorld(t)
	w.Tagged("app", "v1")
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	raw, err := os.ReadFile(w.path("a.tar"))
	if err != nil {
		t.Fatal(err)
	}
	w.Forget()
	for n := 0; n < len(raw); n += 499 {
		if _, _, err := w.load(w.write("bad.tar", raw[:n])); !fault.Is(err, fault.Corrupt) {
			t.Errorf("%d of %d bytes: %v", n, len(raw), err)
		}
	}
	if _, _, err := w.load(w.write("bad.tar", append(raw, 0))); !fault.Is(err, fault.Corrupt) {
		t.Errorf("one byte more: %v", err)
	}
	if w.Dst.Requests() != 0 {
		t.Error(yard.Spent(w.Dst))
	}
}

// split makes a bundle of several volumes, and returns their files.
func (w *world) split(name string) []string {
	w.T.Helper()
	for i := range 4 {
		testbed.Random(w.T, w.Src, fmt.Sprint("app", i), "v1", testbed.RandomOptions{Layers: 2, Size: 40_000, Seed: uint64(i + 1)})
	}
	_, sum := w.must(w.create(dray.BundleRequest{To: w.path(name), Split: 130_000}))
	var files []string
	for _, v := range sum.Bundle.Volumes {
		if info, err := os.Stat(v.File); err != nil || info.Size() > 130_000 || info.Size() != v.Bytes {
			w.T.Error(v, info, err)
		}
		files = append(files, v.File)
	}
	if len(files) < 3 {
		w.T.Fatal(files)
	}
	return files
}

func TestVolumesAreLoadedInAnyOrderEachAlone(t *testing.T) {
	w := newWorld(t)
	files := w.split("a.tar")
	last := len(files) - 1
	done := ""
	for i := last; i >= 0; i-- {
		w.Forget()
		steps, sum := w.must(w.load(files[i]))
		done += steps
		if (len(sum.Bundle.Waiting) > 0) != (i > 0) {
			t.Error(files[i], sum.Bundle.Waiting)
		}
		info, err := os.Stat(files[i])
		var in int64
		for _, q := range w.Dst.Log() {
			in += q.In
		}
		if err != nil || in == 0 || in > info.Size() {
			t.Errorf("%s: %d bytes sent of %d", files[i], in, info.Size())
		}
	}
	for i := range 4 {
		name := fmt.Sprint("app", i)
		if !strings.Contains(done, name+":v1 done") {
			t.Error(name, done)
		}
		testbed.Same(t, w.Src, w.Dst, name, "v1", name, "v1")
	}
}

func TestAMissingVolumeIsNamedAndTheOthersAreLoaded(t *testing.T) {
	w := newWorld(t)
	files := w.split("a.tar")
	steps, sum := w.must(w.load(slices.Delete(slices.Clone(files), 1, 2)...))
	if fmt.Sprint(sum.Bundle.Waiting) != "[2]" || !strings.Contains(steps, "done") {
		t.Error(steps, sum.Bundle.Waiting)
	}
	found, err := w.VerifyBundle(t.Context(), files[:1], nil)
	if err != nil || found.Waiting[0] != 2 {
		t.Error(found, err)
	}
	slices.Reverse(files)
	w.must(w.load(files...))
	for i := range 4 {
		name := fmt.Sprint("app", i)
		testbed.Same(t, w.Src, w.Dst, name, "v1", name, "v1")
	}
}

func TestAVolumeIsMadeAgainAsItWas(t *testing.T) {
	w := newWorld(t)
	files := w.split("a.tar")
	want, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	testbed.Random(t, w.Src, "app1", "v1", testbed.RandomOptions{Seed: 99}) // the tag moves on
	bad := slices.Clone(want)
	bad[len(bad)-5000] ^= 1
	w.write("a.2.tar", bad)
	_, err = w.VerifyBundle(t.Context(), files, nil)
	if !strings.Contains(fault.HintOf(err), "dray bundle create --only 2 -o a.tar") {
		t.Error(fault.HintOf(err))
	}
	if err := os.Remove(files[1]); err != nil {
		t.Fatal(err)
	}
	w.Forget()
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar"), Only: []int{2}}))
	got, err := os.ReadFile(files[1])
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
	}
	if _, out := w.Src.Sent("GET", testbed.Blob); out > int64(len(want)) {
		t.Errorf("read %d bytes of blobs for a volume of %d", out, len(want))
	}
	if _, _, err := w.create(dray.BundleRequest{To: w.path("a.tar"), Only: []int{9}}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if _, _, err := w.create(dray.BundleRequest{To: w.path("b.tar"), Only: []int{1}}); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func TestAReceiptDoesNotReplaceALink(t *testing.T) {
	w := newWorld(t)
	testbed.Random(t, w.Src, "app", "v1", testbed.RandomOptions{Seed: 1})
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	behind := w.write("behind", nil)
	if err := os.Symlink(behind, w.path("receipt")); err != nil {
		t.Fatal(err)
	}
	w.must(w.load(w.path("a.tar")))
	raw, err := os.ReadFile(behind)
	if err != nil || len(raw) == 0 {
		t.Error(len(raw), err)
	}
	if info, err := os.Lstat(w.path("receipt")); err != nil || info.Mode().IsRegular() {
		t.Error(info, err)
	}
}

func TestALoadHasNoNoteForEachSignature(t *testing.T) {
	w := newWorld(t)
	image := testbed.Random(t, w.Src, "app", "v1", testbed.RandomOptions{Seed: 1})
	testbed.Artifact(t, w.Src, "app", "", image.Root)
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	req := dray.LoadRequest{Paths: []string{w.path("a.tar")}, Target: "dst", Now: now, Receipt: w.path("receipt")}
	sum, err := w.LoadBundle(t.Context(), req, func(e event.Event) {
		if e.Kind == event.Noted {
			t.Error(e.Text)
		}
	}, func(dray.RepositoryReport) error { return nil })
	if err != nil || sum.States[dray.Done] != 1 || sum.Referrers.Copied != 1 {
		t.Error(sum.States, sum.Referrers, err)
	}
}
