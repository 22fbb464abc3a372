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

// notes stores short lines about repositories, in one file for each repository. The types that
// use notes define the content of a line, and skip lines that they cannot parse. Nothing is
// stored about layouts.
type notes struct {
	dir  string
	head string        // first line of each file, with the version of its format
	most int           // lines of one repository; the oldest are dropped
	keep time.Duration // how long a file is valid after its last change
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
	raw, written, _ := load(n.file(repo)) // a file that cannot be read counts as absent
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

// change replaces the lines about repo with the result of f.
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

// summed appends a checksum to a line. It is for lines that would mislead if they were damaged.
func summed(line string) string {
	return fmt.Sprintf("%s %08x", line, crc32.ChecksumIEEE([]byte(line)))
}

// fields returns the words of a line that summed returned. For any other line it returns nil.
func fields(line string) []string {
	text := line[:max(0, strings.LastIndexByte(line, ' '))]
	if summed(text) != line {
		return nil
	}
	return strings.Split(text, " ")
}
