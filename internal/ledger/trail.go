package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"

	"github.com/drayage/dray/ref"
)

// A repository without tags looks as if it did not exist, whatever blobs a
// process that was killed brought there. So who begins to fill one leaves an
// empty file, and takes it away once there is a tag.

func (s *Uploads) trail(repo ref.Repo) string {
	sum := sha256.Sum256([]byte("filling\x00" + repo.Host + "\x00" + repo.Path))
	return filepath.Join(s.uploads(), hex.EncodeToString(sum[:]))
}

// Filling reports whether somebody began to fill repo in the last KeepFor and
// did not come to its tags.
func (s *Uploads) Filling(repo ref.Repo) (bool, error) {
	if s == nil {
		return false, nil
	}
	if _, err := s.ready(); err != nil {
		return false, diskFault("open", s.dir, err)
	}
	_, err := os.Lstat(s.trail(repo))
	if os.IsNotExist(err) {
		return false, nil
	}
	return err == nil, diskFault("read", s.trail(repo), err)
}

// Fill says that a repository that has no tags is being filled.
func (s *Uploads) Fill(repo ref.Repo) error {
	if s == nil {
		return nil
	}
	if _, err := s.ready(); err != nil {
		return diskFault("open", s.dir, err)
	}
	return diskFault("write", s.trail(repo), os.WriteFile(s.trail(repo), nil, 0o600))
}

// Filled says that repo has a tag.
func (s *Uploads) Filled(repo ref.Repo) {
	if s != nil {
		_ = os.Remove(s.trail(repo))
	}
}
