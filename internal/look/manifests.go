package look

import (
	"context"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/nearest"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// listLocal is Manifests for a registry in this process.
func listLocal(ctx context.Context, here place.Local, repo ref.Repo, visit func(report.Manifest) error) error {
	at, err := here.Open(repo)
	if err != nil {
		return err
	}
	tags := map[oci.Digest][]string{}
	err = at.List(ctx, func(l oci.Listed) error {
		tags[l.Descriptor.Digest] = append(tags[l.Descriptor.Digest], l.Tag)
		return nil
	})
	if err != nil {
		return err
	}
	all, err := at.Digests(ctx)
	if err != nil {
		return err
	}
	for _, digest := range all {
		doc, err := at.Document(ctx, string(digest))
		if fault.Is(err, fault.NotFound) { // deleted meanwhile
			continue
		}
		if err != nil {
			return err
		}
		e := report.Manifest{Digest: digest, Tags: tags[digest], Size: doc.Size, MediaType: doc.MediaType}
		for _, b := range doc.Blobs {
			e.Size += b.Size
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

// Manifests calls visit with each manifest and index of a repository.
func Manifests(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
	visit func(report.Manifest) error,
) error {
	name, err := names.Noting(obs).Parse(req.Name, "")
	switch {
	case err != nil:
		return err
	case name.IsLayout():
		return fault.Misuse("list manifests of", name.String(), "a layout has no list of manifests",
			"list its images: "+shell.Dray("ls", name.Repo.String()))
	case name.Tag != "" || name.Digest != "":
		return fault.Misuse("list manifests of", name.String(), "this names one image, not a repository",
			"leave the tag off, or look at the image: "+shell.Dray("inspect", name.String()))
	}
	s := b.Begin(req.Login, nil, obs)
	if here, ok := b.Registry(name.Host); ok {
		return listLocal(ctx, here, name.Repo, visit)
	}
	at := b.Remote.Open(name.Repo, remote.Use{Actions: remote.Pull, Login: req.Login, Observe: s.Watch()})
	err = at.Manifests(ctx, func(m remote.Manifest) error {
		e := report.Manifest{
			Digest:    m.Digest,
			Tags:      m.Tags,
			Size:      m.Total,
			Created:   report.Moment(m.Created),
			Updated:   report.Moment(m.Updated),
			MediaType: m.MediaType,
		}
		if m.Platform != nil {
			e.Arch, e.OS = m.Platform.Architecture, m.Platform.OS
		}
		return visit(e)
	})
	return nearest.Hint(ctx, s, name, err)
}
