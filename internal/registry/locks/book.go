package locks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/internal/registry/backing"
	"github.com/drayage/dray/internal/registry/tend"
)

// Where locks are stored. Each lock is one file, whose name contains all that it says. So one list of a directory reads
// all locks of a repository, and two servers that lock two tags at the same time do not lose a lock:
//
//	<repo>/_locks/repository.BITS
//	<repo>/_locks/tag.TAG.BITS
//	<repo>/_locks/manifest.ALGORITHM-HEX.BITS
//	_hidden/SHA256      beside the repositories, of the name of one that lists do not contain
//
// BITS has a 0 or 1 for each of delete, write, read and list. If an interrupted change has left two files for one name,
// what either of them forbids is forbidden.
const (
	dirName = "_locks"
	hidden  = "/docker/registry/v2/_hidden"
)

const (
	fresh = 5 * time.Second // how long the locks of content that other servers may change count as known
	most  = 50_000          // repositories whose locks are remembered
)

// Book reads and writes the locks of all repositories of a storage. It is safe for concurrent use.
type Book struct {
	Driver *backing.Driver

	mu     sync.Mutex
	round  int // of changes: what was read before a change is not remembered after it
	known  map[string]known
	unseen map[string]bool // the files of hidden
	read   time.Time       // when unseen was read; zero means never
}

type known struct {
	locks Locks
	read  time.Time
}

// Now returns the locks of repo as they are stored now.
func (b *Book) Now(ctx context.Context, repo string) (Locks, error) {
	if b.Driver.Local() { // no other process changes them
		return b.Lately(ctx, repo)
	}
	return b.load(ctx, repo)
}

// Lately returns the locks of repo as they were a few seconds ago, if other servers may change them.
func (b *Book) Lately(ctx context.Context, repo string) (Locks, error) {
	b.mu.Lock()
	k, ok := b.known[repo]
	b.mu.Unlock()
	if ok && (b.Driver.Local() || time.Since(k.read) < fresh) {
		return k.locks, nil
	}
	return b.load(ctx, repo)
}

func (b *Book) load(ctx context.Context, repo string) (Locks, error) {
	b.mu.Lock()
	round := b.round
	b.mu.Unlock()
	files, err := b.Driver.List(ctx, path.Join(tend.Root, repo, dirName))
	if err != nil && !tend.Missing(err) {
		return Locks{}, err
	}
	l := Locks{}
	for _, file := range files {
		name, a, ok := parse(path.Base(file))
		if !ok {
			continue
		}
		if l.named == nil {
			l.named = map[string]Attributes{}
		}
		o := l.Of(name)
		l.named[name] = Attributes{a.Delete && o.Delete, a.Write && o.Write, a.Read && o.Read, a.List && o.List}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.round == round {
		if b.known == nil || len(b.known) >= most {
			b.known = map[string]known{}
		}
		b.known[repo] = known{l, time.Now()}
	}
	return l, nil
}

// Set stores the attributes of name in repo. After an error, name has the old or the new ones.
func (b *Book) Set(ctx context.Context, repo, name string, a Attributes) error {
	defer b.changed()
	file := format(name, a)
	if name == Repository && !a.List {
		if err := b.Driver.PutContent(ctx, path.Join(hidden, hiddenName(repo)), []byte(repo)); err != nil {
			return err
		}
	}
	if a != Unlocked() {
		if err := b.Driver.PutContent(ctx, path.Join(tend.Root, repo, dirName, file), []byte("1")); err != nil {
			return err
		}
	}
	if err := b.clear(ctx, repo, name, file); err != nil {
		return err
	}
	if name == Repository && a.List {
		return b.drop(ctx, path.Join(hidden, hiddenName(repo)))
	}
	return nil
}

// Forget removes the locks of name, which does not exist any more. If name is Repository, it removes all locks.
func (b *Book) Forget(ctx context.Context, repo, name string) error {
	l, err := b.Now(ctx, repo)
	if err != nil {
		return err
	}
	if _, locked := l.named[name]; !locked && name != Repository || l.None() {
		return nil
	}
	defer b.changed()
	if name != Repository {
		return b.clear(ctx, repo, name, "")
	}
	if err := b.drop(ctx, path.Join(tend.Root, repo, dirName)); err != nil {
		return err
	}
	return b.drop(ctx, path.Join(hidden, hiddenName(repo)))
}

// clear removes the files of name but keep.
func (b *Book) clear(ctx context.Context, repo, name, keep string) error {
	files, err := b.Driver.List(ctx, path.Join(tend.Root, repo, dirName))
	if err != nil && !tend.Missing(err) {
		return err
	}
	for _, file := range files {
		of, _, ok := parse(path.Base(file))
		if !ok || of != name || path.Base(file) == keep {
			continue
		}
		if err := b.drop(ctx, file); err != nil {
			return err
		}
	}
	return nil
}

func (b *Book) drop(ctx context.Context, file string) error {
	if err := b.Driver.Delete(ctx, file); err != nil && !tend.Missing(err) {
		return err
	}
	return nil
}

func (b *Book) changed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.round++
	b.known, b.read = nil, time.Time{}
}

// Hidden returns a function that reports whether a repository may not be listed. It is nil if all may be.
func (b *Book) Hidden(ctx context.Context) (func(repo string) bool, error) {
	b.mu.Lock()
	round, unseen := b.round, b.unseen
	ok := !b.read.IsZero() && (b.Driver.Local() || time.Since(b.read) < fresh)
	b.mu.Unlock()
	if !ok {
		files, err := b.Driver.List(ctx, hidden)
		if err != nil && !tend.Missing(err) {
			return nil, err
		}
		unseen = map[string]bool{}
		for _, file := range files {
			unseen[path.Base(file)] = true
		}
		b.mu.Lock()
		if b.round == round {
			b.unseen, b.read = unseen, time.Now()
		}
		b.mu.Unlock()
	}
	if len(unseen) == 0 {
		return nil, nil
	}
	return func(repo string) bool { return unseen[hiddenName(repo)] }, nil
}

func hiddenName(repo string) string {
	sum := sha256.Sum256([]byte(repo))
	return hex.EncodeToString(sum[:])
}

// format returns the name of the file of a lock.
func format(name string, a Attributes) string {
	bits := ""
	for _, may := range []bool{a.Delete, a.Write, a.Read, a.List} {
		if may {
			bits += "1"
		} else {
			bits += "0"
		}
	}
	algorithm, encoded, isDigest := strings.Cut(name, ":")
	switch {
	case name == Repository:
		return "repository." + bits
	case isDigest:
		return "manifest." + algorithm + "-" + encoded + "." + bits
	}
	return "tag." + name + "." + bits
}

// parse is the reverse of format.
func parse(file string) (name string, a Attributes, ok bool) {
	i := strings.LastIndexByte(file, '.')
	if i < 0 || len(file) != i+5 || strings.Trim(file[i+1:], "01") != "" {
		return "", a, false
	}
	bits := file[i+1:]
	a = Attributes{bits[0] == '1', bits[1] == '1', bits[2] == '1', bits[3] == '1'}
	kind, name, _ := strings.Cut(file[:i], ".")
	switch kind {
	case "repository":
		return Repository, a, name == ""
	case "tag":
		return name, a, name != ""
	case "manifest":
		algorithm, encoded, ok := strings.Cut(name, "-")
		return algorithm + ":" + encoded, a, ok
	}
	return "", a, false
}
