package ledger

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/drayage/dray/oci"
)

const (
	// MarkEvery is how many bytes apart the marks are that an owner has to make: 8 MiB.
	MarkEvery = 8 << 20
	// lead is how many bytes may be marked and not yet be on disk. The owner
	// waits for the disk before there are more.
	lead = 64 << 20
	// maxFile is how many bytes of a file are read: the marks of a blob of about a TiB.
	maxFile = 64 << 20
)

// Upload is one upload under way. Begin, Move and Mark write at once, so that
// nothing is lost when the process is killed, and the disk is told to keep it
// (fsync) while the upload goes on, so that little is lost with the power. After
// an error of the disk no more is written. The nil Upload remembers nothing.
// Its methods are safe for concurrent use.
type Upload struct {
	book
	path string
	lock *flock.Flock
	size int64 // of the blob
	left *Left

	mu      sync.Mutex
	file    *os.File
	records uint32 // in the file
	durable int64  // the furthest mark that is known to be on disk
	under   *flush // the last one that was begun
	err     error  // what ended the writing
}

// Left is what an earlier owner left of an upload.
type Left struct {
	Session string     // the address of the session: a capability, perhaps
	Marks   []oci.Mark // states of the hash, by rising byte
	At      time.Time  // of the last change
}

// Sent is the last mark's byte: at least so many bytes were read to be sent.
func (l *Left) Sent() int64 {
	if len(l.Marks) == 0 {
		return 0
	}
	return l.Marks[len(l.Marks)-1].At
}

// Reach is a byte that was not sent, nor any behind it.
func (l *Left) Reach() int64 { return l.Sent() + lead + MarkEvery }

// Left returns what an earlier owner left; nil for nothing.
func (u *Upload) Left() *Left {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.left
}

// open reads the file up to where it is sound and throws the rest away.
func (u *Upload) open() error {
	info, err := os.Lstat(u.path)
	if err == nil && !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	u.file, err = os.OpenFile(u.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if info, err = u.file.Stat(); err != nil {
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

// read takes in records until one is not sound; n is their length in bytes.
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

// before leaves out the marks that an owner passed again after it went back.
func before(marks []oci.Mark, at int64) []oci.Mark {
	for len(marks) > 0 && marks[len(marks)-1].At >= at {
		marks = marks[:len(marks)-1]
	}
	return marks
}

// Begin says that a new session is used, from byte 0. What was left is forgotten.
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

// Move says that the session's address is another one now.
func (u *Upload) Move(session string) error {
	return u.write(0, record{Session: session}, nil)
}

// Mark keeps the state of the hash at one byte. It has to be called at least
// every MarkEvery bytes, before any byte behind it is sent.
func (u *Upload) Mark(m oci.Mark) error { return u.write(m.At, record{Mark: &m}, nil) }

// write appends r, after first. A mark before any session is not kept.
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

// flush is one fsync; at and err may be read once done is closed.
type flush struct {
	done chan struct{}
	at   int64
	err  error
}

// flush has the file brought to disk, and waits only when too much is not there yet.
func (u *Upload) flush(at int64) error {
	if u.under != nil {
		select {
		case <-u.under.done:
		default:
			if at-u.durable <= lead {
				return nil
			}
		}
		if err := u.settle(); err != nil {
			return err
		}
	}
	f, file := &flush{done: make(chan struct{}), at: at}, u.file
	u.under = f
	go func() {
		defer close(f.done)
		if f.err = file.Sync(); f.at == 0 {
			syncDir(filepath.Dir(u.path))
		}
	}()
	return nil
}

// syncDir has a new file's name kept. Not every system can; then it is not.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}

// settle waits for the flush that is under way.
func (u *Upload) settle() error {
	f := u.under
	if f == nil {
		return nil
	}
	<-f.done
	u.under, u.durable = nil, max(u.durable, f.at)
	return f.err
}

// Forget removes the upload and gives it back: it is done, or given up.
func (u *Upload) Forget() {
	if u == nil {
		return
	}
	u.mu.Lock()
	u.records = 0
	u.mu.Unlock()
	u.Release()
}

// Release gives the upload back and leaves what it holds for the next run. Only
// the first Forget or Release counts.
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
		_ = os.Remove(u.path)
		_ = os.Remove(u.path + lockSuffix)
	}
	_ = u.lock.Close()
	u.lock = nil
}

// Found takes back the record of an upload whose blob turned out to be there.
func (s *Uploads) Found(key Key) {
	if s == nil {
		return
	}
	path := filepath.Join(s.uploads(), key.file())
	if _, err := os.Lstat(path); err != nil {
		return
	}
	if l, _ := take(path + lockSuffix); l != nil {
		_ = os.Remove(path)
		_ = os.Remove(path + lockSuffix)
		_ = l.Close()
	}
}
