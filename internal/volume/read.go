package volume

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// Blob reads n bytes of a document or a blob, beginning at byte at; n < 0 reads to the end. The bytes are not
// verified. The error is NotFound if no open volume has d.
func (s *Set) Blob(d oci.Digest, at, n int64) (io.ReadCloser, error) {
	p, known := s.at[d]
	if !known {
		return nil, &fault.Fault{Kind: fault.NotFound, Op: "read blob", Name: string(d), Err: errors.New("no volume has it")}
	}
	return p.in.read(p.file, at, n)
}

// Has reports whether an open volume has d.
func (s *Set) Has(d oci.Digest) bool {
	_, known := s.at[d]
	return known
}

// Document reads a manifest or an index, and verifies its bytes.
func (s *Set) Document(d Document) (oci.Document, error) {
	from, err := s.Blob(d.Digest, 0, -1)
	if err != nil {
		return oci.Document{}, err
	}
	defer from.Close()
	raw, err := io.ReadAll(io.LimitReader(from, oci.MaxDocument+1))
	if err != nil {
		return oci.Document{}, err
	}
	return oci.Parse(d.Descriptor(), raw)
}

// Read is Document for a digest. The error is NotFound if the bundle does not list it.
func (s *Set) Read(d oci.Digest) (oci.Document, error) {
	doc, known := s.listDocuments()[d]
	if !known {
		return oci.Document{}, &fault.Fault{Kind: fault.NotFound, Op: "read bundle", Name: string(d),
			Err: errors.New("the bundle does not list this manifest")}
	}
	return s.Document(doc)
}

// IsDocument reports whether d is a manifest or an index of the bundle.
func (s *Set) IsDocument(d oci.Digest) bool {
	_, known := s.listDocuments()[d]
	return known
}

func (s *Set) listDocuments() map[oci.Digest]Document {
	if s.documents == nil {
		s.documents = map[oci.Digest]Document{}
		for _, d := range s.Contents.Documents {
			s.documents[d.Digest] = d
		}
	}
	return s.documents
}

// Needs returns the digests of all documents and blobs that the document root needs, and root itself. The
// bundle may lack blobs of them, because the receiver has them.
func (s *Set) Needs(root oci.Digest) (map[oci.Digest]bool, error) {
	documents := s.listDocuments()
	all := map[oci.Digest]bool{}
	for next := []oci.Digest{root}; len(next) > 0; {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		if all[at] {
			continue
		}
		all[at] = true
		doc, err := s.Document(documents[at])
		if err != nil {
			return all, err
		}
		for _, b := range doc.Blobs {
			all[b.Digest] = true
		}
		for _, c := range doc.Documents {
			if _, has := documents[c.Digest]; has { // a sparse index lists more than the bundle has
				next = append(next, c.Digest)
			}
		}
	}
	return all, nil
}

// needing returns the first names that need d.
func (s *Set) needing(d oci.Digest) (names []string) {
	const most = 3
	if d == "" {
		return nil
	}
	for _, n := range s.Contents.Names {
		if all, _ := s.Needs(n.Digest); all[d] { // a damaged document needs what is known of it
			if names = append(names, n.String()); len(names) == most {
				break
			}
		}
	}
	return names
}

// read reads n bytes of a file, beginning at byte at; n < 0 reads to the end.
func (v *open) read(f File, at, n int64) (io.ReadCloser, error) {
	if at < 0 || at > f.Size {
		return nil, fault.Misuse("read blob", f.Path, fmt.Sprintf("byte %d of %d", at, f.Size), "")
	}
	if n < 0 || n > f.Size-at {
		n = f.Size - at
	}
	if v.root == nil {
		return io.NopCloser(io.NewSectionReader(v.file, v.at[f.Path]+at, n)), nil
	}
	info, err := v.root.Stat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, damaged(v.name, errors.New(f.Path+" is missing"))
	case err != nil:
		return nil, unreadable(v.name, err)
	case !info.Mode().IsRegular() || info.Size() != f.Size:
		return nil, damaged(v.name, fmt.Errorf("%s is not a regular file of %d bytes", f.Path, f.Size))
	}
	file, err := v.root.Open(f.Path)
	if err != nil {
		return nil, unreadable(v.name, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(file, at, n), file}, nil
}
