// Package nearest finds names that are similar to one that does not exist, for the hint of the error.
package nearest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Limit is the time limit of a listing that only serves to improve an error text.
const Limit = 5 * time.Second

// Hint adds a hint to err if err says that n does not exist: the similar tags of the repository, or, if
// that does not exist either, the similar repositories. It costs at most two requests, and only then.
func Hint(ctx context.Context, s *place.Session, n ref.Name, err error) error {
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok || f.Kind != fault.NotFound || fault.HintOf(err) != "" {
		return err
	}
	g := *f
	if g.Hint = similar(ctx, s, n); g.Hint == "" {
		return err
	}
	return &g
}

func similar(ctx context.Context, s *place.Session, n ref.Name) string {
	if whole := Whole(ctx, s, n.Repo, n.Path, n.Tag); len(whole) > 0 {
		return "write the whole name: " + whole[0].String()
	}
	if n.Tag == "" && n.Digest == "" {
		return Repositories(ctx, s, n.Repo, "")
	}
	tags, err := firstTags(ctx, s, n.Repo)
	if near := name.Similar(n.Tag, tags); n.Digest == "" && len(near) > 0 {
		return "similar tags in this repository: " + strings.Join(near, ", ")
	}
	if len(tags) > 0 {
		return "see the tags of this repository: " + shell.Dray("ls", n.Repo.String())
	}
	if fault.Is(err, fault.NotFound) || err == nil {
		return cmp.Or(Repositories(ctx, s, n.Repo, ""), "check the spelling of the repository")
	}
	return ""
}

// Whole returns the names of the images in the end of repo whose repository is path with a host before it, and whose
// tag is tag; "" means any. It returns none for a registry.
func Whole(ctx context.Context, s *place.Session, repo ref.Repo, path, tag string) []ref.Name {
	if !repo.IsLayout() || path == "" {
		return nil
	}
	at, err := s.OnDisk(ctx, repo.In(""))
	if err != nil {
		return nil
	}
	names, _ := at.Images() // an error is that of the name, too
	return slices.DeleteFunc(names, func(n ref.Name) bool {
		return !strings.HasSuffix(n.Path, "/"+path) || tag != "" && n.Tag != tag
	})
}

// firstTags returns the tags that a single request lists.
func firstTags(ctx context.Context, s *place.Session, repo ref.Repo) (tags []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	if s.Base.Elsewhere(repo) {
		return s.Once(fault.Source, repo, remote.Pull).FirstTags(ctx)
	}
	at, err := s.Source(ctx, repo)
	if err == nil {
		err = at.List(ctx, func(l oci.Listed) error { tags = append(tags, l.Tag); return nil })
	}
	return tags, err
}

// Repositories returns the hint that names repositories similar to repo; "" if there are none, and
// prefix if others are below repo. It costs one request. Its errors are ignored.
func Repositories(ctx context.Context, s *place.Session, repo ref.Repo, prefix string) string {
	if !s.Base.Elsewhere(repo) {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	use := remote.Use{Login: s.Logins[fault.Source], Observe: s.Watch()}
	repos, _ := s.Base.Remote.FirstRepositories(ctx, repo.Host, use)
	if slices.ContainsFunc(repos, func(path string) bool { return strings.HasPrefix(path, repo.Path+"/") }) {
		return prefix
	}
	if near := name.Similar(repo.Path, repos); len(near) > 0 {
		return "similar repositories in this registry: " + strings.Join(near, ", ")
	}
	return ""
}
