package ledger

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/drayage/dray/internal/ours"
	"github.com/drayage/dray/oci"
)

const (
	// MarkEvery is the largest distance between two marks in bytes: 8 MiB. The owner must call
	// Mark that often.
	MarkEvery = 8 << 20
	// lead is how many bytes marks may be ahead of the last mark that is on disk. If they are
	// further ahead, the owner waits for the disk.
	lead = 64 << 20
	// maxFile is how many bytes of a file are read. That is enough for the marks of a blob of
	// about 1 TiB.
	maxFile = 64 << 20
)

// Upload stores the progress of one upload. Begin, Move and Mark write at once, so that nothing
// is lost if the process is killed. They also start an fsync in the background, so that little is
// lost if the power fails. After an error of the disk, nothing more is written. A nil Upload
// stores nothing. Its methods are safe for concurrent use.
type Upload struct {
	book
	path string
	dir  *ours.Dir
	lock *flock.Flock
	size int64 // size of the blob
	left *Left

	mu      sync.Mutex
	file    *os.File
	records uint32 // number of records in the file
	durable int64  // the furthest mark that is known to be on disk
	syncing *flush // the last fsync that was started
	err     error  // the error that ended the writing
}

// Left is the progress of an upload that an earlier owner stored.
type Left struct {
	Session string     // address of the session; it may grant access to whoever has it
	Marks   []oci.Mark // states of the hash, in order of their bytes
	At      time.Time  // time of the last change
}

// Sent returns the offset of the last mark. At least that many bytes were read in order to be
// sent.
func (l *Left) Sent() int64 {
	if len(l.Marks) == 0 {
		return 0
	}
	return l.Marks[len(l.Marks)-1].At
}

// Reach returns an offset. No byte at or after that offset was sent.
func (l *Left) Reach() int64 { return l.Sent() + lead + MarkEvery }

// Left returns what an earlier owner stored, or nil if there is nothing.
func (u *Upload) Left() *Left {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.left
}

// open reads the valid records at the beginning of the file and cuts off the rest.
func (u *Upload) open() error {
	f, err := u.dir.Write(filepath.Base(u.path))
	if err != nil {
		return err
	}
	u.file = f
	info, err := u.file.Stat()
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(u.file, maxFile))
	if err != nil {
		return err
	}
	sound := 0
	if time.Since(info.ModTime()) <= KeepFor {
		var left Left
		left, sound = u.read(raw)
		if left.At = info.ModTime(); sound > 0 {
			u.left, u.durable = &left, left.Sent()
		}
	}
	if int64(sound) < info.Size() {
		if err := u.file.Truncate(int64(sound)); err != nil {
			return err
		}
	}
	_, err = u.file.Seek(int64(sound), io.SeekStart)
	return err
}

// read parses records up to the first invalid one; n is the length in bytes of the valid ones.
func (u *Upload) read(raw []byte) (left Left, n int) {
	for rest := raw; ; {
		r, more, ok := u.decode(u.records, rest)
		switch {
		case !ok:
			return left, n
		case r.Session == "" && r.Mark == nil, u.records == 0 && (r.Session == "" || r.Size != u.size):
			return left, n
		case r.Mark != nil && (r.Mark.At <= 0 || r.Mark.At > u.size):
			return left, n
		}
		if r.Session != "" {
			left.Session = r.Session
		}
		if r.Mark != nil {
			left.Marks = append(before(left.Marks, r.Mark.At), *r.Mark)
		}
		u.records++
		rest = more
		n = len(raw) - len(rest)
	}
}

// before drops the marks from offset at on. The owner went back to before them, and then passed
// them again.
func before(marks []oci.Mark, at int64) []oci.Mark {
	for len(marks) > 0 && marks[len(marks)-1].At >= at {
		marks = marks[:len(marks)-1]
	}
	return marks
}

// Begin records that a new session is used, from byte 0. It discards the stored progress.
func (u *Upload) Begin(session string) error {
	return u.write(0, record{Session: session, Size: u.blob()}, func() error {
		u.left, u.records, u.durable = nil, 0, 0
		if err := u.settle(); err != nil {
			return err
		}
		if err := u.file.Truncate(0); err != nil {
			return err
		}
		_, err := u.file.Seek(0, io.SeekStart)
		return err
	})
}

func (u *Upload) blob() int64 {
	if u == nil {
		return 0
	}
	return u.size
}

// Move records that the address of the session has changed.
func (u *Upload) Move(session string) error {
	return u.write(0, record{Session: session}, nil)
}

// Mark stores the state of the hash at one byte. The owner must call Mark at least every
// MarkEvery bytes, and before it sends any byte after that offset.
func (u *Upload) Mark(m oci.Mark) error { return u.write(m.At, record{Mark: &m}, nil) }

// write calls first, if it is not nil, and then appends r. It ignores a record that comes before
// any session.
func (u *Upload) write(at int64, r record, first func() error) error {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err != nil || u.file == nil || first == nil && u.records == 0 {
		return u.err
	}
	err := func() error {
		if first != nil {
			if err := first(); err != nil {
				return err
			}
		}
		raw, err := u.encode(u.records, r)
		if err != nil {
			return err
		}
		if _, err := u.file.Write(raw); err != nil {
			return err
		}
		u.records++
		return u.flush(max(at, u.durable))
	}()
	u.err = diskFault("write", u.path, err)
	return u.err
}

// flush is one fsync. Read at and err only after done is closed.
type flush struct {
	done chan struct{}
	at   int64
	err  error
}

// flush starts an fsync. It waits for the one in progress only if marks are too far ahead of the
// disk.
func (u *Upload) flush(at int64) error {
	if u.syncing != nil {
		select {
		case <-u.syncing.done:
		default:
			if at-u.durable <= lead {
				return nil
			}
		}
		if err := u.settle(); err != nil {
			return err
		}
	}
	f, file, dir := &flush{done: make(chan struct{}), at: at}, u.file, u.dir
	u.syncing = f
	go func() {
		defer close(f.done)
		if f.err = file.Sync(); f.at == 0 {
			_ = dir.Sync() // at worst, the next run sends the blob from its beginning
		}
	}()
	return nil
}

// settle waits for the fsync in progress.
func (u *Upload) settle() error {
	f := u.syncing
	if f == nil {
		return nil
	}
	<-f.done
	u.syncing, u.durable = nil, max(u.durable, f.at)
	return f.err
}

// Forget removes the stored progress and releases the upload, because the upload is done or given
// up.
func (u *Upload) Forget() {
	if u == nil {
		return
	}
	u.mu.Lock()
	u.records = 0
	u.mu.Unlock()
	u.Release()
}

// Release releases the upload and keeps the stored progress for the next run. Only the first call
// of Forget or Release has an effect.
func (u *Upload) Release() {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.lock == nil {
		return
	}
	_ = u.settle()
	if u.file != nil {
		if u.records > 0 && u.err == nil {
			_ = u.file.Sync()
		}
		_ = u.file.Close()
		u.file = nil
	}
	if u.records == 0 {
		_ = u.dir.Remove(filepath.Base(u.path))
		_ = u.dir.Remove(filepath.Base(u.path) + lockSuffix)
	}
	_ = u.lock.Close()
	_ = u.dir.Close()
	u.lock = nil
}

// Found removes the record of an upload, because its blob turned out to be in the repository.
func (s *Uploads) Found(key Key) {
	if s == nil {
		return
	}
	d, err := home(filepath.Join(s.uploads(), key.file()))
	if err != nil {
		return
	}
	if _, err := d.Lstat(key.file()); err == nil {
		drop(d, key.file())
	}
	_ = d.Close()
}
