package tend

import (
	"context"
	"path"
	"strconv"
	"strings"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/drayage/dray/internal/registry/backing"
)

// Life is how long an unfinished upload is kept after its last byte.
const Life = 24 * time.Hour

// Upload is an unfinished upload.
type Upload struct {
	Repo, ID string
	Owner    string // the principal that began it; "" if that is not known
	Bytes    int64
	Touched  time.Time // when its last byte came

	lost bool // no request can continue it
}

// Dir returns the directory of the upload.
func (u Upload) Dir() string { return path.Join(Root, u.Repo, "_uploads", u.ID) }

// Expired reports whether nothing has come for Life. What distribution leaves of an upload that was refused or canceled
// is kept for an hour.
func (u Upload) Expired() bool {
	age := time.Since(u.Touched).Abs() // the clock may have been set back since
	return age > Life || u.lost && age > time.Hour
}

const ownerFile = "owner" // beside the files of distribution, which are data, startedat and hashstates/

// Uploads lists the unfinished uploads of a repository.
func Uploads(ctx context.Context, driver *backing.Driver, repo string) ([]Upload, error) {
	dirs, err := driver.List(ctx, path.Join(Root, repo, "_uploads"))
	if err != nil && !Missing(err) {
		return nil, err
	}
	var all []Upload
	for _, dir := range dirs {
		u := Upload{Repo: repo, ID: path.Base(dir)}
		err := u.read(ctx, driver)
		if err != nil && !Missing(err) {
			return nil, err
		}
		if err == nil { // otherwise it was finished in the meantime
			all = append(all, u)
		}
	}
	return all, nil
}

// read reads all but the name of u. An object store has no file data before the upload is complete: the states of
// hashes, which distribution writes after each request, are named by the number of bytes before them.
func (u *Upload) read(ctx context.Context, driver *backing.Driver) error {
	u.lost = true
	err := driver.Walk(ctx, u.Dir(), func(info storagedriver.FileInfo) error {
		if info.IsDir() {
			return ctx.Err()
		}
		dir, base := path.Split(info.Path())
		u.lost = u.lost && base != "startedat"
		switch {
		case base == "data":
			u.Bytes = max(u.Bytes, info.Size())
		case strings.Contains(dir, "/hashstates/"):
			n, _ := strconv.ParseInt(base, 10, 64) // 0 for a name that is no number
			u.Bytes = max(u.Bytes, n)
		case base == ownerFile:
			raw, err := driver.GetContent(ctx, info.Path())
			u.Owner = string(raw)
			return err // it is written later than the last byte
		}
		if info.ModTime().After(u.Touched) {
			u.Touched = info.ModTime()
		}
		return ctx.Err()
	})
	if err != nil || !u.Touched.IsZero() {
		return err
	}
	info, err := driver.Stat(ctx, u.Dir()) // a directory without files
	if err == nil {
		u.Touched = info.ModTime()
	}
	return err
}

// Remove removes the upload. An object store keeps the parts of an upload that is not canceled, even if its directory
// is deleted.
func (u Upload) Remove(ctx context.Context, driver *backing.Driver) error {
	if !driver.Local() {
		if w, err := driver.Writer(ctx, path.Join(u.Dir(), "data"), true); err == nil {
			_ = w.Cancel(ctx) // what remains, the bucket removes by its lifecycle rule
		}
	}
	if err := driver.Delete(ctx, u.Dir()); err != nil && !Missing(err) {
		return err
	}
	return nil
}
