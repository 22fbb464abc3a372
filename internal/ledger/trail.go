package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"

	"github.com/drayage/dray/ref"
)

// A repository without tags looks as if it did not exist, even if it has blobs from a process
// that was killed. So a process that starts to fill such a repository creates an empty file, and
// removes the file when the repository has a tag.

func trail(repo ref.Repo) string {
	sum := sha256.Sum256([]byte("filling\x00" + repo.Host + "\x00" + repo.Path))
	return hex.EncodeToString(sum[:])
}

// Filling reports whether a process started to fill repo within the last KeepFor and did not set
// a tag.
func (s *Uploads) Filling(repo ref.Repo) (bool, error) {
	if s == nil {
		return false, nil
	}
	d, err := s.ready()
	if err != nil {
		return false, diskFault("open", s.dir, err)
	}
	defer func() { _ = d.Close() }() // it was only looked at
	_, err = d.Lstat(trail(repo))
	if os.IsNotExist(err) {
		return false, nil
	}
	return err == nil, diskFault("read", filepath.Join(s.uploads(), trail(repo)), err)
}

// Fill records that a process starts to fill repo, which has no tags.
func (s *Uploads) Fill(repo ref.Repo) error {
	if s == nil {
		return nil
	}
	d, err := s.ready()
	if err != nil {
		return diskFault("open", s.dir, err)
	}
	defer func() { _ = d.Close() }() // its files are closed
	return diskFault("write", filepath.Join(s.uploads(), trail(repo)), d.Replace(trail(repo), nil))
}

// Filled records that repo has a tag.
func (s *Uploads) Filled(repo ref.Repo) {
	if s == nil {
		return
	}
	if d, err := home(filepath.Join(s.uploads(), trail(repo))); err == nil {
		_ = d.Remove(trail(repo))
		_ = d.Close()
	}
}
