package ends

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// maxIndex is the most bytes of index.json and of manifest.json that are read.
const maxIndex = 64 << 20

// tree is what can be reached from the index of a layout.
type tree struct {
	index v1.Index
	docs  map[oci.Digest]oci.Document
	order []oci.Descriptor // documents and blobs, each once and as far as they are there
}

// collect finds what can be reached from the index of a layout. It passes over content that is not
// there, such as foreign layers.
func collect(name string, files layout.Files) (*tree, error) {
	t := &tree{docs: map[oci.Digest]oci.Document{}}
	raw, fits, err := readAll(files, v1.ImageIndexFile, maxIndex)
	switch {
	case err != nil:
		return nil, failed("read "+v1.ImageIndexFile, name, err)
	case !fits:
		return nil, &fault.Fault{Kind: fault.TooLarge, Op: "read " + v1.ImageIndexFile, Name: name,
			Err: fmt.Errorf("the limit is %d bytes", maxIndex)}
	case json.Unmarshal(raw, &t.index) != nil:
		return nil, refused("read "+v1.ImageIndexFile, name, "not the JSON of an index", "")
	}
	seen := map[oci.Digest]bool{}
	next := t.index.Manifests
	for len(next) > 0 {
		d := next[0]
		next = next[1:]
		if seen[d.Digest] || ref.Digest(string(d.Digest)) != nil {
			continue
		}
		seen[d.Digest] = true
		doc, there, err := document(files, d)
		if err != nil {
			return nil, failed("read manifest", name, err)
		}
		if !there {
			continue
		}
		t.docs[d.Digest] = doc
		t.order = append(t.order, oci.Descriptor{MediaType: doc.MediaType, Digest: d.Digest, Size: int64(len(doc.Raw))})
		next = append(next, doc.Documents...)
	}
	return t, t.addBlobs(name, files, seen)
}

// addBlobs appends the blobs of the documents to the order.
func (t *tree) addBlobs(name string, files layout.Files, seen map[oci.Digest]bool) error {
	for _, d := range t.order {
		for _, b := range t.docs[d.Digest].Blobs {
			if seen[b.Digest] {
				continue
			}
			seen[b.Digest] = true
			f, err := files.Open(blobName(b.Digest))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return failed("read blob", name, err)
			}
			b.Size = f.Size()
			f.Close()
			t.order = append(t.order, b)
		}
	}
	return nil
}

// document reads a document. there is false if it does not exist or is no document.
func document(files layout.Files, d oci.Descriptor) (doc oci.Document, there bool, err error) {
	raw, fits, err := readAll(files, blobName(d.Digest), oci.MaxDocument)
	if errors.Is(err, fs.ErrNotExist) {
		return oci.Document{}, false, nil
	}
	if err != nil {
		return oci.Document{}, false, err
	}
	if !fits {
		return oci.Document{}, false, nil
	}
	doc, err = oci.Parse(oci.Descriptor{MediaType: d.MediaType, Digest: d.Digest}, raw)
	return doc, err == nil, nil //nolint:nilerr // the error appears when the document is copied
}
