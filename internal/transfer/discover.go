package transfer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/room"
	"github.com/drayage/dray/oci"
)

// maxLevels is how many levels of nested indexes one image may have.
const maxLevels = 8

// discover reads the root and every document below it, level by level, and validates all of them
// before any blob moves. If every End is in the source repository, it reads only the root. A level
// is read when there is room for all of it, by the sizes that the levels above say.
func (e *Engine) discover(ctx context.Context, t Task, room *room.Account) (*tree, error) {
	var levels [][]oci.Document
	parents, held := map[oci.Digest]oci.Digest{}, int64(0)
	for level := []oci.Descriptor{t.Root}; len(level) > 0; {
		if len(levels) == maxLevels {
			return nil, refuse(t.Root, "indexes are nested deeper than %d levels", maxLevels)
		}
		sum, err := oci.Weigh(t.Root.Digest, held, level)
		if err != nil {
			return nil, err
		}
		if err := room.Take(ctx, sum-held); err != nil {
			return nil, err
		}
		held = sum
		docs := []oci.Document{t.Document}
		if len(levels) > 0 || t.Document.Raw == nil {
			if docs, err = e.read(ctx, t, level, parents); err != nil {
				return nil, err
			}
		}
		levels = append(levels, docs)
		if err := room.Take(ctx, partsOf(docs)); err != nil {
			return nil, err
		}
		if onlyRenames(t) {
			break
		}
		level = nil
		for _, d := range docs {
			level = append(level, d.Documents...)
			for _, child := range d.Documents {
				parents[child.Digest] = d.Digest
			}
		}
		level = firstOfEach(level)
	}
	found := &tree{levels: keepDeepest(levels), room: room}
	var err error
	found.blobs, err = blobsOf(found.levels)
	return found, err
}

// partsOf returns the memory in bytes that what documents list takes, in addition to their bytes.
func partsOf(docs []oci.Document) (sum int64) {
	const each = 256
	for _, d := range docs {
		sum += each * int64(len(d.Blobs)+len(d.Documents)+len(d.Foreign))
	}
	return sum
}

func onlyRenames(t Task) bool {
	return !slices.ContainsFunc(t.To, func(end End) bool { return !end.Target.Repo().Same(t.From.Repo()) })
}

// read reads the documents of a level. parents has the document that lists each of them, except for
// the root.
func (e *Engine) read(
	ctx context.Context, t Task, level []oci.Descriptor, parents map[oci.Digest]oci.Digest,
) ([]oci.Document, error) {
	docs := make([]oci.Document, len(level))
	// An error stops only the reads that have not begun. Those in progress are not canceled,
	// because a registry that counts pulls has already counted them.
	err := each(ctx, in[oci.Descriptor](e.requests), level, func(_ context.Context, i int, d oci.Descriptor) (err error) {
		docs[i], err = readDocument(ctx, t, d)
		if parent, child := parents[d.Digest]; child && fault.Is(err, fault.NotFound) {
			return oci.Lacks(t.From.Repo(), parent, d, err)
		}
		return err
	})
	return docs, err
}

// readDocument reads one document by digest and checks it against its parent's descriptor.
func readDocument(ctx context.Context, t Task, want oci.Descriptor) (oci.Document, error) {
	if want.Size > oci.MaxDocument {
		return oci.Document{}, &fault.Fault{
			Kind: fault.TooLarge,
			Op:   "read manifest",
			Name: string(want.Digest),
			Err:  fmt.Errorf("%d bytes; the limit is %d", want.Size, oci.MaxDocument),
		}
	}
	doc, err := t.Documents.Read(ctx, t.From, want.Digest)
	if err != nil {
		return oci.Document{}, err
	}
	switch {
	case doc.Digest != want.Digest:
		return oci.Document{}, &fault.Fault{
			Kind: fault.Corrupt,
			Op:   "read manifest",
			Name: string(want.Digest),
			Err:  fmt.Errorf("the source served %s instead", doc.Digest),
		}
	case want.Size != 0 && doc.Size != want.Size:
		return oci.Document{}, &fault.Fault{
			Kind: fault.Corrupt,
			Op:   "read manifest",
			Name: string(want.Digest),
			Err:  fmt.Errorf("it has %d bytes, but its descriptor says %d", doc.Size, want.Size),
		}
	case want.MediaType != "" && !strings.EqualFold(doc.MediaType, want.MediaType):
		return oci.Document{}, refuse(want, "its descriptor says the media type %s, but it is %s",
			want.MediaType, doc.MediaType)
	}
	return doc, nil
}

func firstOfEach(list []oci.Descriptor) []oci.Descriptor {
	seen := make(map[oci.Digest]bool, len(list))
	return slices.DeleteFunc(list, func(d oci.Descriptor) bool {
		was := seen[d.Digest]
		seen[d.Digest] = true
		return was
	})
}

// keepDeepest keeps each document only at its deepest level, so that it is put before every
// document that refers to it.
func keepDeepest(levels [][]oci.Document) [][]oci.Document {
	seen := map[oci.Digest]bool{}
	for i, level := range slices.Backward(levels) {
		levels[i] = slices.DeleteFunc(level, func(d oci.Document) bool {
			was := seen[d.Digest]
			seen[d.Digest] = true
			return was
		})
	}
	return levels
}

// blobsOf lists the blobs of all documents, each once.
func blobsOf(levels [][]oci.Document) ([]oci.Descriptor, error) {
	var blobs []oci.Descriptor
	sizes := map[oci.Digest]int64{}
	for _, level := range levels {
		for _, doc := range level {
			for _, b := range doc.Blobs {
				size, seen := sizes[b.Digest]
				if seen && size != b.Size {
					return nil, refuse(b, "two manifests list it with different sizes, %d and %d bytes", size, b.Size)
				}
				if !seen {
					sizes[b.Digest] = b.Size
					blobs = append(blobs, b)
				}
			}
		}
	}
	return blobs, nil
}

// tellForeign reports the foreign layers, which are not copied because their publisher serves
// them.
func (t Task) tellForeign(found *tree) {
	var at []string
	for _, level := range found.levels {
		for _, doc := range level {
			for _, f := range doc.Foreign {
				at = append(at, strings.TrimSpace(string(f.Digest)+" "+strings.Join(f.URLs, " ")))
			}
		}
	}
	if len(at) > 0 {
		t.tell(event.Event{
			Kind:   event.Noted,
			Digest: string(t.Root.Digest),
			Text: fmt.Sprintf("%d foreign layers are not copied, because their publisher serves them; "+
				"use --include-foreign to copy them: %s", len(at), strings.Join(at, ", ")),
		})
	}
}

func refuse(d oci.Descriptor, format string, args ...any) error {
	return &fault.Fault{Kind: fault.Refused, Op: "read manifest", Name: string(d.Digest), Err: fmt.Errorf(format, args...)}
}
