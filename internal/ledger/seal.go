package ledger

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/drayage/dray/oci"
)

const (
	version   = 1       // of the form of a record; anything else is not read
	maxRecord = 1 << 20 // bytes of a sealed record
	keySize   = 32      // AES-256
)

// record is one line of an upload's story: the session, where it is or has
// moved to, or the state of the hash at one byte.
type record struct {
	Session string    `json:"session,omitempty"`
	Size    int64     `json:"size,omitempty"` // of the blob; with the first session
	Mark    *oci.Mark `json:"mark,omitempty"`
}

// book seals the records of one file. On disk a record is its version (1 byte),
// its length (4), a nonce and the AES-256-GCM of its JSON, bound to its file and
// to its place in it: it can be cut off, but not changed, moved or mixed.
type book struct {
	seal cipher.AEAD
	name string
}

func (b book) bound(n uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte("dray upload\x00"+string(rune(version))+b.name), n)
}

// encode seals r as the file's record n.
func (b book) encode(n uint32, r record) ([]byte, error) {
	plain, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	size := b.seal.NonceSize() + len(plain) + b.seal.Overhead()
	if size > maxRecord {
		return nil, errors.New("a session's address is too long to be kept")
	}
	out := binary.BigEndian.AppendUint32([]byte{version}, uint32(size)) //nolint:gosec // at most maxRecord
	nonce := make([]byte, b.seal.NonceSize())
	rand.Read(nonce)
	out = append(out, nonce...)
	return b.seal.Seal(out, nonce, plain, b.bound(n)), nil
}

// decode opens the record n that raw begins with. It is false for anything that encode did not write.
func (b book) decode(n uint32, raw []byte) (r record, rest []byte, ok bool) {
	if len(raw) < 5 || raw[0] != version {
		return r, nil, false
	}
	size := int64(binary.BigEndian.Uint32(raw[1:]))
	raw = raw[5:]
	if size > maxRecord || size > int64(len(raw)) || size < int64(b.seal.NonceSize()) {
		return r, nil, false
	}
	nonce, sealed := raw[:b.seal.NonceSize()], raw[b.seal.NonceSize():size]
	plain, err := b.seal.Open(nil, nonce, sealed, b.bound(n))
	if err != nil || json.Unmarshal(plain, &r) != nil {
		return r, nil, false
	}
	return r, raw[size:], true
}

// sealer returns the cipher under the directory's key, which it makes when there
// is none that is fit. Records under another key are lost, and that is all.
func (s *Uploads) sealer() (cipher.AEAD, error) {
	path := filepath.Join(s.dir, "key")
	key, err := readKey(path)
	if err != nil {
		if err := s.makeKey(path, errors.Is(err, os.ErrNotExist)); err != nil {
			return nil, err
		}
		// Of two processes that make one, both read the one that stayed.
		if key, err = readKey(path); err != nil {
			return nil, err
		}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// readKey takes no key that somebody else may have read.
func readKey(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() != keySize || runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, errors.New("the key is not fit for use")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	key := make([]byte, keySize)
	_, err = io.ReadFull(f, key)
	return key, err
}

// makeKey writes a key that is whole before anybody can see it. One that
// appeared in the meantime stays, unless it is to be replaced.
func (s *Uploads) makeKey(path string, first bool) error {
	f, err := os.CreateTemp(s.uploads(), "key-*") // 0600; swept from there if this process ends now
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	key := make([]byte, keySize)
	rand.Read(key)
	_, err = f.Write(key)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if first {
		if err := os.Link(f.Name(), path); err == nil || errors.Is(err, os.ErrExist) {
			return nil
		}
	}
	return os.Rename(f.Name(), path)
}
