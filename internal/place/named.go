package place

import (
	"context"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// Named returns n with the name of the image that it stands for, if n is an end on disk with a single image that has a
// single name: a name that goes into an archive comes out of it again. Otherwise it returns n. Documents that refer to
// the image do not count.
func (s *Session) Named(ctx context.Context, n ref.Name) (ref.Name, error) {
	if !n.IsLayout() || !n.HasTags() || n.Tag != "" || n.Digest != "" {
		return n, nil
	}
	at, err := s.OnDisk(ctx, n.Repo)
	if err != nil {
		return n, fault.On(fault.Source, err)
	}
	only, err := at.Resolve(ctx, "")
	if err != nil {
		return n, nil //nolint:nilerr // the survey says so
	}
	names, err := at.Images()
	if err != nil {
		return n, fault.On(fault.Source, err)
	}
	names = slices.DeleteFunc(names, func(of ref.Name) bool {
		if n.Path != "" && n.Path != of.Path {
			return true
		}
		in, err := s.OnDisk(ctx, of.Repo)
		if err != nil {
			return true
		}
		is, err := in.Resolve(ctx, of.Tag)
		return err != nil || is.Digest != only.Digest
	})
	if len(names) != 1 || names[0].Tag == "" {
		return n, nil
	}
	return names[0], nil
}

// NamedText is Named for the text of a name. A text that is no name stays as it is.
func (s *Session) NamedText(ctx context.Context, text string) (string, error) {
	if !ref.IsLayout(text) {
		return text, nil
	}
	n, err := ref.Parse(text)
	if err != nil {
		return text, nil //nolint:nilerr // whoever reads the whole request says so
	}
	named, err := s.Named(ctx, n)
	if named == n || err != nil {
		return text, err
	}
	return named.String(), nil
}
