package look

import (
	"context"
	"strings"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/nearest"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// List calls visit with each repository of a registry, or with each tag of a repository and its
// digest.
func List(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
	visit func(report.Entry) error,
) error {
	host, prefix, isRegistry, err := names.Registry(req.Name)
	if err != nil {
		return err
	}
	if isRegistry {
		s := b.Begin(req.Login, nil, obs)
		use := remote.Use{Actions: remote.Pull, Login: req.Login, Observe: s.Watch()}
		return b.Repositories(ctx, host, use, func(path string) error {
			if !strings.HasPrefix(path, prefix) {
				return nil
			}
			repo := ref.Repo{Host: host, Path: path}
			return visit(report.Entry{Repository: repo, Name: repo.String()})
		})
	}
	name, at, s, err := open(ctx, b, names, req, obs)
	if err != nil {
		return err
	}
	defer s.Release()
	if whole := nearest.Whole(ctx, s, name.Repo, name.Tag, ""); name.Path == "" && len(whole) > 0 {
		return fault.Misuse("list", name.String(), name.Tag+" is a part of the name of a repository",
			"write the whole name: "+shell.Dray("ls", whole[0].Repo.String()))
	}
	if name.Tag != "" || name.Digest != "" {
		return fault.Misuse("list", name.String(), "this names one image, not a repository",
			"leave the tag off, or see the digest: "+shell.Dray("digest", name.String()))
	}
	if name.IsLayout() && name.Path == "" {
		return listLayout(ctx, s, name.Repo, visit)
	}
	return nearest.Hint(ctx, s, name, listTags(ctx, at, visit))
}

// listLayout calls visit with each image of a layout, whatever repository its name is in.
func listLayout(ctx context.Context, s *place.Session, repo ref.Repo, visit func(report.Entry) error) error {
	d, err := s.OnDisk(ctx, repo)
	if err != nil {
		return err
	}
	images, err := d.Images()
	if err != nil {
		return err
	}
	for _, n := range images {
		at, err := s.Open(ctx, fault.Source, n.Repo, layout.Read)
		if err != nil {
			return err
		}
		e := entryOf(n.Repo, oci.Listed{Tag: n.Tag})
		desc, err := at.Resolve(ctx, n.Tag)
		if e.Digest, e.Err = desc.Digest, err; ctx.Err() != nil {
			return err
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return listNameless(ctx, d, visit)
}

// listNameless calls visit with each image of a layout that only its digest finds.
func listNameless(ctx context.Context, d place.OnDisk, visit func(report.Entry) error) error {
	nameless, err := d.Nameless(ctx)
	if err != nil {
		return err
	}
	for _, image := range nameless {
		n := d.Repo().At(string(image.Digest))
		if err := visit(report.Entry{Repository: n.Repo, Name: n.String(), Digest: image.Digest}); err != nil {
			return err
		}
	}
	return nil
}

// listTags calls visit with each tag in the order of the listing. It looks up the digests that the
// listing lacks, for a window of tags at a time.
func listTags(ctx context.Context, at place.Repository, visit func(report.Entry) error) error {
	var window []report.Entry
	flush := func() error {
		err := place.Each(ctx, place.Lookups, place.IndexesOf(window), func(ctx context.Context, i int) error {
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
		window = append(window, entryOf(at.Repo(), l))
		if len(window) < 4*place.Lookups {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

func entryOf(repo ref.Repo, l oci.Listed) report.Entry {
	return report.Entry{
		Repository: repo,
		Name:       repo.Tagged(l.Tag).String(),
		Tag:        l.Tag,
		Digest:     l.Descriptor.Digest,
		Updated:    report.Moment(l.Updated),
		Created:    report.Moment(l.Created),
	}
}

// Tags calls visit with each tag as the listing reports it. It does not look up a digest that the
// listing lacks.
func Tags(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
	visit func(report.Entry) error,
) error {
	name, at, s, err := open(ctx, b, names, req, obs)
	if err != nil {
		return err
	}
	defer s.Release()
	if name.Tag != "" || name.Digest != "" {
		return fault.Misuse("list tags of", name.String(), "this names one image, not a repository",
			"leave the tag off, or see the digest: "+shell.Dray("digest", name.String()))
	}
	err = at.List(ctx, func(l oci.Listed) error {
		return visit(entryOf(at.Repo(), l))
	})
	return nearest.Hint(ctx, s, name, err)
}
