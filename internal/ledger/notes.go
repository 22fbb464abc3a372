package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strings"
	"time"

	"github.com/drayage/dray/ref"
)

// notes are short lines about each repository, in a file of its own. What a line says is
// its reader's: one that makes no sense is passed over. Of layouts nothing is noted.
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
	if repo.IsLayout() {
		return nil
	}
	raw, written, _ := load(n.file(repo)) // what can not be read is not known
	return n.lines(raw, written)
}

func (n notes) lines(raw []byte, written time.Time) []string {
	rest, ok := bytes.CutPrefix(raw, []byte(n.head))
	if !ok || time.Since(written) > n.keep {
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

// change writes what f makes of the lines about repo.
func (n notes) change(repo ref.Repo, f func([]string) []string) error {
	if repo.IsLayout() {
		return nil
	}
	return revise(n.file(repo), func(raw []byte, written time.Time) []byte {
		all := f(n.lines(raw, written))
		out := bytes.NewBufferString(n.head)
		for _, line := range all[max(0, len(all)-n.most):] {
			out.WriteString(line + "\n")
		}
		return out.Bytes()
	})
}

// summed ends a line with a checksum, where one that was damaged would mislead.
func summed(line string) string {
	return fmt.Sprintf("%s %08x", line, crc32.ChecksumIEEE([]byte(line)))
}

// fields are the words of a line that summed made; none of another one.
func fields(line string) []string {
	text := line[:max(0, strings.LastIndexByte(line, ' '))]
	if summed(text) != line {
		return nil
	}
	return strings.Split(text, " ")
}
