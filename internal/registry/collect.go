package registry

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"path/filepath"
	"strings"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry/backing"
	"github.com/drayage/dray/internal/registry/forward"
	"github.com/drayage/dray/internal/registry/home"
	"github.com/drayage/dray/internal/registry/index"
	"github.com/drayage/dray/internal/registry/locks"
	"github.com/drayage/dray/internal/registry/needs"
	"github.com/drayage/dray/internal/registry/tend"
	"github.com/drayage/dray/internal/registry/tree"
)

// CollectOptions select what Collect removes. The zero CollectOptions remove blobs that no
// manifest needs, and no manifest.
type CollectOptions struct {
	Storage Storage // as in Options

	// Untagged also removes manifests that cannot be reached: they have no tag, no index that is
	// kept lists them, and they have no subject that is kept.
	Untagged bool
	// DryRun only counts and changes nothing.
	DryRun bool
	// Keep protects content that is younger, because content may be pushed before the manifest
	// that needs it. 0 means one hour; a negative value protects nothing. An unfinished upload is protected
	// for a day after its last byte, whatever Keep is, unless it is negative.
	Keep time.Duration
	Log  *slog.Logger // logs each removal at debug level; nil means that nothing is logged
}

// Collected counts what Collect has removed, or with DryRun would remove.
type Collected struct {
	Repositories int
	Kept         struct {
		Manifests int
		Blobs     int   // files, including those of manifests; a file that several repositories share counts once
		Bytes     int64 // of those files

		Uploads     int // unfinished, and not expired
		UploadBytes int64
	}
	Removed struct {
		Manifests int
		Links     int // blobs that were removed from a repository
		Blobs     int
		Bytes     int64

		Tags        int // that led nowhere, because a process was killed before it had set them
		Uploads     int // unfinished
		UploadBytes int64
	}
	DryRun bool
}

// Collect removes content that nothing needs from the registry in dir. A manifest with a tag is
// needed, and so is one that is locked; without Untagged, every manifest is needed. All that a needed manifest lists is
// also needed, whatever its kind and depth. The referrers of a needed manifest, and their
// referrers, are needed too. What processes left that were killed while they wrote goes, too.
//
// If the content is in dir, no process may serve dir at the same time; otherwise the error is
// Conflict and nothing is removed. If it is in a bucket, the caller must see to it that nobody
// writes to the bucket or collects there, except with DryRun. Pulls may continue. If a manifest cannot be read, the
// error is Corrupt and nothing is removed, because it is not known what that manifest needs. If Collect is stopped
// or killed, the registry stays consistent, because manifests are removed before the content that they need.
func Collect(ctx context.Context, dir string, o CollectOptions) (_ Collected, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Keep == 0 {
		o.Keep = time.Hour
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return Collected{}, collecting(ctx, dir, err)
	}
	if o.Storage.Local() {
		lock, err := home.Lock(dir)
		if err != nil {
			return Collected{}, err
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
	}
	forward.Quiet()
	forward.To(o.Log)
	driver, err := o.Storage.Open(ctx, dir)
	if err != nil {
		return Collected{}, err
	}
	store, err := namespace(ctx, driver)
	if err != nil {
		return Collected{}, collecting(ctx, dir, err)
	}
	c := &collector{
		options: o,
		driver:  driver,
		index:   &index.Index{Driver: driver, Store: store},
		needed:  map[digest.Digest]bool{},
	}
	if o.Untagged { // otherwise all manifests are kept, and referrers do not have to be found
		if err := index.Once(ctx, dir, o.Storage, c.index, o.Log); err != nil {
			return Collected{}, err
		}
	}
	if err := c.run(ctx); err != nil {
		return c.sum, collecting(ctx, dir, err)
	}
	c.sum.DryRun = o.DryRun
	return c.sum, nil
}

func collecting(ctx context.Context, dir string, err error) error {
	return faultOf(ctx, "collect garbage in", dir, err)
}

// collector is one run of Collect. It marks the content of all repositories before it removes
// anything.
type collector struct {
	options CollectOptions
	driver  *backing.Driver
	index   *index.Index
	needed  map[digest.Digest]bool // content that some repository needs
	sum     Collected
}

// repoContent is one repository with its manifests and the content that it needs.
type repoContent struct {
	name      reference.Named
	manifests map[digest.Digest]bool // true means that the manifest is kept
	needs     map[digest.Digest]bool // the manifests that are kept, and what they list
}

func (c *collector) run(ctx context.Context) error {
	names, err := tend.Repositories(ctx, c.driver)
	if err != nil {
		return err
	}
	var repos []*repoContent
	for _, name := range names {
		if named, err := reference.WithName(name); err == nil {
			none := func() map[digest.Digest]bool { return map[digest.Digest]bool{} }
			repos = append(repos, &repoContent{name: named, manifests: none(), needs: none()})
		}
	}
	for _, r := range repos {
		if err := c.mark(ctx, r); err != nil {
			return err
		}
	}
	for _, r := range repos {
		if err := c.interrupted(ctx, r); err != nil {
			return err
		}
	}
	if err := c.orphans(ctx); err != nil {
		return err
	}
	for _, r := range repos {
		if err := c.sweepManifests(ctx, r); err != nil {
			return err
		}
	}
	for _, r := range repos {
		if err := c.sweepLinks(ctx, r); err != nil {
			return err
		}
	}
	if err := c.sweepBlobs(ctx); err != nil {
		return err
	}
	return c.sweepParts(ctx)
}

// sweepParts removes the temporary files of processes that were killed: nobody else writes to the directory now.
func (c *collector) sweepParts(ctx context.Context) error {
	parts, err := c.driver.Parts(ctx)
	for _, part := range parts {
		err = errors.Join(err, c.drop(ctx, part))
	}
	return err
}

// interrupted removes what interrupted requests have left in r: unfinished uploads, and tags that lead nowhere.
func (c *collector) interrupted(ctx context.Context, r *repoContent) error {
	uploads, err := tend.Uploads(ctx, c.driver, r.name.Name())
	if err != nil {
		return err
	}
	for _, u := range uploads {
		if !u.Expired() && c.options.Keep >= 0 {
			c.sum.Kept.Uploads++
			c.sum.Kept.UploadBytes += u.Bytes
			continue
		}
		c.sum.Removed.Uploads++
		c.sum.Removed.UploadBytes += u.Bytes
		if c.options.DryRun {
			continue
		}
		if err := u.Remove(ctx, c.driver); err != nil {
			return err
		}
	}
	dead, err := tend.DeadTags(ctx, c.driver, r.name.Name())
	if err != nil {
		return err
	}
	for _, tag := range dead {
		c.sum.Removed.Tags++
		if err := c.drop(ctx, tree.Tag(r.name.Name(), tag)); err != nil {
			return err
		}
	}
	return nil
}

// orphans removes the parts of objects that a bucket keeps and that belong to no upload.
func (c *collector) orphans(ctx context.Context) error {
	age := tend.Life
	if c.options.Keep < 0 {
		age = 0
	}
	orphans, err := tend.Orphans(ctx, c.driver, age)
	if err != nil {
		return err
	}
	c.sum.Removed.Uploads += len(orphans)
	if c.options.DryRun {
		return nil
	}
	for _, o := range orphans {
		if err := o.Abort(ctx); err != nil {
			return err
		}
	}
	return nil
}

// mark finds the content that r needs.
func (c *collector) mark(ctx context.Context, r *repoContent) error {
	c.sum.Repositories++
	all, err := c.index.Digests(ctx, r.name)
	if err != nil {
		return err
	}
	for _, d := range all {
		r.manifests[d] = false
	}
	roots, err := c.roots(ctx, r, all)
	if err != nil {
		return err
	}
	for len(roots) > 0 {
		d := roots[len(roots)-1]
		roots = roots[:len(roots)-1]
		if kept, there := r.manifests[d]; !there || kept {
			continue
		}
		r.manifests[d] = true
		r.needs[d], c.needed[d] = true, true
		below, err := c.listed(ctx, r, d)
		if err != nil {
			return err
		}
		for _, b := range below {
			r.needs[b], c.needed[b] = true, true
		}
		above, err := c.index.Linked(ctx, r.name, d)
		if err != nil {
			return err
		}
		roots = append(append(roots, below...), above...)
	}
	return nil
}

// roots returns the manifests that are needed themselves: those with a tag, those that are locked, and those that are
// too young to be removed or, without Untagged or if the repository is locked, all.
func (c *collector) roots(ctx context.Context, r *repoContent, all []digest.Digest) ([]digest.Digest, error) {
	if !c.options.Untagged {
		return all, nil
	}
	locked, err := (&locks.Book{Driver: c.driver}).Now(ctx, r.name.Name())
	if err != nil {
		return nil, err
	}
	if locked.Delete() != nil {
		return all, nil
	}
	var roots []digest.Digest
	for _, name := range locked.Kept() {
		if d, err := digest.Parse(name); err == nil {
			roots = append(roots, d)
		}
	}
	tags, err := c.driver.List(ctx, tree.Tag(r.name.Name(), ""))
	if err != nil && !tend.Missing(err) {
		return nil, err
	}
	for _, tag := range tags {
		raw, err := c.driver.GetContent(ctx, path.Join(tag, "current/link"))
		if tend.Missing(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		roots = append(roots, digest.Digest(raw))
	}
	for _, d := range all {
		info, err := c.driver.Stat(ctx, path.Join(tree.Revision(r.name.Name(), d), "link"))
		switch {
		case err == nil && c.young(info):
			roots = append(roots, d)
		case err != nil && !tend.Missing(err):
			return nil, err
		}
	}
	return roots, nil
}

// listed returns all digests that the manifest d lists: config, layers, manifests and blobs.
func (c *collector) listed(ctx context.Context, r *repoContent, d digest.Digest) ([]digest.Digest, error) {
	raw, err := c.driver.GetContent(ctx, tree.Blob(d))
	if err != nil {
		return nil, err
	}
	m, err := needs.Of(raw)
	if err != nil || digest.FromBytes(raw) != d {
		return nil, &fault.Fault{
			Kind: fault.Corrupt,
			Op:   "read manifest",
			Name: r.name.Name() + "@" + d.String(),
			Hint: "push the manifest again, or delete it",
			Err:  errors.New("its bytes are damaged, so the content that it needs is not known"),
		}
	}
	return m.All(), nil
}

// sweepManifests removes the manifests that are not kept from r, and from the referrers of their
// subjects.
func (c *collector) sweepManifests(ctx context.Context, r *repoContent) error {
	for d, kept := range r.manifests {
		if kept {
			c.sum.Kept.Manifests++
			continue
		}
		c.sum.Removed.Manifests++
		if err := c.remove(ctx, r, d); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) remove(ctx context.Context, r *repoContent, d digest.Digest) error {
	mediaType, raw, err := c.index.Read(ctx, r.name, d)
	if err == nil {
		if l, err := index.LinkOf(r.name, mediaType, raw); err == nil && l != nil {
			defer func() { _ = c.drop(ctx, l.Dir()) }() // an entry that stays is not listed and does no harm
		}
	}
	return c.drop(ctx, path.Join(tree.Revision(r.name.Name(), d), "link"))
}

// sweepLinks removes the links to blobs that nothing in r needs.
func (c *collector) sweepLinks(ctx context.Context, r *repoContent) error {
	layers := path.Join(tree.Repositories, r.name.Name(), "_layers")
	var gone []string
	err := c.driver.Walk(ctx, layers, func(info storagedriver.FileInfo) error {
		dir, file := path.Split(info.Path())
		if info.IsDir() || file != "link" {
			return ctx.Err()
		}
		dir = path.Clean(dir)
		d := digest.NewDigestFromEncoded(digest.Algorithm(path.Base(path.Dir(dir))), path.Base(dir))
		switch {
		case r.needs[d]:
			// A link with another algorithm leads to the sha256 digest of the same bytes.
			raw, err := c.driver.GetContent(ctx, info.Path())
			if err != nil {
				return err
			}
			c.needed[digest.Digest(raw)] = true
		case c.young(info):
			c.needed[d] = true
		default:
			gone = append(gone, dir)
		}
		return ctx.Err()
	})
	if err != nil && !tend.Missing(err) {
		return err
	}
	for _, dir := range gone {
		c.sum.Removed.Links++
		if err := c.drop(ctx, dir); err != nil {
			return err
		}
	}
	return nil
}

// sweepBlobs removes the files that no repository needs.
func (c *collector) sweepBlobs(ctx context.Context) error {
	var gone []string
	err := c.driver.Walk(ctx, tree.Blobs, func(info storagedriver.FileInfo) error {
		dir, file := path.Split(info.Path())
		if info.IsDir() || file != "data" {
			return ctx.Err()
		}
		dir = path.Clean(dir)
		algorithm, _, _ := strings.Cut(strings.TrimPrefix(dir, tree.Blobs+"/"), "/")
		d := digest.NewDigestFromEncoded(digest.Algorithm(algorithm), path.Base(dir))
		if c.needed[d] || c.young(info) {
			c.sum.Kept.Blobs++
			c.sum.Kept.Bytes += info.Size()
			return ctx.Err()
		}
		c.sum.Removed.Blobs++
		c.sum.Removed.Bytes += info.Size()
		gone = append(gone, dir)
		return ctx.Err()
	})
	if err != nil && !tend.Missing(err) {
		return err
	}
	for _, dir := range gone {
		if err := c.drop(ctx, dir); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) young(info storagedriver.FileInfo) bool {
	return time.Since(info.ModTime()) < c.options.Keep
}

// drop deletes name, or only logs it if DryRun is set.
func (c *collector) drop(ctx context.Context, name string) error {
	c.options.Log.LogAttrs(ctx, slog.LevelDebug, "removed",
		slog.String("path", name), slog.Bool("dryRun", c.options.DryRun))
	if c.options.DryRun {
		return nil
	}
	if err := c.driver.Delete(ctx, name); err != nil && !tend.Missing(err) {
		return err
	}
	return nil
}
