package transfer_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/conform"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
)

// proven copies root from src to dst with the options of task.
func proven(t *testing.T, task transfer.Task, src, dst *conform.Memory, root oci.Document, tags ...string) transfer.Outcome {
	t.Helper()
	task.From, task.Root = src, root.Descriptor
	task.To = []transfer.End{{Target: dst, Tags: tags, Back: transfer.NewBack(dst)}}
	return transfer.New(transfer.Options{Retries: 3}).Copy(t.Context(), task)[0]
}

func count(ops []string, prefix string) (n int) {
	for _, op := range ops {
		if strings.HasPrefix(op, prefix) {
			n++
		}
	}
	return n
}

// twins are two repositories that hold one image of two layers.
func twins() (src, dst *conform.Memory, root oci.Document, one, two oci.Descriptor) {
	src, dst = repo("a.io", "x"), repo("b.io", "y")
	for _, m := range []*conform.Memory{src, dst} {
		one, two = layer(m, "one"), layer(m, "two")
		root = manifest(m, "v1", one, two)
	}
	return src, dst, root, one, two
}

func TestAProvenCopyAsksForEachBlobAndPutsEveryDocumentAgain(t *testing.T) {
	src, dst, root, one, _ := twins()
	dst.Drop(one.Digest)
	out := proven(t, transfer.Task{Proof: oci.Sized}, src, dst, root, "v1")
	if want := (oci.Blobs{Sent: 1, Present: 2, Bytes: 3, Proven: 3}); out.Err != nil || out.Blobs != want {
		t.Fatalf("%+v", out)
	}
	ops := dst.Ops()
	if count(ops, "missing") != 0 || count(ops, "prove") != 2 || count(ops, "commit "+string(root.Digest)) != 1 || count(ops, "tag v1") != 1 {
		t.Errorf("%s", strings.Join(ops, "\n"))
	}
	sent, again := slices.Index(ops, "put "+string(one.Digest)+" sent"), slices.Index(ops, "prove "+string(one.Digest))
	if sent < 0 || again < sent {
		t.Errorf("the copy did not ask for the blob after it had sent it:\n%s", strings.Join(ops, "\n"))
	}
}

func TestABlobOfAnotherSizeIsSentAgain(t *testing.T) {
	src, dst, root, one, _ := twins()
	dst.Spoil(one.Digest, []byte("o"))
	out := proven(t, transfer.Task{Proof: oci.Sized}, src, dst, root, "v1")
	if out.Err != nil || out.Blobs.Sent != 1 || out.Blobs.Proven != 3 {
		t.Errorf("%+v", out)
	}
}

func TestAMountIsProvenToo(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("a.io", "y")
	dst.Neighbors = []*conform.Memory{src}
	root := manifest(src, "v1", layer(src, "one"))
	out := proven(t, transfer.Task{Proof: oci.Sized}, src, dst, root, "v1")
	if out.Err != nil || out.Blobs.Mounted != 2 || out.Blobs.Proven != 2 || count(dst.Ops(), "prove") != 2 {
		t.Errorf("%+v\n%s", out, strings.Join(dst.Ops(), "\n"))
	}
}

func TestNoTagIsSetOnABlobThatIsTakenAndNotShown(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("b.io", "y")
	one := layer(src, "one")
	root := manifest(src, "v1", one)
	dst.Fail = func(op, name string) error {
		if op == "proof" && name == string(one.Digest) {
			return &fault.Fault{Kind: fault.NotFound, Op: "look for blob"}
		}
		return nil
	}
	out := proven(t, transfer.Task{Proof: oci.Sized}, src, dst, root, "v1")
	if !fault.Is(out.Err, fault.Corrupt) || !strings.HasPrefix(out.Err.Error(), "target: prove blob b.io/y@"+string(one.Digest)) || len(dst.Tagged()) != 0 || out.Blobs.Proven != 0 {
		t.Errorf("%v, %+v, tags %v", out.Err, out.Blobs, dst.Tagged())
	}
}

func TestATargetThatCanNotBeAskedProvesNothing(t *testing.T) {
	src, dst, root, _, _ := twins()
	dst.Fail = func(op, _ string) error {
		if op == "prove" {
			return &fault.Fault{Kind: fault.Denied, Op: "look for blob"}
		}
		return nil
	}
	if out := proven(t, transfer.Task{Proof: oci.Sized}, src, dst, root, "v2"); !fault.Is(out.Err, fault.Denied) || dst.Tagged()["v2"] != "" {
		t.Errorf("%+v", out)
	}
}

func TestBytesThatDifferAreSentAgainWhenTheyAreRead(t *testing.T) {
	src, dst, root, one, _ := twins()
	dst.Spoil(one.Digest, []byte("0ne"))
	if out := proven(t, transfer.Task{Proof: oci.Sized}, src, dst, root, "v1"); out.Err != nil || out.Blobs.Sent != 0 {
		t.Fatalf("sizes alone: %+v", out)
	}
	dst.ForgetOps()
	out := proven(t, transfer.Task{Proof: oci.Hashed}, src, dst, root, "v1")
	if want := (oci.Blobs{Sent: 1, Present: 2, Bytes: 3, Proven: 3}); out.Err != nil || out.Blobs != want {
		t.Fatalf("%+v", out)
	}
	if n := count(dst.Ops(), "blob "+string(one.Digest)); n != 2 {
		t.Errorf("the blob was read %d times, want once before the copy and once after it", n)
	}
	if n := count(dst.Ops(), "blob "); n != 4 {
		t.Errorf("%d blobs were read, want 4:\n%s", n, strings.Join(dst.Ops(), "\n"))
	}
}

// keeper is a registry that keeps the bytes it has, even when it receives others.
type keeper struct{ *conform.Memory }

func (k keeper) Distrust([]oci.Descriptor) {}

func TestBytesThatTheTargetKeepsAreAnErrorAndNoTagMoves(t *testing.T) {
	src, dst, root, one, _ := twins()
	dst.Spoil(one.Digest, []byte("0ne"))
	task := transfer.Task{From: src, Root: root.Descriptor, Proof: oci.Hashed, To: []transfer.End{{Target: keeper{dst}, Tags: []string{"v2"}, Back: transfer.NewBack(dst)}}}
	out := transfer.New(transfer.Options{}).Copy(t.Context(), task)[0]
	if !fault.Is(out.Err, fault.Corrupt) || fault.HintOf(out.Err) == "" || dst.Tagged()["v2"] != "" {
		t.Errorf("%v, tags %v", out.Err, dst.Tagged())
	}
}

func TestHealingPutsOnlyWhatIsLacking(t *testing.T) {
	src, dst := repo("a.io", "x"), repo("b.io", "y")
	var root, first, second oci.Document
	var lost oci.Descriptor
	for _, m := range []*conform.Memory{src, dst} {
		lost = layer(m, "two")
		first, second = manifest(m, "", layer(m, "one")), manifest(m, "", lost)
		root = index(m, "v1", first, second)
	}
	dst.Drop(second.Digest)
	dst.Drop(lost.Digest)
	out := proven(t, transfer.Task{Proof: oci.Sized, Puts: transfer.Lacking}, src, dst, root)
	ops := dst.Ops()
	if out.Err != nil || out.Blobs.Sent != 1 || count(ops, "commit ") != 1 || count(ops, "commit "+string(second.Digest)) != 1 || count(ops, "tag ") != 0 {
		t.Errorf("%+v\n%s", out, strings.Join(ops, "\n"))
	}
}

func TestABlobThatWasRightIsReadBackOnce(t *testing.T) {
	m := repo("a.io", "x")
	one := layer(m, "one")
	e, back := transfer.New(transfer.Options{}), transfer.NewBack(m)
	for range 3 {
		if err := e.Check(t.Context(), back, one); err != nil {
			t.Fatal(err)
		}
	}
	if count(m.Ops(), "blob") != 1 {
		t.Errorf("%v", m.Ops())
	}
	m.Spoil(one.Digest, []byte("0ne"))
	err := e.Check(t.Context(), transfer.NewBack(m), one)
	if !fault.Is(err, fault.Corrupt) || strings.HasPrefix(err.Error(), "source") {
		t.Error(err)
	}
}
