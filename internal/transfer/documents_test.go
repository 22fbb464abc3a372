package transfer

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// reader is a repository whose documents are read with a function.
type reader struct {
	Source
	repo  ref.Repo
	reads int
	read  func(ctx context.Context, reference string) (oci.Document, error)
}

func (r *reader) Repo() ref.Repo { return r.repo }

func (r *reader) Document(ctx context.Context, reference string) (oci.Document, error) {
	r.reads++
	return r.read(ctx, reference)
}

func readerOf(path string, read func(ctx context.Context, reference string) (oci.Document, error)) *reader {
	return &reader{repo: ref.Repo{Host: "a.io", Path: path}, read: read}
}

func answer(size int) func(context.Context, string) (oci.Document, error) {
	return func(_ context.Context, d string) (oci.Document, error) {
		return oci.Document{Descriptor: oci.Descriptor{Digest: oci.Digest(d)}, Raw: make([]byte, size)}, nil
	}
}

func TestADocumentIsReadOnceAndThenKept(t *testing.T) {
	var k Documents
	from := readerOf("x", answer(10))
	for range 3 {
		if doc, err := k.Read(t.Context(), from, "sha256:1"); err != nil || doc.Digest != "sha256:1" {
			t.Errorf("%v %v", doc, err)
		}
	}
	if from.reads != 1 {
		t.Errorf("%d reads", from.reads)
	}
}

func TestWhatIsKeptOfDocumentsStaysBoundedAndTheNewestStay(t *testing.T) {
	var k Documents
	from := readerOf("x", answer(maxKept/4))
	for i := range 10 {
		if _, err := k.Read(t.Context(), from, oci.Digest(fmt.Sprint("sha256:", i))); err != nil {
			t.Fatal(err)
		}
	}
	if len(k.all) != 4 || len(k.order) != 4 || k.bytes != maxKept || k.order[3] != "sha256:9" {
		t.Errorf("%d documents with %d bytes are kept: %v", len(k.all), k.bytes, k.order)
	}
	if _, err := k.Read(t.Context(), readerOf("x", answer(maxKept+1)), "sha256:large"); err != nil || len(k.all) != 4 {
		t.Errorf("a document that is too large replaced the others: %v", err)
	}
}

func TestADocumentThatWillBeNeededIsNotDropped(t *testing.T) {
	var k Documents
	needed, _ := answer(maxKept)(t.Context(), "sha256:needed")
	k.Keep(needed)
	from := readerOf("x", answer(maxKept))
	for _, d := range []oci.Digest{"sha256:1", "sha256:2", "sha256:needed"} {
		if _, err := k.Read(t.Context(), from, d); err != nil {
			t.Fatal(err)
		}
	}
	if from.reads != 2 || len(k.all) != 2 {
		t.Errorf("%d reads, %d documents are kept", from.reads, len(k.all))
	}
}

// readTogether begins a read of one document that ends with err, and lets other wait for it.
func readTogether(t *testing.T, err error, other *reader) (first, second error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var k Documents
		stop := make(chan struct{})
		from := readerOf("x", func(context.Context, string) (oci.Document, error) {
			<-stop
			return oci.Document{Descriptor: oci.Descriptor{Digest: "sha256:1"}}, err
		})
		done := make(chan error, 2)
		go func() { _, err := k.Read(t.Context(), from, "sha256:1"); done <- err }()
		synctest.Wait()
		waited := make(chan error, 1)
		go func() { _, err := k.Read(t.Context(), other, "sha256:1"); waited <- err }()
		synctest.Wait()
		if other.reads != 0 {
			t.Error("both read the document at the same time")
		}
		close(stop)
		first, second = <-done, <-waited
	})
	return first, second
}

func TestWhoNeedsADocumentThatIsBeingReadWaitsForIt(t *testing.T) {
	other := readerOf("y", answer(1))
	if first, second := readTogether(t, nil, other); first != nil || second != nil || other.reads != 0 {
		t.Errorf("%v %v, %d reads", first, second, other.reads)
	}
}

func TestAFailedReadCountsForTheSameRepositoryOnly(t *testing.T) {
	lost := errors.New("lost")
	same := readerOf("x", answer(1))
	if _, second := readTogether(t, lost, same); !errors.Is(second, lost) || same.reads != 0 {
		t.Errorf("%v, %d reads", second, same.reads)
	}
	other := readerOf("y", answer(1))
	if first, second := readTogether(t, lost, other); !errors.Is(first, lost) || second != nil || other.reads != 1 {
		t.Errorf("%v, %v, %d reads", first, second, other.reads)
	}
	same = readerOf("x", answer(1))
	canceled := &fault.Fault{Kind: fault.Canceled, Op: "read manifest"}
	if _, second := readTogether(t, canceled, same); second != nil || same.reads != 1 {
		t.Errorf("another's cancellation counted: %v, %d reads", second, same.reads)
	}
}

func TestAWaitForADocumentEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k Documents
		stop := make(chan struct{})
		defer close(stop)
		from := readerOf("x", func(context.Context, string) (oci.Document, error) { <-stop; return oci.Document{}, nil })
		go func() { _, _ = k.Read(t.Context(), from, "sha256:1") }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := k.Read(ctx, from, "sha256:1"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
