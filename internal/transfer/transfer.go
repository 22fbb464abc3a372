// Package transfer moves one image from a source repository to target
// repositories. It knows digests and bytes; it knows no plans, no credentials,
// no command line and no server.
//
// copy.go is the walk; its four steps are four files, in the order they run:
//
//	discover.go  read the documents under the root, validate them
//	missing.go   ask a target what it lacks
//	move.go      bring the blobs: mount, or stream with resume
//	commit.go    put the documents, children first, then the tags
//
// move reads through a download (download.go): over one connection (stream.go), or
// over several that bring parts (ranges.go, room.go), or once for Ends at several
// registries (joint.go, fan.go). places.go and flights.go say when a blob may go,
// pace.go how fast.
//
// proof.go is what missing, move and commit do besides where a target is not believed.
package transfer

import (
	"context"
	"io"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Source is one repository to read from. Its methods are safe for concurrent use;
// their errors are *fault.Fault without a Side.
type Source interface {
	// Repo is the identity of the repository: between equal Repos no byte has to move.
	Repo() ref.Repo

	// Resolve asks what a tag or digest points to: one HEAD, where that is enough. NotFound when it is not there.
	Resolve(ctx context.Context, reference string) (oci.Descriptor, error)

	// Document reads a manifest or an index by tag or digest: one GET. Read by
	// digest, its bytes are verified against it; by tag, the document's Digest is
	// that of the bytes.
	Document(ctx context.Context, reference string) (oci.Document, error)

	// Blob reads n bytes of d from byte at on; n < 0 reads to the end. The body
	// begins at byte from, which may be less than at where the source can not
	// seek: then it goes on to the end of d. What it yields is not verified; it may break off with any error.
	Blob(ctx context.Context, d oci.Descriptor, at, n int64) (body io.ReadCloser, from int64, err error)

	// Referrers lists the documents whose subject is d. None is an empty list.
	Referrers(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error)
}

// Target is one repository to write to. Its methods are safe for concurrent use;
// their errors are *fault.Fault without a Side.
type Target interface {
	// Repo is the identity of the repository.
	Repo() ref.Repo

	// Resolve asks what a tag or digest points to. NotFound when it is not there.
	Resolve(ctx context.Context, reference string) (oci.Descriptor, error)

	// Missing returns those of blobs that the repository lacks, in the same order.
	// It asks in the way that costs least: nothing at all of a repository known
	// to be empty.
	Missing(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error)

	// Prove is Missing for whoever believes nothing: each blob is asked for now, and one
	// that is there with another size is missing. What was proven is not asked for again
	// until it is put or distrusted. A repository that can not be asked is an error.
	Prove(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error)

	// Distrust says that what the repository shows of blobs is wrong: the next Put of
	// each sends its bytes, whatever is there, and mounts nothing.
	Distrust(blobs []oci.Descriptor)

	// Put brings d into the repository. likely names repositories that may hold
	// d: where one is at the same registry the target first tries to mount from
	// it. Otherwise it reads d through open, from byte 0 or wherever it can go
	// on, and commits only what matches d's size and digest; a mismatch is
	// Corrupt and leaves nothing behind. An error of open comes back as it is,
	// with its Side, and is not retried here.
	Put(ctx context.Context, d oci.Descriptor, likely []ref.Repo, open oci.Opener) (oci.Arrival, error)

	// PutDocument stores doc's bytes as they are, by digest and under each of
	// tags, and returns only when the target confirmed doc's digest. A tag that
	// is refused does not hold back the others: it is in Accepted.Failed. The
	// error is for a document that could not be stored at all: NotFound when
	// the target says that something below it is missing.
	PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error)
}

// Task is one image to bring over.
type Task struct {
	From    Source
	Root    oci.Descriptor
	To      []End
	Known   map[oci.Digest]oci.Document // documents read already, by digest; they are not read again
	Proof   Proof                       // "" is Claimed
	Puts    Puts                        // "" is Every
	Step    int                         // stamped on events
	Observe event.Observer
}

// End is where an image goes. Without Tags it arrives by digest only.
type End struct {
	Target Target
	Tags   []string
	Last   []string // further tags, set once Tags are: names that move from release to release
	Back   *Back    // the same repository, to read from; for Hashed alone

	// Turn is asked before a blob is put, and while it takes up no place: done is
	// called when the Put has ended, or busy is closed when it is worth asking again.
	// It lets one repository of a registry wait for what another is being sent, to
	// mount that. Nil never waits.
	Turn func(d oci.Digest) (done func(), busy <-chan struct{})
}

// Outcome is what became of one End.
type Outcome struct {
	Blobs    Blobs
	Accepted oci.Accepted
	Err      error // why the End has not all it should have; its tags that are not in Accepted.Failed were left alone
}

// Blobs counts what happened to the blobs of one End.
type Blobs struct {
	Sent    int   `json:"sent"`             // blobs whose bytes went over the network
	Mounted int   `json:"mounted"`          // blobs that the registry linked
	Present int   `json:"present"`          // blobs that were there
	Bytes   int64 `json:"bytes"`            // size in bytes of the blobs sent
	Proven  int   `json:"proven,omitempty"` // blobs that the target was asked for, and has: see Proof
}

func (t Task) tell(e event.Event) {
	e.Step = t.Step
	t.Observe.Tell(e)
}
