package conform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

var (
	_ transfer.Source = (*Memory)(nil)
	_ transfer.Target = (*Memory)(nil)
)

// Memory is a repository stored in maps. It is a transfer.Source and a transfer.Target over the
// same content, and as strict as a strict registry. It is safe for concurrent use. Its exported
// fields are set before the first call and not changed after that.
type Memory struct {
	// Fail is called before each operation. If it returns an error, the operation fails with that
	// error, unchanged. op is the first word of an Ops line, and name is the tag or digest of the
	// operation. If Fail fails a tag, the error is in Accepted.Failed. A nil Fail lets all
	// operations pass.
	Fail func(op, name string) error

	// Neighbors are repositories of the same registry. Put mounts a blob from a neighbor that the
	// parameter likely names.
	Neighbors []*Memory

	repo ref.Repo

	mu    sync.Mutex
	blobs map[oci.Digest][]byte
	doubt map[oci.Digest]bool
	docs  map[oci.Digest]oci.Document
	tags  map[string]oci.Digest
	ops   []string
}

// New returns an empty repository that calls itself repo.
func New(repo ref.Repo) *Memory {
	return &Memory{
		repo:  repo,
		blobs: map[oci.Digest][]byte{},
		doubt: map[oci.Digest]bool{},
		docs:  map[oci.Digest]oci.Document{},
		tags:  map[string]oci.Digest{},
	}
}

// Repo returns the name given to New.
func (m *Memory) Repo() ref.Repo { return m.repo }

// Ops lists the operations in order. A read is recorded when it is requested. A write is recorded
// when it took effect, so a write that failed is not in the list:
//
//	resolve REFERENCE
//	document REFERENCE
//	blob DIGEST AT N
//	referrers DIGEST
//	missing DIGEST…
//	prove DIGEST…
//	put DIGEST present|mounted|sent
//	commit DIGEST
//	tag TAG DIGEST
func (m *Memory) Ops() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.ops)
}

// ForgetOps empties the list of Ops.
func (m *Memory) ForgetOps() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ops = nil
}

// Preload stores b as a blob, without an Ops line, and returns its descriptor.
func (m *Memory) Preload(mediaType string, b []byte) oci.Descriptor {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := oci.Descriptor{MediaType: mediaType, Digest: oci.Sum(b), Size: int64(len(b))}
	m.blobs[d.Digest] = b
	return d
}

// PreloadDocument stores raw as a document under tags, without an Ops line and without a check of
// its children. It panics if raw is not a document.
func (m *Memory) PreloadDocument(raw []byte, tags ...string) oci.Document {
	doc, err := oci.Parse(oci.Descriptor{}, raw)
	if err != nil {
		panic(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.docs[doc.Digest] = doc
	for _, tag := range tags {
		m.tags[tag] = doc.Digest
	}
	return doc
}

// Drop removes the blob or document d, as the garbage collection of a registry would. Tags stay.
func (m *Memory) Drop(d oci.Digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blobs, d)
	delete(m.docs, d)
}

// Holds reports whether the repository has the blob or document d.
func (m *Memory) Holds(d oci.Digest) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, blob := m.blobs[d]
	_, doc := m.docs[d]
	return blob || doc
}

// Tagged returns a copy of all tags.
func (m *Memory) Tagged() map[string]oci.Digest {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.tags)
}

// List calls visit with each tag, sorted, until visit returns an error.
func (m *Memory) List(ctx context.Context, visit func(oci.Listed) error) error {
	tagged := m.Tagged()
	for _, tag := range slices.Sorted(maps.Keys(tagged)) {
		if err := canceled(ctx, "list tags", m.repo.String()); err != nil {
			return err
		}
		if err := visit(oci.Listed{Tag: tag, Descriptor: oci.Descriptor{Digest: tagged[tag]}}); err != nil {
			return err
		}
	}
	return nil
}

// Resolve implements transfer.Source and transfer.Target.
func (m *Memory) Resolve(ctx context.Context, reference string) (oci.Descriptor, error) {
	if err := m.begin(ctx, "resolve", reference); err != nil {
		return oci.Descriptor{}, err
	}
	doc, err := m.find("resolve", reference)
	return doc.Descriptor, err
}

// Document implements transfer.Source.
func (m *Memory) Document(ctx context.Context, reference string) (oci.Document, error) {
	if err := m.begin(ctx, "document", reference); err != nil {
		return oci.Document{}, err
	}
	return m.find("read manifest", reference)
}

// Blob implements transfer.Source. It can start at any byte: from always equals at.
func (m *Memory) Blob(ctx context.Context, d oci.Descriptor, at, n int64) (io.ReadCloser, int64, error) {
	if err := m.begin(ctx, "blob", string(d.Digest), at, n); err != nil {
		return nil, 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blobs[d.Digest]
	switch {
	case !ok:
		return nil, 0, &fault.Fault{Kind: fault.NotFound, Op: "read blob", Name: m.repo.At(string(d.Digest)).String()}
	case at < 0 || at > int64(len(b)):
		return nil, 0, &fault.Fault{
			Kind: fault.Invalid,
			Op:   "read blob",
			Name: m.repo.At(string(d.Digest)).String(),
			Err:  fmt.Errorf("byte %d of %d", at, len(b)),
		}
	}
	b = b[at:]
	if n >= 0 && n < int64(len(b)) {
		b = b[:n]
	}
	return io.NopCloser(bytes.NewReader(b)), at, nil
}

// Referrers implements transfer.Source.
func (m *Memory) Referrers(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error) {
	if err := m.begin(ctx, "referrers", string(d.Digest)); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []oci.Descriptor
	for _, dgst := range slices.Sorted(maps.Keys(m.docs)) {
		if s := m.docs[dgst].Subject; s != nil && s.Digest == d.Digest {
			out = append(out, described(m.docs[dgst]))
		}
	}
	return out, nil
}

// described returns the descriptor of doc as a list of referrers has it, with artifact type and
// annotations.
func described(doc oci.Document) oci.Descriptor {
	d := doc.Descriptor
	_ = json.Unmarshal(doc.Raw, &struct { // doc was parsed before, so Raw is a JSON object
		ArtifactType *string            `json:"artifactType"`
		Annotations  *map[string]string `json:"annotations"`
	}{&d.ArtifactType, &d.Annotations})
	return d
}

// Missing implements transfer.Target.
func (m *Memory) Missing(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	names := make([]string, len(blobs))
	for i, d := range blobs {
		names[i] = string(d.Digest)
	}
	if err := m.begin(ctx, "missing", strings.Join(names, " ")); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []oci.Descriptor
	for _, d := range blobs {
		if _, ok := m.blobs[d.Digest]; !ok {
			out = append(out, d)
		}
	}
	return out, nil
}

// Prove implements transfer.Target. It also calls Fail for each blob, with the op "proof". If Fail
// returns NotFound, the blob counts as missing.
func (m *Memory) Prove(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	names := make([]string, len(blobs))
	for i, d := range blobs {
		names[i] = string(d.Digest)
	}
	if err := m.begin(ctx, "prove", strings.Join(names, " ")); err != nil {
		return nil, err
	}
	var out []oci.Descriptor
	for _, d := range blobs {
		err := m.allow(ctx, "proof", string(d.Digest))
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		if b, there := m.blob(d.Digest); err != nil || !there || int64(len(b)) != d.Size {
			out = append(out, d)
		}
	}
	return out, nil
}

// Keeps implements transfer.Target.
func (m *Memory) Keeps(_, _ []oci.Descriptor) error { return nil }

// Distrust implements transfer.Target.
func (m *Memory) Distrust(blobs []oci.Descriptor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range blobs {
		m.doubt[d.Digest] = true
	}
}

// Spoil stores other bytes under the digest of a blob, as a failing disk would.
func (m *Memory) Spoil(d oci.Digest, b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blobs[d] = b
}

// Put implements transfer.Target.
func (m *Memory) Put(ctx context.Context, d oci.Descriptor, likely []ref.Repo, open oci.Opener) (oci.Arrival, error) {
	if err := m.allow(ctx, "put", string(d.Digest)); err != nil {
		return oci.Arrival{}, err
	}
	v, err := oci.NewVerifier(d)
	if err != nil {
		return oci.Arrival{}, err
	}
	if m.settle(d, nil, oci.Present) {
		return oci.Arrival{Way: oci.Present}, nil
	}
	for _, n := range m.Neighbors {
		if m.doubts(d.Digest) {
			break
		}
		if b, ok := n.blob(d.Digest); ok && n.repo.Host == m.repo.Host && slices.Contains(likely, n.repo) {
			m.settle(d, b, oci.Mounted)
			return oci.Arrival{Way: oci.Mounted, From: n.repo.Path}, nil
		}
	}
	b, err := take(ctx, v, d.Size, open)
	if err != nil {
		return oci.Arrival{}, err
	}
	m.settle(d, b, oci.Sent)
	return oci.Arrival{Way: oci.Sent, Sent: d.Size}, nil
}

// PutDocument implements transfer.Target. The error is NotFound if a blob or a document below doc
// does not exist. A subject need not exist.
func (m *Memory) PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error) {
	if err := m.allow(ctx, "commit", string(doc.Digest)); err != nil {
		return oci.Accepted{}, err
	}
	doc, err := oci.Parse(doc.Descriptor, bytes.Clone(doc.Raw))
	if err != nil {
		return oci.Accepted{}, err
	}
	if err := m.commit(doc); err != nil {
		return oci.Accepted{}, err
	}
	var acc oci.Accepted
	if doc.Subject != nil {
		acc.Subject = doc.Subject.Digest
	}
	for _, tag := range tags {
		if err := m.tag(ctx, tag, doc.Digest); err != nil {
			if acc.Failed == nil {
				acc.Failed = map[string]error{}
			}
			acc.Failed[tag] = err
			continue
		}
		acc.Tags = append(acc.Tags, tag)
	}
	return acc, nil
}

func (m *Memory) commit(doc oci.Document) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range slices.Concat(doc.Blobs, doc.Documents) {
		_, blob := m.blobs[d.Digest]
		_, document := m.docs[d.Digest]
		if !blob && !document {
			return &fault.Fault{
				Kind: fault.NotFound,
				Op:   "put manifest",
				Name: m.repo.At(string(doc.Digest)).String(),
				Err:  fmt.Errorf("it refers to %s, which does not exist", d.Digest),
			}
		}
	}
	m.docs[doc.Digest] = doc
	m.ops = append(m.ops, "commit "+string(doc.Digest))
	return nil
}

func (m *Memory) tag(ctx context.Context, tag string, d oci.Digest) error {
	if err := m.allow(ctx, "tag", tag); err != nil {
		return err
	}
	if err := ref.Tag(tag); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tags[tag] = d
	m.ops = append(m.ops, "tag "+tag+" "+string(d))
	return nil
}

// allow returns an error if ctx has ended or if Fail returns one.
func (m *Memory) allow(ctx context.Context, op, name string) error {
	if err := canceled(ctx, op, name); err != nil {
		return err
	}
	if m.Fail == nil {
		return nil
	}
	return m.Fail(op, name)
}

// begin is allow for a read, which it also records.
func (m *Memory) begin(ctx context.Context, op, name string, more ...int64) error {
	m.mu.Lock()
	line := op + " " + name
	for _, n := range more {
		line += fmt.Sprintf(" %d", n)
	}
	m.ops = append(m.ops, line)
	m.mu.Unlock()
	return m.allow(ctx, op, name)
}

func (m *Memory) find(op, reference string) (oci.Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.tags[reference]
	if !ok {
		d = oci.Digest(reference)
	}
	if doc, ok := m.docs[d]; ok {
		return doc, nil
	}
	return oci.Document{}, &fault.Fault{Kind: fault.NotFound, Op: op, Name: m.repo.String() + " " + reference}
}

// settle stores b and records how it arrived. For oci.Present it stores nothing and reports whether
// d exists.
func (m *Memory) settle(d oci.Descriptor, b []byte, way oci.Way) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if way != oci.Present {
		m.blobs[d.Digest] = b
		delete(m.doubt, d.Digest)
	} else if b, ok := m.blobs[d.Digest]; !ok || m.doubt[d.Digest] || int64(len(b)) != d.Size {
		return false
	}
	m.ops = append(m.ops, fmt.Sprintf("put %s %s", d.Digest, way))
	return true
}

func (m *Memory) doubts(d oci.Digest) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.doubt[d]
}

func (m *Memory) blob(d oci.Digest) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blobs[d]
	return b, ok
}

// take reads a whole blob into a buffer of the right size, and verifies it.
func take(ctx context.Context, v *oci.Verifier, size int64, open oci.Opener) ([]byte, error) {
	body, err := open(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	buf := bytes.NewBuffer(make([]byte, 0, min(max(size, 0), 256<<20)))
	if _, err := io.Copy(io.MultiWriter(v, buf), body); err != nil {
		if c := canceled(ctx, "put blob", ""); c != nil {
			return nil, c
		}
		return nil, err
	}
	if err := canceled(ctx, "put blob", ""); err != nil {
		return nil, err
	}
	return buf.Bytes(), v.Verify()
}

func canceled(ctx context.Context, op, name string) error {
	if ctx.Err() == nil {
		return nil
	}
	cause := context.Cause(ctx)
	if _, ok := errors.AsType[*fault.Fault](cause); ok {
		return cause
	}
	return &fault.Fault{Kind: fault.Canceled, Op: op, Name: name, Err: cause}
}
