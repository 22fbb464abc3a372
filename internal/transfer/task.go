package transfer

import (
	"context"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/room"
	"github.com/drayage/dray/oci"
)

// Task describes one image to copy, from one source to any number of targets.
type Task struct {
	From Source
	Root oci.Descriptor // the manifest or index to copy
	To   []End

	// Document is the document of Root, if From does not have it, or if not all that it lists is copied: its
	// Documents are followed, whatever its bytes list. If it has no bytes, the document is read From.
	Document oci.Document

	// Sparse says that Document lists more than is copied.
	Sparse bool

	// Documents holds what was read for other images, and keeps what is read for this one. If it is
	// nil, every document is read.
	Documents *Documents

	Proof   oci.Proof // "" means oci.Claimed
	Puts    Puts      // "" means Every
	Step    int       // the step of the plan, set on each event
	Observe event.Observer
}

func (t Task) tell(e event.Event) {
	e.Step = t.Step
	t.Observe.Tell(e)
}

// End is one target of a copy. If Tags and Last are both empty, the image is stored by digest
// only.
type End struct {
	Target Target
	Tags   []string
	Last   []string // further tags that are set after Tags, such as "latest", which move with each release
	Back   *Back    // reads back what the target holds; required if Proof is oci.Hashed

	// Turn, if not nil, is called before a blob is put, and before the blob takes a place. It
	// returns either done or busy. If it returns done, the blob may be put now, and done is
	// called when the Put has ended. If it returns busy, the blob must wait: busy is closed when
	// Turn should be called again. Turn lets one repository wait while another repository of the
	// same registry receives the blob, so that it can mount the blob. If Turn is nil, no blob
	// waits.
	Turn func(d oci.Digest) (done func(), busy <-chan struct{})

	// Bring, if not nil, is called with what the target lacks of the image, if it lacks any blob. It may let others
	// bring that, and returns what the target lacks then; the rest is put as always. Other Ends do not wait for it.
	// If it returns an error, the copy to this End fails.
	Bring func(ctx context.Context, c Cargo) (lack []oci.Descriptor, err error)

	// Before, if not nil, is called when the target has everything below the root, before the root is
	// put under a tag. If it returns again, the root is put without a tag, and Before is called once more.
	// If it returns an error, the copy to this End fails and no tag is set.
	Before func(ctx context.Context) (again bool, err error)
}

// Cargo is the content of an image.
type Cargo struct {
	Documents []oci.Descriptor // all of them, the root first
	Blobs     []oci.Descriptor // all of them, each once
	Lack      []oci.Descriptor // the blobs that the target lacks, or may lack
}

// Outcome is the result of the copy to one End.
type Outcome struct {
	Blobs    oci.Blobs
	Accepted oci.Accepted

	// Err says why the copy to this End is incomplete; nil means that it is complete. If Err
	// is not nil, the tags that are in neither Accepted.Tags nor Accepted.Failed are unchanged.
	Err error
}

// tree is the result of discover: every document of the image once, and the blobs that the
// documents refer to.
type tree struct {
	levels [][]oci.Document // levels[0] holds only the root; each document is at its deepest level
	blobs  []oci.Descriptor // each blob once, in the order of the documents
	room   *room.Account    // what levels takes
}

func (t *tree) root() oci.Document { return t.levels[0][0] }

// documents returns all documents, each with the platform that an index gives it.
func (t *tree) documents() []oci.Descriptor {
	platforms := map[oci.Digest]*oci.Platform{}
	for _, level := range t.levels {
		for _, doc := range level {
			for _, c := range doc.Documents {
				platforms[c.Digest] = c.Platform
			}
		}
	}
	var all []oci.Descriptor
	for _, level := range t.levels {
		for _, doc := range level {
			d := doc.Descriptor
			d.Platform = platforms[d.Digest]
			all = append(all, d)
		}
	}
	return all
}
