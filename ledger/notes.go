package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/drayage/dray/ref"
)

const maxNotes = 4 << 20 // bytes of a file that are read

// notes are short lines about each repository, in a file of its own. What a line says is
// its reader's: one that makes no sense is passed over.
type notes struct {
	dir  string
	head string        // the first line of a file, with its version
	most int           // lines of a repository; the oldest are forgotten
	keep time.Duration // how long a file counts after the last line
}

func (n notes) file(repo ref.Repo) string {
	sum := sha256.Sum256([]byte(repo.Host + "\x00" + repo.Path))
	return filepath.Join(n.dir, hex.EncodeToString(sum[:]))
}

// read returns the lines about repo, the oldest first.
func (n notes) read(repo ref.Repo) []string {
	path := n.file(repo)
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxNotes || time.Since(info.ModTime()) > n.keep {
		return nil
	}
	raw, err := os.ReadFile(path)
	rest, ok := bytes.CutPrefix(raw, []byte(n.head))
	if err != nil || !ok {
		return nil
	}
	var all []string
	for line := range strings.Lines(string(rest)) {
		if whole, ok := strings.CutSuffix(line, "\n"); ok {
			all = append(all, whole)
		}
	}
	return all
}

// change writes what f makes of the lines about repo. Of two that write at once the
// second gives up.
func (n notes) change(repo ref.Repo, f func([]string) []string) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return diskFault("open", n.dir, err)
	}
	path := n.file(repo)
	lock, err := take(path + lockSuffix)
	if lock == nil {
		return diskFault("lock", path, err)
	}
	defer lock.Close()
	defer os.Remove(path + lockSuffix)
	all := f(n.read(repo))
	var b strings.Builder
	b.WriteString(n.head)
	for _, line := range all[max(0, len(all)-n.most):] {
		b.WriteString(line + "\n")
	}
	temp := path + ".new"
	if err := os.WriteFile(temp, []byte(b.String()), 0o600); err != nil {
		return diskFault("write", path, err)
	}
	return diskFault("write", path, os.Rename(temp, path))
}
