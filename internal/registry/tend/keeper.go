package tend

import (
	"context"
	"log/slog"
	"path"
	"time"

	"github.com/drayage/dray/internal/registry/backing"
)

// How often a registry looks for uploads that have expired. A walk through a bucket is slow and costs money.
const (
	dirEvery    = time.Hour
	bucketEvery = 24 * time.Hour
)

// Keeper removes what interrupted requests have left.
type Keeper struct {
	Driver *backing.Driver
	Book   *Book
	Log    *slog.Logger
	// Lock keeps others from setting a tag until unlock is called.
	Lock func(ctx context.Context, repo, tag string) (unlock func(), err error)
}

// Run removes uploads that have expired and, at the start, tags that lead nowhere, until ctx ends. In a bucket only the
// clean-up of the registry looks for such tags.
func (k Keeper) Run(ctx context.Context) {
	every := dirEvery
	if !k.Driver.Local() {
		every = bucketEvery
	}
	tags := k.Driver.Local()
	for {
		if err := k.round(ctx, tags); err != nil && ctx.Err() == nil {
			k.Log.LogAttrs(ctx, slog.LevelWarn, "unfinished uploads are not removed", slog.Any("err", err))
		}
		tags = false
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

func (k Keeper) round(ctx context.Context, tags bool) error {
	driver, open := k.Driver, k.Book.Open()
	repos, err := Repositories(ctx, driver)
	if err != nil {
		return err
	}
	var left []Upload
	for _, repo := range repos {
		uploads, err := Uploads(ctx, driver, repo)
		if err != nil {
			return err
		}
		for _, u := range uploads {
			if !u.Expired() {
				left = append(left, u)
				continue
			}
			if err := u.Remove(ctx, driver); err != nil {
				return err
			}
			k.Log.LogAttrs(ctx, slog.LevelInfo, "removed an unfinished upload", slog.String("image", repo),
				slog.Int64("bytes", u.Bytes), slog.Time("since", u.Touched))
		}
		if tags {
			if err := k.buryTags(ctx, repo); err != nil {
				return err
			}
		}
	}
	k.Book.Saw(left, open)
	if err := k.abortOrphans(ctx); err != nil {
		return err
	}
	return k.Book.Save(ctx)
}

func (k Keeper) abortOrphans(ctx context.Context) error {
	orphans, err := Orphans(ctx, k.Driver, Life)
	if err != nil {
		return err
	}
	for _, o := range orphans {
		if err := o.Abort(ctx); err != nil {
			return err
		}
		k.Log.LogAttrs(ctx, slog.LevelInfo, "removed the parts of an unfinished object", slog.String("object", o.Path),
			slog.Time("since", o.Begun))
	}
	return nil
}

// buryTags removes the tags of repo that lead nowhere. It waits for those who set one of them.
func (k Keeper) buryTags(ctx context.Context, repo string) error {
	dead, err := DeadTags(ctx, k.Driver, repo)
	if err != nil {
		return err
	}
	for _, tag := range dead {
		if err := k.buryTag(ctx, repo, tag); err != nil {
			return err
		}
	}
	return nil
}

func (k Keeper) buryTag(ctx context.Context, repo, tag string) error {
	unlock, err := k.Lock(ctx, repo, tag)
	if err != nil {
		return err
	}
	defer unlock()
	dir := path.Join(Root, repo, "_manifests/tags", tag)
	if _, err := k.Driver.Stat(ctx, path.Join(dir, "current/link")); !Missing(err) {
		return err
	}
	k.Log.LogAttrs(ctx, slog.LevelInfo, "removed a tag that was never set", slog.String("image", repo+":"+tag))
	if err := k.Driver.Delete(ctx, dir); !Missing(err) {
		return err
	}
	return nil
}
