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

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ours"
	"github.com/drayage/dray/oci"
)

const (
	version   = 1       // of the format of a record; records of other versions are not read
	maxRecord = 1 << 20 // most bytes of an encrypted record
	keySize   = 32      // AES-256

	keyFile = "key"
)

// record is one step in the history of an upload. It holds the address of the session, or the
// state of the hash at one byte.
type record struct {
	Session string    `json:"session,omitempty"`
	Size    int64     `json:"size,omitempty"` // size of the blob; only in the record of a new session
	Mark    *oci.Mark `json:"mark,omitempty"`
}

// book encrypts the records of one file. A record on disk is its version (1 byte), its length (4
// bytes), a nonce, and the AES-256-GCM ciphertext of its JSON. The additional data binds the
// record to its file and to its position. So records can be cut off at the end, but they cannot
// be changed, moved or mixed without detection.
type book struct {
	seal cipher.AEAD
	name string
}

func (b book) bound(n uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte("dray upload\x00"+string(rune(version))+b.name), n)
}

// encode encrypts r as record number n of the file.
func (b book) encode(n uint32, r record) ([]byte, error) {
	plain, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	size := b.seal.NonceSize() + len(plain) + b.seal.Overhead()
	if size > maxRecord {
		return nil, errors.New("the address of the upload session is too long to store")
	}
	out := binary.BigEndian.AppendUint32([]byte{version}, uint32(size)) //nolint:gosec // at most maxRecord
	nonce := make([]byte, b.seal.NonceSize())
	rand.Read(nonce)
	out = append(out, nonce...)
	return b.seal.Seal(out, nonce, plain, b.bound(n)), nil
}

// decode decrypts record number n, which is at the beginning of raw. ok is false for anything
// that encode did not write.
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

// sealer returns the cipher for the key of the directory. If there is no usable key, it makes
// one, which costs an fsync, so that only what writes records needs it. Records under an earlier
// key are then lost, which does no other harm.
func (s *Uploads) sealer(uploads *ours.Dir) (cipher.AEAD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := ours.Open(s.dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }() // its files are closed
	key, err := readKey(d)
	if fault.Is(err, fault.Denied) {
		return nil, err
	}
	if err != nil {
		if err := makeKey(d, uploads, errors.Is(err, os.ErrNotExist)); err != nil {
			return nil, err
		}
		// If two processes make a key at the same time, both read the one that is in place now.
		if key, err = readKey(d); err != nil {
			return nil, err
		}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// readKey reads the key. It rejects a key that another user may have read. A key that another user may have written, or
// owns, is [fault.Denied].
func readKey(d *ours.Dir) ([]byte, error) {
	info, err := d.Lstat(keyFile)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("the key is no file")
	}
	f, err := d.Read(keyFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	others := os.FileMode(0o077)
	if d.IsShared() {
		others = 0o007
	}
	if info.Size() != keySize || runtime.GOOS != "windows" && info.Mode().Perm()&others != 0 {
		return nil, errors.New("the key file is damaged, or other users may read it")
	}
	key := make([]byte, keySize)
	_, err = io.ReadFull(f, key)
	return key, err
}

// makeKey writes a new key to a temporary file in uploads, from which a later sweep removes it if this process is
// killed now, and moves it into place as a whole. If first is true, a key that another process made in the meantime
// stays.
func makeKey(d, uploads *ours.Dir, first bool) error {
	key := make([]byte, keySize)
	rand.Read(key)
	temp, err := uploads.Temp("key-", key)
	if err != nil {
		return err
	}
	defer func() { _ = uploads.Remove(temp) }() // it has the other name now, or is of no use
	from := filepath.Join(uploadsDir, temp)
	if first {
		if err := d.Link(from, keyFile); err == nil || errors.Is(err, os.ErrExist) {
			return nil
		}
	}
	return d.Rename(from, keyFile)
}
