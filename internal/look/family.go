package look

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// Tree reads an image, its children, and everything that refers to one of them. If req names types, only referrers of
// one of them are in the tree, and those that lead to one.
func Tree(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
) (report.Tree, error) {
	name, at, s, err := open(ctx, b, names, req, obs)
	if err != nil {
		return report.Tree{}, err
	}
	defer s.Release()
	root, err := resolve(ctx, s, at, name, req.Platform)
	if err != nil {
		return report.Tree{}, err
	}
	// A loop does not end the walk, but a choice would: all of it travels, and all of it is shown.
	levels, err := referrers.New(s, plan.Referrers{}).Of(ctx, at, root)
	if fault.Is(err, fault.TooLarge) {
		err = &fault.Fault{Kind: fault.TooLarge, Err: err, Hint: "name one of the documents below it by its digest"}
	}
	if err != nil {
		return report.Tree{}, err
	}
	f := &family{session: s, at: at, docs: map[oci.Digest]oci.Document{}, about: map[oci.Digest][]plan.Referrer{}}
	members := []oci.Descriptor{root}
	for _, level := range levels {
		for _, r := range level {
			f.about[r.Subject] = append(f.about[r.Subject], r)
			members = append(members, r.Descriptor())
		}
	}
	if err := f.read(ctx, members); err != nil {
		return report.Tree{}, err
	}
	if len(req.Types) > 0 {
		f.choose(plan.Referrers{Types: req.Types})
	}
	shown := map[oci.Digest]bool{}
	tree := report.Tree{Name: name, Node: f.node(root, shown)}
	f.count(&tree, shown)
	return tree, nil
}

// family is an image with everything that belongs to it.
type family struct {
	session *place.Session
	at      place.Repository
	about   map[oci.Digest][]plan.Referrer // what refers to a document

	mu   sync.Mutex
	docs map[oci.Digest]oci.Document // a document that the repository lacks has no Digest
	held int64                       // bytes in docs
}

// read reads the documents of level, and of all levels below.
func (f *family) read(ctx context.Context, level []oci.Descriptor) error {
	for len(level) > 0 {
		var ask, next []oci.Descriptor
		for _, d := range level {
			if _, known := f.docs[d.Digest]; !known {
				f.docs[d.Digest] = oci.Document{}
				ask = append(ask, d)
			}
		}
		if len(ask) > 0 {
			if _, err := oci.Weigh(ask[0].Digest, f.held, ask); err != nil {
				return err
			}
		}
		err := place.Each(ctx, place.Lookups, ask, func(ctx context.Context, d oci.Descriptor) error {
			doc, err := f.session.Documents.Read(ctx, f.at, d.Digest)
			if fault.Is(err, fault.NotFound) {
				return nil
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			var over error
			if f.held, over = oci.Weigh(d.Digest, f.held, []oci.Descriptor{{Size: int64(len(doc.Raw))}}); over != nil {
				return over
			}
			f.docs[d.Digest] = doc
			next = append(next, doc.Documents...)
			return err
		})
		if err != nil {
			return err
		}
		level = next
	}
	return nil
}

// choose leaves out the referrers that choice does not take, unless one that it takes refers to them.
func (f *family) choose(choice plan.Referrers) {
	seen := map[oci.Digest]bool{}
	var leads func(d oci.Digest) bool
	leads = func(d oci.Digest) bool {
		if seen[d] {
			return false
		}
		seen[d] = true
		defer delete(seen, d)
		doc := f.docs[d]
		if doc.Digest != "" && choice.Chooses(doc.TypesAsReferrer(), nil) {
			return true
		}
		leadsOn := func(r plan.Referrer) bool { return leads(r.Digest) }
		return slices.ContainsFunc(f.about[d], leadsOn) ||
			slices.ContainsFunc(doc.Documents, func(c oci.Descriptor) bool {
				return slices.ContainsFunc(f.about[c.Digest], leadsOn)
			})
	}
	chosen := map[oci.Digest][]plan.Referrer{}
	for d, all := range f.about {
		for _, r := range all {
			if leads(r.Digest) {
				chosen[d] = append(chosen[d], r)
			}
		}
	}
	f.about = chosen
}

// node returns the tree below d. shown holds the documents that were shown before: what is below them is
// not repeated, because documents may refer to each other in a loop.
func (f *family) node(d oci.Descriptor, shown map[oci.Digest]bool) report.Node {
	doc := f.docs[d.Digest]
	n := report.Node{
		Digest: d.Digest, MediaType: d.MediaType, Size: d.Size,
		Platform: oci.PlatformString(d.Platform), Missing: doc.Digest == "", Repeated: shown[d.Digest],
	}
	if n.Missing {
		n.ArtifactType, n.Annotations = d.ArtifactType, d.Annotations
		return n
	}
	says := doc.AsReferrer()
	n.MediaType, n.Size, n.ArtifactType = says.MediaType, says.Size, says.ArtifactType
	if isImageConfig(n.ArtifactType) {
		n.ArtifactType = "" // it is an image
	}
	n.Annotations = maps.Clone(says.Annotations)
	n.Content = n.Size
	for _, b := range doc.Blobs {
		n.Content += b.Size
	}
	if n.Repeated {
		return n
	}
	shown[d.Digest] = true
	for _, child := range doc.Documents {
		below := f.node(child, shown)
		if below.Annotations == nil {
			below.Annotations = map[string]string{}
		}
		maps.Copy(below.Annotations, child.Annotations) // those of a list of referrers repeat the document's own
		n.Children = append(n.Children, below)
	}
	for _, r := range f.about[d.Digest] {
		below := f.node(r.Descriptor(), shown)
		if below.Tag = r.Tag; below.ArtifactType == "" {
			below.ArtifactType = firstLayer(f.docs[r.Digest])
		}
		n.Referrers = append(n.Referrers, below)
	}
	return n
}

// firstLayer returns the media type of the first layer. cosign stores a signature as an image with layers of
// a type of its own.
func firstLayer(doc oci.Document) string {
	for _, b := range doc.Blobs {
		if doc.Config == nil || b.Digest != doc.Config.Digest {
			return b.MediaType
		}
	}
	return ""
}

// count adds up what the tree has. shown holds its documents.
func (f *family) count(t *report.Tree, shown map[oci.Digest]bool) {
	blobs := map[oci.Digest]bool{}
	for d := range shown {
		doc := f.docs[d]
		t.Total += doc.Size
		for _, b := range doc.Blobs {
			if !blobs[b.Digest] {
				blobs[b.Digest] = true
				t.Total += b.Size
			}
		}
	}
	for d := range shown {
		t.Count += len(f.about[d])
	}
}
