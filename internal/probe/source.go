package probe

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/nearest"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/report"
)

// source checks whether the image can be read, and how.
func (c *checker) source(ctx context.Context) {
	if !c.session.Base.Elsewhere(c.name.Repo) {
		c.sourceLayout(ctx)
		return
	}
	if !c.begin(ctx, remote.Pull) || !c.pull(ctx) {
		return
	}
	if c.traits.Product == "dockerhub" {
		// A test would read a manifest, which counts as a pull.
		c.note("content", report.Unknown, "not looked at: to read a manifest counts as a pull", "")
		c.note("ranges", report.OK, "known: an interrupted download can be resumed", "")
	} else if blobs, ok := c.content(ctx, c.repo); ok {
		c.ranges(ctx, blobs)
	}
	c.referrers(ctx, c.found)
}

func (c *checker) sourceLayout(ctx context.Context) {
	at, err := c.session.Source(ctx, c.name.Repo)
	if err == nil {
		c.found, err = at.Resolve(ctx, survey.Reference(c.name))
	}
	if err != nil {
		c.fail("tag", fault.KindOf(err), causeOf(err), fault.HintOf(nearest.Hint(ctx, c.session, c.name, err)))
		return
	}
	c.note("tag", report.OK, "found: "+string(c.found.Digest), "")
	c.content(ctx, at)
}

// ranges tests range requests: it reads one byte of the smallest blob.
func (c *checker) ranges(ctx context.Context, blobs []oci.Descriptor) {
	small, ok := smallest(blobs)
	if !ok {
		return
	}
	switch yes, err := c.repo.Ranges(ctx, small); {
	case err != nil:
		c.failRead(err)
	case yes:
		c.note("ranges", report.OK, "yes: an interrupted download can be resumed", "")
	default:
		c.note("ranges", report.Warn, "no: an interrupted download starts again from the beginning", "")
	}
}

// failRead reports that something below the image cannot be read.
func (c *checker) failRead(err error) {
	if fault.Is(err, fault.Denied) {
		c.failDenied("pull", err)
		return
	}
	c.fail("pull", fault.KindOf(err), causeOf(err), fault.HintOf(err))
}

// A check looks at no more than this much of one image. A copy looks at all of it.
const (
	maxDocuments = 64
	maxBlobs     = 512
)

// content is what a check has found below an image.
type content struct {
	at    place.Repository
	seen  map[oci.Digest]bool // documents
	blobs []oci.Descriptor
	of    map[oci.Digest]oci.Descriptor // the document that lists a blob
	more  bool                          // there is more than a check looks at
	err   error                         // the first document that cannot be read
}

// content reads the manifests below the image, and asks for each blob whether it is there. It returns
// the blobs, or false if a copy would fail.
func (c *checker) content(ctx context.Context, at place.Repository) ([]oci.Descriptor, bool) {
	w := &content{at: at, seen: map[oci.Digest]bool{}, of: map[oci.Digest]oci.Descriptor{}}
	w.walk(ctx, c.found)
	if fault.Is(w.err, fault.NotFound) {
		c.fail("content", fault.NotFound, causeOf(w.err), fault.HintOf(w.err))
		return nil, false
	}
	if w.err != nil {
		c.failRead(w.err)
		return nil, false
	}
	lacks, err := at.Prove(ctx, w.blobs)
	switch {
	case err != nil:
		c.note("content", report.Unknown, "the registry does not tell which blobs it has: "+causeOf(err), "")
	case len(lacks) > 0:
		c.failLacking(w.of[lacks[0].Digest], lacks)
		return nil, false
	case w.more:
		text := fmt.Sprintf("the first parts are there: manifests %d, blobs %d", len(w.seen), len(w.blobs))
		c.note("content", report.OK, text+"; the rest was not looked at", "")
	default:
		c.note("content", report.OK, fmt.Sprintf("all of it is there: manifests %d, blobs %d", len(w.seen), len(w.blobs)), "")
	}
	return w.blobs, true
}

// failLacking reports that the manifest in lists blobs that are not there.
func (c *checker) failLacking(in oci.Descriptor, lacks []oci.Descriptor) {
	err := oci.Lacks(c.name.Repo, in.Digest, lacks[0], nil)
	text := "manifest " + string(in.Digest)
	if p := oci.PlatformString(in.Platform); p != "" {
		text += " (" + p + ")"
	}
	text += ": " + causeOf(err)
	if more := len(lacks) - 1; more > 0 {
		text += fmt.Sprintf("; blobs that it does not have besides: %d", more)
	}
	c.fail("content", fault.NotFound, text, fault.HintOf(err))
}

// walk reads the documents below root, level by level.
func (w *content) walk(ctx context.Context, root oci.Descriptor) {
	w.seen[root.Digest] = true
	level := []oci.Descriptor{root}
	parents := map[oci.Digest]oci.Digest{}
	held := int64(0)
	for len(level) > 0 {
		if held, w.err = oci.Weigh(root.Digest, held, level); w.err != nil {
			return
		}
		docs := make([]oci.Document, len(level))
		w.err = place.Each(ctx, place.Lookups, place.IndexesOf(level), func(ctx context.Context, i int) error {
			doc, err := w.at.Document(ctx, string(level[i].Digest))
			if parent := parents[level[i].Digest]; parent != "" && fault.Is(err, fault.NotFound) {
				err = oci.Lacks(w.at.Repo(), parent, level[i], err)
			}
			docs[i] = doc
			return err
		})
		var next []oci.Descriptor
		for i, doc := range docs {
			w.list(level[i], doc)
			for _, child := range doc.Documents {
				switch {
				case w.seen[child.Digest]:
				case len(w.seen) == maxDocuments:
					w.more = true
				default:
					w.seen[child.Digest], parents[child.Digest] = true, level[i].Digest
					next = append(next, child)
				}
			}
		}
		if level = next; w.err != nil {
			return
		}
	}
}

// list adds the blobs of a document that was listed as d.
func (w *content) list(d oci.Descriptor, doc oci.Document) {
	for _, b := range doc.Blobs {
		if _, known := w.of[b.Digest]; known {
			continue
		}
		if len(w.blobs) == maxBlobs {
			w.more = true
			return
		}
		w.of[b.Digest] = d
		w.blobs = append(w.blobs, b)
	}
}

// smallest returns the smallest of blobs that has more than one byte.
func smallest(blobs []oci.Descriptor) (small oci.Descriptor, ok bool) {
	blobs = slices.DeleteFunc(slices.Clone(blobs), func(b oci.Descriptor) bool { return b.Size < 2 })
	if len(blobs) == 0 {
		return oci.Descriptor{}, false
	}
	return slices.MinFunc(blobs, func(a, b oci.Descriptor) int { return cmp.Compare(a.Size, b.Size) }), true
}
