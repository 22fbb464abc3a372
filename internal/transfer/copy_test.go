package transfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/conform"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func repo(host, path string) *conform.Memory { return conform.New(ref.Repo{Host: host, Path: path}) }

// manifest stores an image with these layers in m.
func manifest(m *conform.Memory, tag string, layers ...oci.Descriptor) oci.Document {
	config := m.Preload("application/vnd.oci.image.config.v1+json", []byte(`{"os":"linux"}`))
	return document(m, tag, map[string]any{"schemaVersion": 2, "mediaType": oci.TypeManifest, "config": config, "layers": layers})
}

func index(m *conform.Memory, tag string, children ...oci.Document) oci.Document {
	list := make([]oci.Descriptor, len(children))
	for i, c := range children {
		list[i] = c.Descriptor
	}
	return document(m, tag, map[string]any{"schemaVersion": 2, "mediaType": oci.TypeIndex, "manifests": list})
}

func document(m *conform.Memory, tag string, body any) oci.Document {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	if tag == "" {
		return m.PreloadDocument(raw)
	}
	return m.PreloadDocument(raw, tag)
}

func layer(m *conform.Memory, content string) oci.Descriptor {
	return m.Preload("application/vnd.oci.image.layer.v1.tar", []byte(content))
}

// copyOne copies root from src to dst, sets tags, and returns the outcome and the events.
func copyOne(t *testing.T, src transfer.Source, dst transfer.Target, root oci.Document, tags ...string) (transfer.Outcome, []event.Event) {
	t.Helper()
	var mu sync.Mutex
	var seen []event.Event
	out := transfer.New(transfer.Options{Retries: 3}).Copy(t.Context(), transfer.Task{
		From: src, Root: root.Descriptor, To: []transfer.End{{Target: dst, Tags: tags}},
		Observe: func(e event.Event) { mu.Lock(); defer mu.Unlock(); seen = append(seen, e) },
	})
	return out[0], seen
}

func kinds(events []event.Event, k event.Kind) (n int) {
	for _, e := range events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

func TestTagsAreSetAfterEverythingBelowThem(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("b.io", "y")
	shared := layer(src, "shared")
	root := index(src, "v1", manifest(src, "", shared, layer(src, "one")), manifest(src, "", shared, layer(src, "two")))
	out, seen := copyOne(t, src, dst, root, "v1", "latest")
	if out.Err != nil || !slices.Equal(out.Accepted.Tags, []string{"v1", "latest"}) {
		t.Fatalf("%+v", out)
	}
	if want := (oci.Blobs{Sent: 4, Bytes: int64(len("shared" + "one" + "two" + `{"os":"linux"}`))}); out.Blobs != want {
		t.Errorf("blobs %+v, want %+v", out.Blobs, want)
	}
	ops := dst.Ops()
	last := slices.Index(ops, "commit "+string(root.Digest))
	for i, op := range ops {
		if (strings.HasPrefix(op, "put ") || strings.HasPrefix(op, "commit ")) && i > last || strings.HasPrefix(op, "tag ") && i < last {
			t.Errorf("%q out of order in\n%s", op, strings.Join(ops, "\n"))
		}
	}
	if kinds(seen, event.Moved) != 4 || kinds(seen, event.Tagged) != 2 {
		t.Errorf("%d Moved events, want 4; %d Tagged events, want 2", kinds(seen, event.Moved), kinds(seen, event.Tagged))
	}
}

func TestABlobThatIsNamedManyTimesIsSentOnce(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("b.io", "y")
	same := layer(src, "same")
	out, _ := copyOne(t, src, dst, manifest(src, "v1", same, same, same), "v1")
	if out.Err != nil || out.Blobs.Sent != 2 {
		t.Errorf("%+v; want the layer and the config, once each", out)
	}
}

func TestWhatIsThereIsNotSent(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("b.io", "y")
	l := layer(src, "there")
	layer(dst, "there")
	out, _ := copyOne(t, src, dst, manifest(src, "v1", l), "v1")
	if out.Err != nil || out.Blobs.Present != 1 || out.Blobs.Sent != 1 {
		t.Errorf("%+v", out)
	}
	for _, op := range src.Ops() {
		if strings.HasPrefix(op, "blob "+string(l.Digest)) {
			t.Error("the copy read a blob that the target has")
		}
	}
}

func TestTagsStayWhereABlobFails(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("b.io", "y")
	root := manifest(src, "v1", layer(src, "one"))
	full := &fault.Fault{Kind: fault.Full, Op: "put blob"}
	dst.Fail = func(op, name string) error {
		if op == "put" {
			return full
		}
		return nil
	}
	out, _ := copyOne(t, src, dst, root, "v1")
	if !fault.Is(out.Err, fault.Full) || !strings.HasPrefix(out.Err.Error(), "target: ") || len(dst.Tagged()) != 0 || len(out.Accepted.Tags) != 0 {
		t.Errorf("%v, tags %v", out.Err, dst.Tagged())
	}
}

func TestOneRefusedTagDoesNotHoldBackTheOthers(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("b.io", "y")
	root := manifest(src, "v1")
	dst.Fail = func(op, name string) error {
		if op == "tag" && name == "locked" {
			return &fault.Fault{Kind: fault.Conflict, Op: "put manifest", Name: "b.io/y:locked"}
		}
		return nil
	}
	out, _ := copyOne(t, src, dst, root, "v1", "locked", "v2")
	if out.Err != nil || !slices.Equal(out.Accepted.Tags, []string{"v1", "v2"}) || out.Accepted.Failed["locked"].Error() != "target: put manifest b.io/y:locked: conflict" {
		t.Errorf("%+v", out)
	}
}

func TestLastTagsAreSetAfterTheOthers(t *testing.T) {
	for _, tags := range [][]string{nil, {"v1", "v1.0"}} {
		src, dst := repo("a.io", "x"), repo("b.io", "y")
		root := manifest(src, "v1")
		out := transfer.New(transfer.Options{}).Copy(t.Context(), transfer.Task{From: src, Root: root.Descriptor,
			To: []transfer.End{{Target: dst, Tags: tags, Last: []string{"latest", "stable"}}}})
		want := append(slices.Clone(tags), "latest", "stable")
		if out[0].Err != nil || !slices.Equal(out[0].Accepted.Tags, want) {
			t.Errorf("%+v, want the tags %v in this order", out[0], want)
		}
		if n := strings.Count(strings.Join(dst.Ops(), "\n"), "commit "); n != 1+min(len(tags), 1) {
			t.Errorf("the manifest was put %d times", n)
		}
	}
}

func TestWithinARepositoryOnlyTheManifestIsReadAndPut(t *testing.T) {
	m := repo("a.io", "x")
	root := index(m, "v1", manifest(m, "", layer(m, "one")))
	m.ForgetOps()
	out, _ := copyOne(t, m, m, root, "stable")
	want := []string{"document " + string(root.Digest), "commit " + string(root.Digest), "tag stable " + string(root.Digest)}
	if out.Err != nil || !slices.Equal(m.Ops(), want) {
		t.Errorf("%v\n%s", out.Err, strings.Join(m.Ops(), "\n"))
	}
}

func TestDocumentsThatAreKnownAreNotReadAgain(t *testing.T) {
	m := repo("a.io", "x")
	root := manifest(m, "v1")
	known := &transfer.Documents{}
	known.Keep(root)
	m.ForgetOps()
	out := transfer.New(transfer.Options{}).Copy(t.Context(), transfer.Task{From: m, Root: root.Descriptor,
		To: []transfer.End{{Target: m, Tags: []string{"v2"}}}, Documents: known})
	if out[0].Err != nil || strings.Contains(strings.Join(m.Ops(), "\n"), "document") {
		t.Errorf("%v\n%s", out[0].Err, strings.Join(m.Ops(), "\n"))
	}
}

func TestWithinARegistryBlobsAreMounted(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("a.io", "y")
	dst.Neighbors = []*conform.Memory{src}
	out, _ := copyOne(t, src, dst, manifest(src, "v1", layer(src, "one"), layer(src, "two")), "v1")
	if out.Err != nil || out.Blobs != (oci.Blobs{Mounted: 3}) {
		t.Errorf("%+v", out)
	}
	if ops := strings.Join(append(src.Ops(), dst.Ops()...), "\n"); strings.Contains(ops, "blob ") || strings.Contains(ops, "missing") {
		t.Errorf("the copy sent more requests than mounts need:\n%s", ops)
	}
}

func TestTheSecondEndAtARegistryMountsFromTheFirst(t *testing.T) {
	src, first, second, other := repo("a.io", "x"), repo("b.io", "one"), repo("b.io", "two"), repo("c.io", "x")
	second.Neighbors = []*conform.Memory{first}
	other.Fail = func(string, string) error { return &fault.Fault{Kind: fault.Denied, Op: "look for blobs"} }
	root := manifest(src, "v1", layer(src, "one"))
	out := transfer.New(transfer.Options{}).Copy(t.Context(), transfer.Task{From: src, Root: root.Descriptor,
		To: []transfer.End{{Target: first, Tags: []string{"v1"}}, {Target: other}, {Target: second, Tags: []string{"v1"}}}})
	if out[0].Err != nil || out[0].Blobs.Sent != 2 || out[2].Err != nil || out[2].Blobs != (oci.Blobs{Mounted: 2}) {
		t.Errorf("%+v", out)
	}
	if !fault.Is(out[1].Err, fault.Denied) {
		t.Errorf("the error of the broken End is %v, want Denied", out[1].Err)
	}
}

// F-42, t12: if the target contradicts its own claim to have a blob, the blob is sent.
func TestATargetThatLacksWhatItClaimedGetsItSent(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("b.io", "y")
	l := layer(src, "claimed")
	root := manifest(src, "v1", l)
	liar := &forgetful{Memory: dst, claims: l.Digest}
	out, seen := copyOne(t, src, liar, root, "v1")
	if out.Err != nil || !dst.Holds(l.Digest) || kinds(seen, event.Noted) != 1 {
		t.Errorf("%+v; the layer is there: %v", out, dst.Holds(l.Digest))
	}
}

// forgetful reports to have one blob which it does not have.
type forgetful struct {
	*conform.Memory
	claims oci.Digest
}

func (f *forgetful) Missing(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	lack, err := f.Memory.Missing(ctx, blobs)
	return slices.DeleteFunc(lack, func(d oci.Descriptor) bool { return d.Digest == f.claims }), err
}

// F-58: bytes that do not match their digest are read at most twice, and never committed.
// narrow is a target that counts how many puts of one document run at the same time.
type narrow struct {
	*conform.Memory
	mu   sync.Mutex
	busy map[oci.Digest]int
	most int
}

func (n *narrow) PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error) {
	n.mu.Lock()
	n.busy[doc.Digest]++
	n.most = max(n.most, n.busy[doc.Digest])
	n.mu.Unlock()
	time.Sleep(time.Second)
	n.mu.Lock()
	n.busy[doc.Digest]--
	n.mu.Unlock()
	return n.Memory.PutDocument(ctx, doc, tags...)
}

func TestOneDocumentIsPutByOneCopyAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dst := repo("a.io", "x"), &narrow{Memory: repo("b.io", "y"), busy: map[oci.Digest]int{}}
		child := manifest(src, "amd64", layer(src, "one"))
		other := index(src, "other", child)
		roots := map[string]oci.Document{"v1": index(src, "v1", child, other), "amd64": child, "same": child, "other": other}
		e := transfer.New(transfer.Options{Retries: 3})
		var wg sync.WaitGroup
		for tag, root := range roots {
			wg.Go(func() {
				out := e.Copy(t.Context(), transfer.Task{
					From: src, Root: root.Descriptor, To: []transfer.End{{Target: dst, Tags: []string{tag}}},
				})
				if out[0].Err != nil || !slices.Equal(out[0].Accepted.Tags, []string{tag}) {
					t.Errorf("%s: %+v", tag, out[0])
				}
			})
		}
		wg.Wait()
		if dst.most != 1 {
			t.Errorf("%d puts of one document at the same time", dst.most)
		}
		for tag, root := range roots {
			if d, err := dst.Resolve(t.Context(), tag); err != nil || d.Digest != root.Digest {
				t.Errorf("%s: %v %v", tag, d, err)
			}
		}
	})
}

func TestCorruptBytesAreReadOnceMoreAndThenRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		flip int // how many reads return wrong bytes
		want fault.Kind
	}{{"a passing error is healed", 1, ""}, {"a lasting one is refused", 9, fault.Corrupt}} {
		t.Run(tt.name, func(t *testing.T) {
			src, dst := repo("a.io", "x"), repo("b.io", "y")
			l := layer(src, "content")
			root := manifest(src, "v1", l)
			bad := &broken{Memory: src, blob: l.Digest, read: func(n int, body io.Reader) io.Reader {
				if n < tt.flip {
					return strings.NewReader("CONTENT")
				}
				return body
			}}
			out, _ := copyOne(t, bad, dst, root, "v1")
			if fault.KindOf(out.Err) != tt.want || dst.Holds(l.Digest) != (tt.want == "") || bad.reads > 2 {
				t.Errorf("%v after %d reads; committed: %v", out.Err, bad.reads, dst.Holds(l.Digest))
			}
			if tt.want != "" && !strings.HasPrefix(out.Err.Error(), "source: read blob a.io/x@"+string(l.Digest)+": ") {
				t.Errorf("the error does not name the source: %v", out.Err)
			}
		})
	}
}

// broken is a source that passes the bodies of one blob through read.
type broken struct {
	*conform.Memory
	blob  oci.Digest
	read  func(n int, body io.Reader) io.Reader
	seek  bool // whether it can seek; if not, every body begins at byte 0
	reads int
}

func (b *broken) Blob(ctx context.Context, d oci.Descriptor, at, n int64) (io.ReadCloser, int64, error) {
	if !b.seek {
		at, n = 0, -1
	}
	body, from, err := b.Memory.Blob(ctx, d, at, n)
	if err == nil && d.Digest == b.blob {
		body = io.NopCloser(b.read(b.reads, body))
		b.reads++
	}
	return body, from, err
}

// cutAt breaks body after n bytes.
func cutAt(body io.Reader, n int64) io.Reader {
	return io.MultiReader(io.LimitReader(body, n), failing{})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

// F-02, s01, s04: a download resumes where it broke, as long as each attempt brings bytes.
func TestABrokenDownloadGoesOnWhereItBroke(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("b.io", "y")
	l := layer(src, strings.Repeat("0123456789", 100))
	root := manifest(src, "v1", l)
	bad := &broken{Memory: src, blob: l.Digest, seek: true, read: func(n int, body io.Reader) io.Reader { return cutAt(body, 50) }}
	out, seen := copyOne(t, bad, dst, root, "v1")
	if out.Err != nil || !dst.Holds(l.Digest) || bad.reads < 20 {
		t.Fatalf("%v after %d reads", out.Err, bad.reads)
	}
	if kinds(seen, event.Retried) != 0 {
		t.Error("the copy paused although every attempt brought bytes")
	}
}

// F-03, s02: if a source begins at byte 0 again, the bytes that came before are skipped, at most twice.
func TestASourceThatCanNotSeekIsReadFromTheBeginningTwiceAtMost(t *testing.T) {
	for cuts, want := range map[int]fault.Kind{1: "", 2: "", 3: fault.Corrupt} {
		src, dst := repo("a.io", "x"), repo("b.io", "y")
		l := layer(src, strings.Repeat("0123456789", 100))
		root := manifest(src, "v1", l)
		bad := &broken{Memory: src, blob: l.Digest, read: func(n int, body io.Reader) io.Reader {
			if n%4 < cuts {
				return cutAt(body, int64(100*(n%4+1)))
			}
			return body
		}}
		out, _ := copyOne(t, bad, dst, root, "v1")
		if fault.KindOf(out.Err) != want {
			t.Errorf("%d cuts: %v, want kind %q", cuts, out.Err, want)
		}
	}
}

// F-08, F-09: a body is shorter or longer than the blob.
func TestABodyThatEndsEarlyIsGoneOnWithAndOneThatNeverEndsIsRefused(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("b.io", "y")
	l := layer(src, "0123456789")
	root := manifest(src, "v1", l)
	short := &broken{Memory: src, blob: l.Digest, seek: true, read: func(n int, body io.Reader) io.Reader { return io.LimitReader(body, 3) }}
	if out, _ := copyOne(t, short, dst, root, "v1"); out.Err != nil {
		t.Error(out.Err)
	}
	dst = repo("b.io", "y")
	long := &broken{Memory: src, blob: l.Digest, seek: true, read: func(n int, body io.Reader) io.Reader {
		return io.MultiReader(body, strings.NewReader(strings.Repeat("!", 1<<20)))
	}}
	out, _ := copyOne(t, long, dst, root, "v1")
	if !fault.Is(out.Err, fault.Corrupt) || dst.Holds(l.Digest) {
		t.Errorf("%v", out.Err)
	}
}

func TestASourceWithoutProgressIsGivenUpAfterItsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dst := repo("a.io", "x"), repo("b.io", "y")
		l := layer(src, "0123456789")
		root := manifest(src, "v1", l)
		dead := &broken{Memory: src, blob: l.Digest, seek: true, read: func(int, io.Reader) io.Reader { return failing{} }}
		start := time.Now()
		out, seen := copyOne(t, dead, dst, root, "v1")
		if !fault.Is(out.Err, fault.Unavailable) || dead.reads != 4 || kinds(seen, event.Retried) != 2 {
			t.Errorf("%v after %d reads, %d waits", out.Err, dead.reads, kinds(seen, event.Retried))
		}
		for _, e := range seen {
			if e.Kind == event.Retried && e.Host != "a.io" {
				t.Errorf("the retry names the host %q, want a.io", e.Host)
			}
		}
		if took := time.Since(start); took < 750*time.Millisecond || took > 2*time.Second {
			t.Errorf("the copy took %v, want 750ms to 2s of pauses", took)
		}
	})
}

func TestDocumentsThatCouldBeReadInTwoWaysStopTheCopyBeforeABlobMoves(t *testing.T) {
	src := repo("a.io", "x")
	l := layer(src, "one")
	twoSizes := l
	twoSizes.Size++
	img := manifest(src, "", l)
	wrongType := img
	wrongType.MediaType = oci.TypeDockerManifest
	wrongSize := img
	wrongSize.Size++
	tooBig := img
	tooBig.Size = oci.MaxDocument + 1
	deep := img
	for range 9 {
		deep = index(src, "", deep)
	}
	for _, tt := range []struct {
		name string
		root oci.Document
		want fault.Kind
	}{
		{"F-44: a child of another type than its descriptor says", index(src, "", wrongType), fault.Refused},
		{"s41: a child of another size", index(src, "", wrongSize), fault.Corrupt},
		{"F-48: a child too large to read", index(src, "", tooBig), fault.TooLarge},
		{"F-52: indexes nested too deep", deep, fault.Refused},
		{"F-55: one digest with two sizes", index(src, "", manifest(src, "", l), manifest(src, "", twoSizes)), fault.Refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dst := repo("b.io", "y")
			out, _ := copyOne(t, src, dst, tt.root, "v1")
			if fault.KindOf(out.Err) != tt.want || !strings.HasPrefix(out.Err.Error(), "source: ") || len(dst.Ops()) != 0 {
				t.Errorf("%v; the target saw %v", out.Err, dst.Ops())
			}
		})
	}
}

// F-54: a foreign layer is not copied, its descriptor stays, and a Noted event reports it.
func TestForeignLayersAreNamedAndNotCopied(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("b.io", "y")
	foreign := oci.Descriptor{MediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Digest: oci.Sum([]byte("win")), Size: 3, URLs: []string{"https://mcr.example/win"}}
	root := manifest(src, "v1", foreign, layer(src, "ours"))
	out, seen := copyOne(t, src, dst, root, "v1")
	i := slices.IndexFunc(seen, func(e event.Event) bool { return e.Kind == event.Noted })
	if out.Err != nil || out.Blobs.Sent != 2 || i < 0 || !strings.Contains(seen[i].Text, "https://mcr.example/win") {
		t.Errorf("%+v, index of the Noted event %d", out, i)
	}
}

func TestACallerWhoGivesUpIsToldSoAndNothingIsTagged(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("b.io", "y")
	root := manifest(src, "v1", layer(src, "one"))
	ctx, cancel := context.WithCancel(t.Context())
	dst.Fail = func(op, _ string) error {
		if op == "put" {
			cancel()
		}
		return nil
	}
	out := transfer.New(transfer.Options{Blobs: 1}).Copy(ctx, transfer.Task{From: src, Root: root.Descriptor, To: []transfer.End{{Target: dst, Tags: []string{"v1"}}}})
	if !fault.Is(out[0].Err, fault.Canceled) || len(dst.Tagged()) != 0 {
		t.Errorf("%v, tags %v", out[0].Err, dst.Tagged())
	}
}

// F-52: an index of 120 manifests is copied, each manifest once.
func TestAnIndexOfManyManifestsIsCopiedWhole(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("b.io", "y")
	var children []oci.Document
	for i := range 120 {
		children = append(children, manifest(src, "", layer(src, fmt.Sprint("layer ", i))))
	}
	root := index(src, "v1", children...)
	out, _ := copyOne(t, src, dst, root, "v1")
	if out.Err != nil || out.Blobs.Sent != 121 {
		t.Fatalf("%+v", out)
	}
	for _, c := range children {
		if !dst.Holds(c.Digest) {
			t.Errorf("%s did not arrive", c.Digest)
		}
	}
	got, err := dst.Document(t.Context(), "v1")
	if err != nil || !bytes.Equal(got.Raw, root.Raw) {
		t.Errorf("the index was changed: %v", err)
	}
}
