package access

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
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
	"github.com/drayage/dray/internal/ours"
)

// Vault encrypts with AES-256-GCM. Encrypted data is bound to a name: it cannot be decrypted under
// another name or after a change. The first key encrypts, and all keys decrypt. To change the key, put
// a new key before the old one. The old key can be removed when nothing is encrypted with it.
type Vault struct {
	keys []vaultKey
}

// vaultKey holds what newKey derives from one key.
type vaultKey struct {
	id      [4]byte            // identifies the key in encrypted data
	aead    cipher.AEAD        // encrypts
	signing [32]byte           // signs sessions
	uploads [32]byte           // signs the locations of uploads
	heads   ed25519.PrivateKey // signs heads of the audit log
}

// KeySource says where the keys of a vault come from. Exactly one of File, Env and Command must be
// set. A key is 32 bytes in base64. Keys are written one on a line, the newest first; a line that
// begins with '#' is a comment. In Env, commas may separate the keys too.
type KeySource struct {
	File    string   // a file that only its owner may read
	Missing Missing  // what to do if File does not exist
	Env     string   // the value of an environment variable, not its name
	Command []string // a command that prints the keys, within 10 s
}

// Missing says what happens if the key file does not exist.
type Missing string

// What OpenVault does if the key file does not exist.
const (
	MakeKey   Missing = ""       // it creates the file with a new key, with mode 0600
	RefuseKey Missing = "refuse" // it returns an error
)

const (
	keySize    = 32
	sealFormat = 1
	keyTimeout = 10 * time.Second
	maxKeys    = 64 << 10 // bytes of a key file
)

// OpenVault reads the keys of s. Errors are Invalid: no source or more than one, a file that other
// users may read, or a text that is not a key. No error contains a part of a key.
func OpenVault(ctx context.Context, s KeySource) (*Vault, error) {
	ways := 0
	for _, given := range []bool{s.File != "", s.Env != "", len(s.Command) > 0} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return nil, badKey("", errors.New("exactly one source is required: a file, a variable or a command"))
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
	var out printed
	cmd.Stdout = &out
	// The output of a failed command may contain the key, so the error has only the exit status.
	if err := cmd.Run(); err != nil {
		return nil, badKey(s.Command[0], errors.New(strings.TrimSpace("the command failed: "+err.Error())))
	}
	return newVault(s.Command[0], out)
}

// printed is the first MiB of what a command prints: far more than any key has.
type printed []byte

func (p *printed) Write(b []byte) (int, error) {
	*p = append(*p, b[:min(len(b), 1<<20-len(*p))]...)
	return len(b), nil
}

// keyFile reads the file, or creates it if it is missing. If two processes start at the same time,
// only one creates it.
func keyFile(path string, missing Missing) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && missing == MakeKey {
		if err := makeKeyFile(path); err != nil {
			return nil, err
		}
		info, err = os.Stat(path)
	}
	others := fs.FileMode(0o077)
	if ours.IsVolume(filepath.Dir(path)) {
		others = 0o007
	}
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	uid, isForeign := ours.Foreign(info)
	switch {
	case runtime.GOOS != "windows" && info.Mode().Perm()&others != 0:
		return nil, fmt.Errorf("other users can read the file (mode %04o); set it with chmod 600", info.Mode().Perm())
	case isForeign:
		return nil, fmt.Errorf("the file belongs to the user %d, who knows the key; run dray as that user, "+
			"or make the file yours with chown", uid)
	case info.Size() > maxKeys:
		return nil, errors.New("the file is longer than 64 KiB")
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
	// Only one process can create the link. Another one uses the key of the first.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a new name in a directory durable, if the system can. Without the key, the secrets are
// lost.
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
		return nil, badKey(where, errors.New("it contains no key"))
	}
	return v, nil
}

// newKey derives a separate key for each use.
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
	uploads, err := hkdf.Key(sha256.New, key, nil, "dray uploads", keySize)
	if err != nil {
		return k, err
	}
	copy(k.uploads[:], uploads)
	heads, err := hkdf.Key(sha256.New, key, nil, "dray audit heads", ed25519.SeedSize)
	if err != nil {
		return k, err
	}
	k.heads = ed25519.NewKeyFromSeed(heads)
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return k, err
	}
	k.aead, err = cipher.NewGCMWithRandomNonce(block)
	return k, err
}

func badKey(where string, err error) error {
	return &fault.Fault{
		Kind: fault.Invalid,
		Op:   "read the key of secrets from",
		Name: where,
		Hint: "create a key with openssl rand -base64 32",
		Err:  err,
	}
}

// Seal encrypts plain with the newest key and binds it to name.
func (v *Vault) Seal(plain []byte, name string) ([]byte, error) {
	k := v.keys[0]
	head := append([]byte{sealFormat}, k.id[:]...)
	return k.aead.Seal(head, nil, plain, additionalData(head, name)), nil //nolint:gosec // the nonce is random
}

// Open decrypts what Seal encrypted under name. The error is Denied if the key is missing, the name
// differs or the bytes were changed.
func (v *Vault) Open(sealed []byte, name string) ([]byte, error) {
	bad := func(cause string) ([]byte, error) {
		return nil, &fault.Fault{Kind: fault.Denied, Op: "open secret", Name: name, Err: errors.New(cause)}
	}
	if len(sealed) < 5 || sealed[0] != sealFormat {
		return bad("not encrypted by this version of dray")
	}
	for _, k := range v.keys {
		if bytes.Equal(k.id[:], sealed[1:5]) {
			plain, err := k.aead.Open(nil, nil, sealed[5:], additionalData(sealed[:5], name))
			if err != nil {
				return bad("the encrypted data was changed, or belongs to another name")
			}
			return plain, nil
		}
	}
	return bad("encrypted with a key that is not configured")
}

// newest reports whether sealed was encrypted with the newest key.
func (v *Vault) newest(sealed []byte) bool {
	return len(sealed) >= 5 && bytes.Equal(sealed[1:5], v.keys[0].id[:])
}

// UploadSecret returns the secret that signs the locations of uploads. It is the same for all servers with the
// same newest key, so that each of them can continue an upload that another has begun.
func (v *Vault) UploadSecret() string { return hex.EncodeToString(v.keys[0].uploads[:]) }

// additionalData returns the additional data of AES-GCM, which binds sealed data to its name.
func additionalData(head []byte, name string) []byte {
	return append(append([]byte("dray\x00"), head...), name...)
}
