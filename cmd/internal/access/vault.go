package access

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
)

// Vault seals with AES-256-GCM. What is sealed is bound to a name: under another name, as
// after a change of it, it does not open. The first of its keys seals, all of them open; a key is
// changed by putting a new one before it, and taken away once nothing is sealed with it.
type Vault struct {
	keys []vaultKey
}

type vaultKey struct {
	id      [4]byte
	aead    cipher.AEAD
	signing [32]byte
}

// KeySource says where a vault's keys are: exactly one of its ways. A key is 32 bytes in
// base64; one to a line, the newest first, lines with '#' are comments. In Env commas part them too.
type KeySource struct {
	File    string // made with one key, mode 0600, where Missing says so
	Missing Missing
	Env     string // the content of a variable, not its name
	Command []string
}

// Missing says what happens where the key's file is not there.
type Missing string

const (
	MakeKey   Missing = "" // a key is made, and the file with it
	RefuseKey Missing = "refuse"
)

const (
	keySize    = 32
	sealFormat = 1
	keyTimeout = 10 * time.Second
	maxKeys    = 64 << 10 // bytes of a file or a command's answer
)

// OpenVault reads the keys. Errors are Invalid: no way or two, a file that others may read,
// something that is no key; no error holds a part of one.
func OpenVault(ctx context.Context, s KeySource) (*Vault, error) {
	ways := 0
	for _, given := range []bool{s.File != "", s.Env != "", len(s.Command) > 0} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return nil, badKey("", errors.New("a key comes from a file, a variable or a command"))
	}
	switch {
	case s.Env != "":
		return newVault("the variable with the key", []byte(strings.ReplaceAll(s.Env, ",", "\n")))
	case s.File != "":
		raw, err := keyFile(s.File, s.Missing)
		if err != nil {
			return nil, badKey(s.File, err)
		}
		return newVault(s.File, raw)
	}
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Command[0], s.Command[1:]...)
	cmd.WaitDelay = time.Second
	// What it says of trouble may hold the key as well, so only its status is told.
	raw, err := cmd.Output()
	if err != nil {
		return nil, badKey(s.Command[0], errors.New(strings.TrimSpace("the command failed: "+err.Error())))
	}
	return newVault(s.Command[0], raw)
}

// keyFile reads the file, or makes it: of two processes that start at once one makes it.
func keyFile(path string, missing Missing) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && missing == MakeKey {
		if err := makeKeyFile(path); err != nil {
			return nil, err
		}
		info, err = os.Stat(path)
	}
	switch {
	case err != nil:
		return nil, errors.Unwrap(err)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("others may read it (mode %04o); chmod 600", info.Mode().Perm())
	case info.Size() > maxKeys:
		return nil, errors.New("longer than 64 KiB")
	}
	return os.ReadFile(path)
}

func makeKeyFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	var key [keySize]byte
	rand.Read(key[:])
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(base64.StdEncoding.EncodeToString(key[:]) + "\n")
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	// A link is made once: whoever comes second takes the key of the first.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a name in a directory last, where the system can: a key that is lost takes the secrets with it.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil || runtime.GOOS == "windows" {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func newVault(where string, raw []byte) (*Vault, error) {
	v := &Vault{}
	for line := range bytes.Lines(raw) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(string(line))
		if err != nil || len(key) != keySize {
			return nil, badKey(where, errors.New("a line is not 32 bytes in base64"))
		}
		k, err := newKey(key)
		if err != nil {
			return nil, badKey(where, err)
		}
		v.keys = append(v.keys, k)
	}
	if len(v.keys) == 0 {
		return nil, badKey(where, errors.New("no key in it"))
	}
	return v, nil
}

// newKey derives what a key is used for, so that no two uses share one.
func newKey(key []byte) (vaultKey, error) {
	var k vaultKey
	sum := sha256.Sum256(append([]byte("dray key id\x00"), key...))
	copy(k.id[:], sum[:])
	sealing, err := hkdf.Key(sha256.New, key, nil, "dray seal", keySize)
	if err != nil {
		return k, err
	}
	signing, err := hkdf.Key(sha256.New, key, nil, "dray sign", keySize)
	if err != nil {
		return k, err
	}
	copy(k.signing[:], signing)
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return k, err
	}
	k.aead, err = cipher.NewGCMWithRandomNonce(block)
	return k, err
}

func badKey(where string, err error) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read the key of secrets from", Name: where, Hint: "make one with: openssl rand -base64 32", Err: err}
}

// Seal seals plain under name with the newest key.
func (v *Vault) Seal(plain []byte, name string) ([]byte, error) {
	k := v.keys[0]
	head := append([]byte{sealFormat}, k.id[:]...)
	return k.aead.Seal(head, nil, plain, additionalData(head, name)), nil
}

// Open opens what Seal made under name. The error is Denied: another key, another name, or
// bytes that changed.
func (v *Vault) Open(sealed []byte, name string) ([]byte, error) {
	bad := func(cause string) ([]byte, error) {
		return nil, &fault.Fault{Kind: fault.Denied, Op: "open secret", Name: name, Err: errors.New(cause)}
	}
	if len(sealed) < 5 || sealed[0] != sealFormat {
		return bad("it is not sealed as this version of dray seals")
	}
	for _, k := range v.keys {
		if bytes.Equal(k.id[:], sealed[1:5]) {
			plain, err := k.aead.Open(nil, nil, sealed[5:], additionalData(sealed[:5], name))
			if err != nil {
				return bad("it was changed, or sealed under another name")
			}
			return plain, nil
		}
	}
	return bad("it is sealed with a key that is not given")
}

// newest reports whether sealed was made with the key that seals now.
func (v *Vault) newest(sealed []byte) bool {
	return len(sealed) >= 5 && bytes.Equal(sealed[1:5], v.keys[0].id[:])
}

func additionalData(head []byte, name string) []byte {
	return append(append([]byte("dray\x00"), head...), name...)
}
