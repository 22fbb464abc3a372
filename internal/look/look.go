package look

import (
	"context"
	"fmt"
	"strings"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Request names the image or repository to look at. A nil Login uses the chain of credential
// sources.
type Request struct {
	Name     string
	Login    *credential.Login
	Platform oci.Platform // the image to look at in an index; zero means the index
	Types    []string     // of the referrers that Tree shows; none means all
}

// Digest resolves an image. It sends one HEAD request, or one GET request if it looks for a platform.
func Digest(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
) (oci.Descriptor, error) {
	name, at, s, err := open(ctx, b, names, req, obs)
	if err != nil {
		return oci.Descriptor{}, err
	}
	defer s.Release()
	return resolve(ctx, s, at, name, req.Platform)
}

// Manifest reads the manifest or index of an image. It sends one GET request, or two if it looks for a platform.
func Manifest(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
) (oci.Document, error) {
	name, at, s, err := open(ctx, b, names, req, obs)
	if err != nil {
		return oci.Document{}, err
	}
	defer s.Release()
	return document(ctx, s, at, name, req.Platform)
}

// Config reads the configuration of an image. An index must have a single platform.
func Config(ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer) ([]byte, error) {
	name, at, s, err := open(ctx, b, names, req, obs)
	if err != nil {
		return nil, err
	}
	defer s.Release()
	doc, err := document(ctx, s, at, name, req.Platform)
	if err != nil {
		return nil, err
	}
	if doc.IsIndex() {
		if doc, err = onlyImage(ctx, at, name, doc); err != nil {
			return nil, err
		}
	}
	if doc.Config == nil {
		return nil, fault.Misuse("read image config", name.String(), "it has no configuration", "")
	}
	return place.ReadSmall(ctx, at, *doc.Config)
}

// onlyImage returns the only child of an index that is an image with a platform. If there are
// several, the error lists them.
func onlyImage(ctx context.Context, at place.Repository, name ref.Name, index oci.Document) (oci.Document, error) {
	var images, choice []string
	for _, child := range index.Documents {
		if p := oci.PlatformString(child.Platform); p != "" && p != "unknown/unknown" {
			images = append(images, string(child.Digest))
			choice = append(choice, p)
		}
	}
	if len(images) != 1 {
		cause := fmt.Sprintf("it is an index with %d platforms: %s", len(images), strings.Join(choice, ", "))
		return oci.Document{}, fault.Misuse("read image config", name.String(), cause, "name one of them with --platform")
	}
	return at.Document(ctx, images[0])
}

// open opens the repository that a request names.
func open(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
) (ref.Name, place.Repository, *place.Session, error) {
	name, err := names.Noting(obs).Parse(req.Name, "")
	if err != nil {
		return name, nil, nil, err
	}
	s := b.Begin(req.Login, nil, obs)
	at, err := s.Open(ctx, fault.Source, name.Repo, layout.Read)
	return name, at, s, err
}
