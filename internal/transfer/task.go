package transfer

import (
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/oci"
)

// Task is one image to bring over.
type Task struct {
	From    Source
	Root    oci.Descriptor
	To      []End
	Known   map[oci.Digest]oci.Document // documents read already, by digest; they are not read again
	Proof   oci.Proof                   // "" is Claimed
	Puts    Puts                        // "" is Every
	Step    int                         // stamped on events
	Observe event.Observer
}

func (t Task) tell(e event.Event) {
	e.Step = t.Step
	t.Observe.Tell(e)
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
	Blobs    oci.Blobs
	Accepted oci.Accepted
	Err      error // why the End has not all it should have; its tags that are not in Accepted.Failed were left alone
}

// tree is what discover found: every document once, and the blobs they need.
type tree struct {
	levels [][]oci.Document // levels[0] is the root alone; a document is at its deepest level
	blobs  []oci.Descriptor // each once, in the order of the documents
}

func (t *tree) root() oci.Document { return t.levels[0][0] }
