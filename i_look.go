package dray

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Image is what Inspect tells of one name.
type Image struct {
	Name        ref.Name          `json:"name"`
	Digest      oci.Digest        `json:"digest"`
	MediaType   string            `json:"mediaType"`
	Size        int64             `json:"size"`                // bytes of the document itself
	Total       int64             `json:"totalSize"`           // bytes of all distinct content below it, itself included
	Platforms   []Variant         `json:"platforms,omitempty"` // children of an index, in its order; one entry for a plain image
	Subject     oci.Digest        `json:"subject,omitempty"`
	Artifact    string            `json:"artifactType,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Foreign     []oci.Descriptor  `json:"foreignLayers,omitempty"` // layers that stay with their publisher
}

// Variant is one child of an index, or the image itself.
type Variant struct {
	Platform    string            `json:"platform,omitempty"` // "linux/arm64/v8"; "" when it names none
	Digest      oci.Digest        `json:"digest"`
	MediaType   string            `json:"mediaType"`
	Size        int64             `json:"size"` // bytes of config and layers
	Created     *time.Time        `json:"created,omitempty"`
	Config      oci.Digest        `json:"config,omitempty"`
	Layers      []oci.Descriptor  `json:"layers,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Entry is one line of a listing: a repository, or a tag with its digest.
type Entry struct {
	Repository ref.Repo   `json:"-"`
	Name       string     `json:"name"` // "HOST/REPO" or "HOST/REPO:TAG"
	Tag        string     `json:"tag,omitempty"`
	Digest     oci.Digest `json:"digest,omitempty"`
	Updated    *time.Time `json:"lastUpdateTime,omitempty"` // nil where the registry does not tell
	Created    *time.Time `json:"createdTime,omitempty"`    // nil where the registry does not tell
	Err        error      `json:"-"`                        // the tag is listed, and its digest could not be had
}

// MarshalJSON writes the entry and, where its digest could not be had, the problem.
func (e Entry) MarshalJSON() ([]byte, error) {
	type plain Entry
	out := struct {
		plain
		Problem *plan.Problem `json:"error,omitempty"`
	}{plain: plain(e)}
	if e.Err != nil {
		out.Problem = plan.ProblemOf(e.Err)
	}
	return json.Marshal(out)
}

// lookRequest names what is looked at.
type lookRequest struct {
	Name  string
	Login *credential.Login
}

// digestOf resolves an image: one HEAD.
func digestOf(ctx context.Context, b *base, names *reader, req lookRequest, obs event.Observer) (oci.Descriptor, error) {
	name, at, s, err := look(b, names, req, obs)
	if err != nil {
		return oci.Descriptor{}, err
	}
	defer s.release()
	return at.Resolve(ctx, reference(name))
}

// manifestOf reads an image's manifest or index: one GET.
func manifestOf(ctx context.Context, b *base, names *reader, req lookRequest, obs event.Observer) (oci.Document, error) {
	name, at, s, err := look(b, names, req, obs)
	if err != nil {
		return oci.Document{}, err
	}
	defer s.release()
	return at.Document(ctx, reference(name))
}

// configOf reads the configuration of a plain image, or of the one platform of an index.
func configOf(ctx context.Context, b *base, names *reader, req lookRequest, obs event.Observer) ([]byte, error) {
	name, at, s, err := look(b, names, req, obs)
	if err != nil {
		return nil, err
	}
	defer s.release()
	doc, err := at.Document(ctx, reference(name))
	if err != nil {
		return nil, err
	}
	if doc.IsIndex() {
		if doc, err = onlyImage(ctx, at, name, doc); err != nil {
			return nil, err
		}
	}
	if doc.Config == nil {
		return nil, invalid("read image config", name.String(), "it has none", "")
	}
	return readSmall(ctx, at, *doc.Config)
}

// onlyImage finds the one child of an index that is an image with a platform.
func onlyImage(ctx context.Context, at place, name ref.Name, index oci.Document) (oci.Document, error) {
	var images, choice []string
	for _, child := range index.Documents {
		if p := oci.PlatformString(child.Platform); p != "" && p != "unknown/unknown" {
			images = append(images, string(child.Digest))
			choice = append(choice, p+" is "+string(child.Digest))
		}
	}
	if len(images) != 1 {
		return oci.Document{}, invalid("read image config", name.String(), fmt.Sprintf("an index of %d platforms: %s", len(images), strings.Join(choice, ", ")), "ask for one of them by digest")
	}
	return at.Document(ctx, images[0])
}

// maxConfig bounds a configuration blob that is held in memory: 8 MiB.
const maxConfig = 8 << 20

func readSmall(ctx context.Context, at place, d oci.Descriptor) ([]byte, error) {
	if d.Size > maxConfig {
		return nil, &fault.Fault{Kind: fault.TooLarge, Op: "read image config", Name: at.Repo().At(string(d.Digest)).String(), Err: fmt.Errorf("%d bytes; the limit is %d", d.Size, maxConfig)}
	}
	body, _, err := at.Blob(ctx, d, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, d.Size+1))
	if err != nil {
		return nil, err
	}
	v, err := oci.NewVerifier(d)
	if err != nil {
		return nil, err
	}
	if _, err := v.Write(raw); err != nil {
		return nil, err
	}
	return raw, v.Verify()
}

// inspect reads an image's documents and the configuration of each platform.
func inspect(ctx context.Context, b *base, names *reader, req lookRequest, obs event.Observer) (Image, error) {
	name, at, s, err := look(b, names, req, obs)
	if err != nil {
		return Image{}, err
	}
	defer s.release()
	root, err := at.Document(ctx, reference(name))
	if err != nil {
		return Image{}, err
	}
	img := Image{Name: name, Digest: root.Digest, MediaType: root.MediaType, Size: root.Size, Foreign: root.Foreign}
	if root.Subject != nil {
		img.Subject = root.Subject.Digest
	}
	var more struct {
		ArtifactType string
		Annotations  map[string]string
	}
	if err := json.Unmarshal(root.Raw, &more); err != nil {
		return Image{}, invalid("inspect", name.String(), err.Error(), "")
	}
	img.Artifact, img.Annotations = more.ArtifactType, more.Annotations
	if !root.IsIndex() {
		v, err := variant(ctx, at, root)
		img.Platforms = []Variant{v}
		img.total([]oci.Document{root})
		return img, err
	}
	img.Platforms = make([]Variant, len(root.Documents))
	docs := make([]oci.Document, len(root.Documents))
	err = each(ctx, lookups, indexesOf(root.Documents), func(ctx context.Context, i int) (err error) {
		child := root.Documents[i]
		if docs[i], err = at.Document(ctx, string(child.Digest)); err != nil {
			return err
		}
		if img.Platforms[i], err = variant(ctx, at, docs[i]); err != nil {
			return err
		}
		if p := oci.PlatformString(child.Platform); p != "" {
			img.Platforms[i].Platform = p
		}
		img.Platforms[i].Annotations = child.Annotations
		return nil
	})
	img.total(append(docs, root))
	return img, err
}

func indexesOf[T any](list []T) []int {
	at := make([]int, len(list))
	for i := range at {
		at[i] = i
	}
	return at
}

// total sums up distinct content.
func (i *Image) total(docs []oci.Document) {
	seen := map[oci.Digest]bool{}
	for _, doc := range docs {
		for _, c := range append([]oci.Descriptor{doc.Descriptor}, doc.Blobs...) {
			if !seen[c.Digest] {
				seen[c.Digest] = true
				i.Total += c.Size
			}
		}
	}
}

// variant describes one manifest. Its platform and time are the configuration's, where that is an image's.
func variant(ctx context.Context, at place, doc oci.Document) (Variant, error) {
	v := Variant{Digest: doc.Digest, MediaType: doc.MediaType}
	for _, b := range doc.Blobs {
		v.Size += b.Size
	}
	if doc.Config == nil {
		v.Layers = doc.Blobs
		return v, nil
	}
	v.Config = doc.Config.Digest
	v.Layers = append(slices.DeleteFunc(slices.Clone(doc.Blobs), func(b oci.Descriptor) bool { return b.Digest == doc.Config.Digest }), doc.Foreign...)
	switch doc.Config.MediaType {
	case v1.MediaTypeImageConfig, "application/vnd.docker.container.image.v1+json":
	default:
		return v, nil
	}
	raw, err := readSmall(ctx, at, *doc.Config)
	if err != nil {
		return v, err
	}
	var config v1.Image
	if err := json.Unmarshal(raw, &config); err != nil {
		return v, nil // an odd configuration is for the runtime to complain about
	}
	v.Platform = oci.PlatformString(&config.Platform)
	v.Created = config.Created
	return v, nil
}

// list calls visit with each repository of a registry, or with each tag of a repository and its digest.
func list(ctx context.Context, b *base, names *reader, req lookRequest, obs event.Observer, visit func(Entry) error) error {
	host, prefix, isRegistry, err := names.registryName(req.Name)
	if err != nil {
		return err
	}
	if isRegistry {
		s := b.begin(req.Login, nil, obs)
		return b.repositories(ctx, host, remote.Use{Actions: remote.Pull, Login: req.Login, Observe: s.observe}, func(path string) error {
			if !strings.HasPrefix(path, prefix) {
				return nil
			}
			repo := ref.Repo{Host: host, Path: path}
			return visit(Entry{Repository: repo, Name: repo.String()})
		})
	}
	name, at, s, err := look(b, names, req, obs)
	if err != nil {
		return err
	}
	defer s.release()
	if name.Tag != "" || name.Digest != "" {
		return invalid("list", name.String(), "this names one image", "leave the tag off, or use dray digest")
	}
	return listTags(ctx, at, visit)
}

// listTags asks for the digests that the listing does not tell, of a window of tags at a time, and tells all in order.
func listTags(ctx context.Context, at place, visit func(Entry) error) error {
	var window []Entry
	flush := func() error {
		err := each(ctx, lookups, indexesOf(window), func(ctx context.Context, i int) error {
			if window[i].Digest != "" {
				return nil
			}
			desc, err := at.Resolve(ctx, window[i].Tag)
			window[i].Digest, window[i].Err = desc.Digest, err
			return context.Cause(ctx)
		})
		for i := 0; err == nil && i < len(window); i++ {
			err = visit(window[i])
		}
		window = window[:0]
		return err
	}
	err := at.List(ctx, func(l oci.Listed) error {
		window = append(window, Entry{Repository: at.Repo(), Name: at.Repo().Tagged(l.Tag).String(), Tag: l.Tag, Digest: l.Descriptor.Digest, Updated: moment(l.Updated), Created: moment(l.Created)})
		if len(window) < 4*lookups {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// look opens what a request names.
func look(b *base, names *reader, req lookRequest, obs event.Observer) (ref.Name, place, *session, error) {
	name, err := names.parse(req.Name)
	if err != nil {
		return name, nil, nil, err
	}
	s := b.begin(req.Login, nil, obs)
	at, err := s.open(fault.Source, name.Repo, layout.Read)
	return name, at, s, err
}
