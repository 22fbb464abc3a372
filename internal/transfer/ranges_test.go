package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/conform"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

const mib = 1 << 20

// line is a source that limits the bytes/s of each connection and counts the connections.
type line struct {
	*conform.Memory
	rate  int64                        // bytes/s of each connection; 0 means no limit
	whole bool                         // it ignores range requests
	cut   int64                        // each body breaks after so many bytes; 0 means never
	fail  func(at int64) error         // error for a body that is opened at byte at
	spoil func(at int64, bytes []byte) // changes the bytes that are read at byte at

	mu     sync.Mutex
	asked  [][2]int64 // at and n of each request for a large blob
	served int64
	open   int
	most   int
}

func (l *line) Blob(ctx context.Context, d oci.Descriptor, at, n int64) (io.ReadCloser, int64, error) {
	if l.fail != nil {
		if err := l.fail(at); err != nil {
			return nil, 0, err
		}
	}
	l.mu.Lock()
	if d.Size > mib {
		l.asked = append(l.asked, [2]int64{at, n})
	}
	l.open++
	l.most = max(l.most, l.open)
	l.mu.Unlock()
	if l.whole {
		at, n = 0, -1
	}
	body, from, err := l.Memory.Blob(ctx, d, at, n)
	if err != nil {
		return nil, 0, err
	}
	return &flow{line: l, ctx: ctx, body: body, at: from, left: l.cut}, from, nil
}

type flow struct {
	line *line
	ctx  context.Context
	body io.ReadCloser
	at   int64
	left int64
	once sync.Once
}

func (f *flow) Read(p []byte) (int, error) {
	p = p[:min(len(p), 64<<10)]
	if f.line.cut > 0 {
		if f.left == 0 {
			return 0, errors.New("connection reset by peer")
		}
		p = p[:min(int64(len(p)), f.left)]
	}
	n, err := f.body.Read(p)
	if f.line.rate > 0 {
		select {
		case <-time.After(time.Duration(n) * time.Second / time.Duration(f.line.rate)):
		case <-f.ctx.Done():
			return 0, context.Cause(f.ctx)
		}
	}
	if f.line.spoil != nil {
		f.line.spoil(f.at, p[:n])
	}
	f.at += int64(n)
	f.left -= int64(n)
	f.line.mu.Lock()
	f.line.served += int64(n)
	f.line.mu.Unlock()
	return n, err
}

func (f *flow) Close() error {
	f.once.Do(func() {
		f.line.mu.Lock()
		f.line.open--
		f.line.mu.Unlock()
	})
	return f.body.Close()
}

// large stores an image with layers of these sizes.
func large(m *conform.Memory, sizes ...int) oci.Document {
	var layers []oci.Descriptor
	for i, n := range sizes {
		data := make([]byte, n)
		_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(data)
		layers = append(layers, m.Preload("application/vnd.oci.image.layer.v1.tar", data))
	}
	return manifest(m, "v1", layers...)
}

// readAll is like io.ReadAll, but allocates memory for about n bytes at once. Under the race
// detector, growing the memory takes longer than reading the bytes.
func readAll(r io.Reader, n int64) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, n+bytes.MinRead))
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// bring copies root and returns how long that took.
func bring(t *testing.T, e *transfer.Engine, src transfer.Source, dst transfer.Target, root oci.Document) (transfer.Outcome, time.Duration) {
	t.Helper()
	begun := time.Now()
	out := e.Copy(t.Context(), transfer.Task{From: src, Root: root.Descriptor, To: []transfer.End{{Target: dst, Tags: []string{"v1"}}}})
	return out[0], time.Since(begun)
}

func TestALargeBlobComesOverManyConnectionsWhereEachIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &line{Memory: repo("a.io", "x"), rate: 16 * mib}
		root := large(src.Memory, 112*mib)
		out, took := bring(t, transfer.New(transfer.Options{}), src, repo("b.io", "y"), root)
		if out.Err != nil || out.Blobs.Sent != 2 {
			t.Fatalf("%+v", out)
		}
		if took > 2*time.Second { // one connection takes 7
			t.Errorf("took %v", took)
		}
		if config := root.Blobs[0].Size; src.served != 112*mib+config {
			t.Errorf("%d bytes were read, want %d", src.served, 112*mib+config)
		}
		for _, a := range src.asked {
			if a[1] < 0 {
				t.Errorf("the copy requested an open range from byte %d, want only closed ranges", a[0])
			}
		}
		if src.most != 21 || src.open != 0 {
			t.Errorf("%d connections at once, want 21; %d left open", src.most, src.open)
		}
	})
}

func TestWhatIsKnownOfAPathIsUsedFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &line{Memory: repo("a.io", "x"), rate: 16 * mib}
		e := transfer.New(transfer.Options{})
		if out, _ := bring(t, e, src, repo("b.io", "y"), large(src.Memory, 112*mib)); out.Err != nil {
			t.Fatal(out.Err)
		}
		out, took := bring(t, e, src, repo("b.io", "z"), large(src.Memory, 112*mib))
		if out.Err != nil || took > time.Second {
			t.Errorf("%v in %v", out.Err, took)
		}
	})
}

func TestOneConnectionIsEnoughWhereTheSourceIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, tt := range map[string]struct{ from, to int64 }{"a fast source": {}, "a slow target": {200 * mib, 20 * mib}} {
			src := &line{Memory: repo("a.io", "x"), rate: tt.from}
			e := transfer.New(transfer.Options{})
			root := large(src.Memory, 64*mib)
			for i, want := range []int{2, 1} { // the first copy finds out that one connection is enough
				src.asked, src.most = nil, 0
				dst := &slowly{Memory: repo("b.io", "y"), rate: tt.to}
				if out, _ := bring(t, e, src, dst, root); out.Err != nil || len(src.asked) != want || src.most > 2 {
					t.Errorf("%s, copy %d: %v; the layer was requested as %v (at, n)", name, i, out.Err, src.asked)
				}
			}
		}
	})
}

func TestAFileIsReadFromItsBeginningToItsEndHoweverSlowTheDiskIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, host := range []string{ref.Layout, ref.Archive, ref.DockerArchive, ref.Directory} {
			src := &line{Memory: conform.New(ref.Repo{Host: host, Dir: "x"}), rate: 16 * mib}
			out, _ := bring(t, transfer.New(transfer.Options{}), src, repo("b.io", "y"), large(src.Memory, 64*mib))
			if out.Err != nil || len(src.asked) != 1 || src.most > 2 {
				t.Errorf("%s: %v; the layer was requested as %v (at, n)", host, out.Err, src.asked)
			}
		}
	})
}

// slowly is a target that reads at most rate bytes/s.
type slowly struct {
	*conform.Memory
	rate int64
}

func (s *slowly) Put(ctx context.Context, d oci.Descriptor, likely []ref.Repo, open oci.Opener) (oci.Arrival, error) {
	return s.Memory.Put(ctx, d, likely, func(ctx context.Context, at int64) (io.ReadCloser, error) {
		body, err := open(ctx, at)
		if err != nil || s.rate == 0 {
			return body, err
		}
		return &resting{body, s.rate}, nil
	})
}

type resting struct {
	io.ReadCloser
	rate int64
}

func (r *resting) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	time.Sleep(time.Duration(n) * time.Second / time.Duration(r.rate))
	return n, err
}

func TestASourceThatIgnoresRangesIsReadOnceOverOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &line{Memory: repo("a.io", "x"), rate: 16 * mib, whole: true}
		root := large(src.Memory, 64*mib)
		e := transfer.New(transfer.Options{})
		for i, want := range []int{2, 1} {
			src.asked, src.served = nil, 0
			out, _ := bring(t, e, src, repo("b.io", "y"), root)
			if out.Err != nil || src.served != 64*mib+root.Blobs[0].Size || len(src.asked) != want || src.open != 0 {
				t.Errorf("copy %d: %v; %d bytes were read, requested as %v (at, n)", i, out.Err, src.served, src.asked)
			}
		}
	})
}

// F-02: each part resumes by itself where it broke.
func TestPartsThatBreakGoOnWhereTheyBroke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &line{Memory: repo("a.io", "x"), rate: 16 * mib, cut: 3 * mib}
		root := large(src.Memory, 96*mib)
		out, took := bring(t, transfer.New(transfer.Options{}), src, repo("b.io", "y"), root)
		if out.Err != nil || src.served != 96*mib+root.Blobs[0].Size || took > 3*time.Second {
			t.Errorf("%v; %d bytes were read in %v", out.Err, src.served, took)
		}
	})
}

func TestADownloadThatBeginsInTheMiddleIsWideToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &line{Memory: repo("a.io", "x"), rate: 16 * mib}
		root := large(src.Memory, 120*mib)
		layer := root.Blobs[1]
		dst := &midway{Memory: repo("b.io", "y"), at: 10*mib + 7}
		out, took := bring(t, transfer.New(transfer.Options{}), src, dst, root)
		body, _, err := src.Memory.Blob(t.Context(), layer, dst.at, -1)
		if err != nil || out.Err != nil {
			t.Fatal(err, out.Err)
		}
		if want, _ := readAll(body, layer.Size-dst.at); !bytes.Equal(dst.got, want) {
			t.Errorf("%d bytes arrived, want %d, or they differ", len(dst.got), len(want))
		}
		if rest := layer.Size - dst.at + root.Blobs[0].Size; src.served != rest || took > 2*time.Second {
			t.Errorf("%d bytes were read, want %d; it took %v", src.served, rest, took)
		}
	})
}

// midway is a target that already holds the beginning of large blobs.
type midway struct {
	*conform.Memory
	at  int64
	got []byte
}

func (m *midway) Put(ctx context.Context, d oci.Descriptor, likely []ref.Repo, open oci.Opener) (oci.Arrival, error) {
	if d.Size < m.at {
		return m.Memory.Put(ctx, d, likely, open)
	}
	body, err := open(ctx, m.at)
	if err != nil {
		return oci.Arrival{}, err
	}
	defer body.Close()
	m.got, err = readAll(body, d.Size-m.at)
	return oci.Arrival{Way: oci.Sent}, err
}

func (m *midway) PutDocument(context.Context, oci.Document, ...string) (oci.Accepted, error) {
	return oci.Accepted{}, nil
}

func TestBlobsThatFillThePlacesAreReadOverOneConnectionEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &line{Memory: repo("a.io", "x"), rate: 16 * mib}
		root := large(src.Memory, 40*mib, 40*mib, 40*mib, 40*mib)
		out, _ := bring(t, transfer.New(transfer.Options{Blobs: 2}), src, repo("b.io", "y"), root)
		if out.Err != nil || src.most > 3 { // two layers and the config
			t.Errorf("%v; %d connections at once", out.Err, src.most)
		}
	})
}

func TestPartsTakeNoMoreMemoryThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			ahead int64
			most  int
		}{{8 * mib, 3}, {1, 1}} {
			src := &line{Memory: repo("a.io", "x"), rate: 16 * mib}
			e := transfer.New(transfer.Options{Ahead: tt.ahead})
			root := large(src.Memory, 64*mib)
			src.most = 0
			out, _ := bring(t, e, src, repo("b.io", "y"), root)
			if out.Err != nil || src.most > tt.most+1 || src.served != 64*mib+root.Blobs[0].Size {
				t.Errorf("%d bytes ahead: %v; %d connections at once, %d bytes", tt.ahead, out.Err, src.most, src.served)
			}
		}
	})
}

func TestAPartThatCanNotBeReadEndsTheCopyAndAllItsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := &fault.Fault{Kind: fault.NotFound, Op: "read blob"}
		src := &line{Memory: repo("a.io", "x"), rate: 16 * mib, fail: func(at int64) error {
			if at > 40*mib {
				return gone
			}
			return nil
		}}
		dst := repo("b.io", "y")
		out, _ := bring(t, transfer.New(transfer.Options{}), src, dst, large(src.Memory, 96*mib))
		if !errors.Is(out.Err, gone) && !fault.Is(out.Err, fault.NotFound) || src.open != 0 || len(dst.Tagged()) != 0 {
			t.Errorf("%v; %d connections left open", out.Err, src.open)
		}
	})
}

func TestACopyThatIsGivenUpLeavesNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &line{Memory: repo("a.io", "x"), rate: 16 * mib}
		root := large(src.Memory, 96*mib)
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		out := transfer.New(transfer.Options{}).Copy(ctx, transfer.Task{From: src, Root: root.Descriptor, To: []transfer.End{{Target: repo("b.io", "y")}}})
		if !fault.Is(out[0].Err, fault.Canceled) || src.open != 0 || src.most < 6 {
			t.Errorf("%v; %d connections, %d left open", out[0].Err, src.most, src.open)
		}
	})
}

func TestAPartWithOtherBytesIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var once sync.Once
		src := &line{Memory: repo("a.io", "x"), rate: 16 * mib}
		src.spoil = func(at int64, b []byte) {
			if at > 20*mib {
				once.Do(func() { b[0]++ })
			}
		}
		dst := repo("b.io", "y")
		root := large(src.Memory, 64*mib)
		if out, _ := bring(t, transfer.New(transfer.Options{}), src, dst, root); out.Err != nil || !dst.Holds(root.Blobs[1].Digest) {
			t.Errorf("%+v", out)
		}
	})
}

func TestSmallBlobsDoNotWaitBehindLargeOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &line{Memory: repo("a.io", "x"), rate: mib}
		e := transfer.New(transfer.Options{Blobs: 2})
		root := large(src.Memory, 20*mib, 20*mib, 20*mib)
		little := large(src.Memory, 1000)
		var wg sync.WaitGroup
		wg.Go(func() {
			if out, _ := bring(t, e, src, repo("b.io", "y"), root); out.Err != nil {
				t.Error(out.Err)
			}
		})
		time.Sleep(time.Second) // all places are taken
		if out, took := bring(t, e, src, repo("b.io", "z"), little); out.Err != nil || took > time.Second {
			t.Errorf("%v after %v", out.Err, took)
		}
		wg.Wait()
	})
}

func TestABlobThatSeveralImagesNeedIsPutOnceAndHoldsOnePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &line{Memory: repo("a.io", "x"), rate: mib}
		dst := repo("b.io", "y")
		e := transfer.New(transfer.Options{Blobs: 2})
		shared := src.Preload("application/vnd.oci.image.layer.v1.tar", make([]byte, 10*mib))
		var wg sync.WaitGroup
		for i := range 5 {
			own := src.Preload("application/vnd.oci.image.layer.v1.tar", bytes.Repeat([]byte{byte(i + 1)}, 2*mib))
			root := manifest(src.Memory, "", shared, own)
			wg.Go(func() {
				if out, _ := bring(t, e, src, dst, root); out.Err != nil {
					t.Error(out.Err)
				}
			})
		}
		begun := time.Now()
		wg.Wait()
		if took := time.Since(begun); took > 11*time.Second { // while the shared blob moves, the other five use the second place
			t.Errorf("took %v", took)
		}
		if n := len(slices.DeleteFunc(dst.Ops(), func(op string) bool { return op != "put "+string(shared.Digest)+" sent" })); n != 1 {
			t.Errorf("the shared blob was sent %d times", n)
		}
	})
}

func TestADocumentThatSeveralImagesNeedAtOnceIsPutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dst := repo("a.io", "x"), repo("b.io", "y")
		dst.Fail = func(op, _ string) error {
			if op == "commit" {
				time.Sleep(time.Second)
			}
			return nil
		}
		shared := manifest(src, "", layer(src, "one"))
		e := transfer.New(transfer.Options{})
		var wg sync.WaitGroup
		for i := range 5 {
			root := index(src, "", shared, manifest(src, "", layer(src, fmt.Sprint("own ", i))))
			wg.Go(func() {
				if out, _ := bring(t, e, src, dst, root); out.Err != nil {
					t.Error(out.Err)
				}
			})
		}
		wg.Wait()
		if n := strings.Count(strings.Join(dst.Ops(), "\n"), "commit "+string(shared.Digest)); n != 1 {
			t.Errorf("the shared manifest was put %d times, want once", n)
		}
	})
}

func TestABlobIsNotPutBeforeItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dst := repo("a.io", "x"), repo("b.io", "y")
		root := large(src, 2*mib, 3*mib)
		other := make(chan struct{})
		var mu sync.Mutex
		turns, ended := 0, 0
		e := transfer.New(transfer.Options{Blobs: 1})
		begun := time.Now()
		time.AfterFunc(time.Minute, func() { close(other) })
		out := e.Copy(t.Context(), transfer.Task{From: src, Root: root.Descriptor, To: []transfer.End{{Target: dst, Tags: []string{"v1"},
			Turn: func(d oci.Digest) (func(), <-chan struct{}) {
				if d == root.Blobs[1].Digest && time.Since(begun) < time.Minute {
					return nil, other
				}
				mu.Lock()
				defer mu.Unlock()
				turns++
				return func() { mu.Lock(); defer mu.Unlock(); ended++ }, nil
			}}}})
		if out[0].Err != nil || turns != 3 || ended != 3 {
			t.Errorf("%+v; %d turns, %d ended, want 3 of each", out[0], turns, ended)
		}
		ops := slices.DeleteFunc(dst.Ops(), func(op string) bool { return !strings.HasPrefix(op, "put ") })
		if len(ops) != 3 || ops[2] != "put "+string(root.Blobs[1].Digest)+" sent" {
			t.Errorf("the waiting blob held the only place, or it did not wait for its turn:\n%s", strings.Join(ops, "\n"))
		}
	})
}

func TestBandwidthHoldsForAllCopiesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := repo("a.io", "x")
		e := transfer.New(transfer.Options{Bandwidth: 4 * mib})
		root := large(src, 10*mib, 10*mib)
		begun := time.Now()
		var wg sync.WaitGroup
		for _, to := range []string{"b.io", "c.io"} {
			wg.Go(func() {
				if out, _ := bring(t, e, src, repo(to, "y"), root); out.Err != nil {
					t.Error(out.Err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(begun); took < 9500*time.Millisecond || took > 11*time.Second {
			t.Errorf("40 MiB at 4 MiB/s took %v, want about 10s", took)
		}
	})
}
