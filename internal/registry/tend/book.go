package tend

import (
	"context"
	"fmt"
	"path"
	"sync"

	"github.com/drayage/dray/internal/registry/backing"
)

// Limits are what one owner may have unfinished at the same time.
type Limits struct {
	Uploads int // 0 means 1000
	// Bytes of all uploads; 0 means three quarters of the space that pushes have, counted without what is
	// unfinished, or no limit if the content is in an object store.
	Bytes int64
}

// Over says why an owner may not have more unfinished uploads, or a larger one.
type Over struct {
	// Alone means that one upload alone is larger than the limit, so that it is of no use to wait.
	Alone bool

	why string
}

func (o *Over) Error() string { return o.why }

const mostUploads = 1000

// Book knows the unfinished uploads of a registry and their owners. It is safe for concurrent use.
type Book struct {
	driver *backing.Driver
	limits Limits

	mu   sync.Mutex
	open map[string]*entry // by Upload.Dir
}

type entry struct {
	Upload
	saved bool // the storage has the owner
}

// NewBook returns an empty Book. Saw fills it with what an earlier process has left.
func NewBook(driver *backing.Driver, limits Limits) *Book {
	if limits.Uploads == 0 {
		limits.Uploads = mostUploads
	}
	return &Book{driver: driver, limits: limits, open: map[string]*entry{}}
}

// Begin notes that owner has begun an upload. The owner "" has no limits.
func (b *Book) Begin(u Upload) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[u.Dir()] = &entry{Upload: u, saved: u.Owner == ""}
}

// Grow notes that n bytes of an upload have come.
func (b *Book) Grow(u Upload, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.open[u.Dir()]; e != nil {
		e.Bytes += int64(n)
	}
}

// End notes that an upload is finished or removed.
func (b *Book) End(u Upload) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, u.Dir())
}

// Total returns how many uploads are unfinished, and their bytes.
func (b *Book) Total() (uploads int, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.open {
		bytes += e.Bytes
	}
	return len(b.open), bytes
}

// May says why owner may not begin another upload; nil means that it may.
func (b *Book) May(owner string) *Over {
	n, bytes, most := b.of(owner)
	switch {
	case owner == "":
		return nil
	case n >= b.limits.Uploads:
		return &Over{why: fmt.Sprintf("%s has as many unfinished uploads as it may have, %d: finish or cancel some",
			owner, n)}
	case bytes >= most:
		return tooMany(owner, bytes, most)
	}
	return nil
}

// MayGrow says why n more bytes of an upload are more than its owner may have; nil means that it may have them.
func (b *Book) MayGrow(u Upload, n int64) *Over {
	b.mu.Lock()
	if e := b.open[u.Dir()]; e != nil {
		u = e.Upload
	}
	b.mu.Unlock()
	_, bytes, most := b.of(u.Owner)
	switch {
	case u.Owner == "" || bytes+n <= most:
		return nil
	case u.Bytes+n > most:
		return &Over{Alone: true, why: fmt.Sprintf("no space is left for this blob: one principal may have %d MiB "+
			"in unfinished uploads here", most>>20)}
	}
	return tooMany(u.Owner, bytes, most)
}

func tooMany(owner string, bytes, most int64) *Over {
	return &Over{why: fmt.Sprintf("%s has %d MiB in unfinished uploads, and may have %d MiB: finish or cancel some",
		owner, bytes>>20, most>>20)}
}

// of returns how many uploads owner has, their bytes, and how many bytes it may have.
func (b *Book) of(owner string) (n int, bytes, most int64) {
	b.mu.Lock()
	var all int64
	for _, e := range b.open {
		all += e.Bytes
		if e.Owner == owner {
			n++
			bytes += e.Bytes
		}
	}
	b.mu.Unlock()
	const unlimited = 1 << 62
	room, ok := b.driver.Room()
	switch {
	case b.limits.Bytes > 0:
		return n, bytes, b.limits.Bytes
	case !ok:
		return n, bytes, unlimited
	}
	return n, bytes, max(0, room.Free-b.driver.Least(room)+all) / 4 * 3
}

// Saw corrects the book with what the storage has: found are all its uploads. Uploads that were begun after since stay.
func (b *Book) Saw(found []Upload, begun map[string]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	there := map[string]bool{}
	for _, u := range found {
		there[u.Dir()] = true
		if e := b.open[u.Dir()]; e != nil {
			e.Bytes = max(e.Bytes, u.Bytes)
			continue
		}
		b.open[u.Dir()] = &entry{Upload: u, saved: true}
	}
	for dir := range begun {
		if !there[dir] {
			delete(b.open, dir)
		}
	}
}

// Open returns the uploads that the book knows, by their directories.
func (b *Book) Open() map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]bool{}
	for dir := range b.open {
		all[dir] = true
	}
	return all
}

// Save writes down who has begun the uploads that are open, for the next process. It is not done for each upload
// at once, because most are finished within seconds.
func (b *Book) Save(ctx context.Context) error {
	b.mu.Lock()
	var unsaved []Upload
	for _, e := range b.open {
		if !e.saved {
			unsaved = append(unsaved, e.Upload)
		}
	}
	b.mu.Unlock()
	for _, u := range unsaved {
		if _, err := b.driver.Stat(ctx, path.Join(u.Dir(), "startedat")); Missing(err) {
			continue // it was finished in the meantime
		}
		if err := b.driver.PutContent(ctx, path.Join(u.Dir(), ownerFile), []byte(u.Owner)); err != nil {
			return err
		}
		b.mu.Lock()
		if e := b.open[u.Dir()]; e != nil {
			e.saved = true
		}
		b.mu.Unlock()
	}
	return nil
}
