// Package home is the directory of a registry: its lock, and the files beside the content.
package home

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/gofrs/flock"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry/backing"
)

// Files in a registry's directory, next to the storage.
const (
	lockFile   = "lock"
	secretFile = "http-secret" // signs upload locations
)

const secretBytes = 32

// Failed returns err as the error of opening the registry in dir.
func Failed(dir string, kind fault.Kind, hint string, err error) error {
	return &fault.Fault{Kind: kind, Op: "open registry", Name: dir, Hint: hint, Err: err}
}

// Lock creates dir and locks it for this process. The kernel releases the lock when the
// process ends, so a killed process leaves nothing to clean up.
func Lock(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, Failed(dir, backing.KindOf(err), "choose a directory that this user may write", err)
	}
	l := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return nil, Failed(dir, backing.KindOf(err), "choose a directory that this user may write", err)
	}
	if !ok {
		return nil, Failed(dir, fault.Conflict, "stop the other process, or choose another directory",
			errors.New("another process serves this directory"))
	}
	return l, nil
}

// Free returns an error if another process serves dir, or if this user may not lock it. It creates
// nothing.
func Free(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, lockFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	l, err := Lock(dir)
	if err != nil {
		return err
	}
	return l.Close()
}

// Secret reads the secret in dir, or creates it.
func Secret(dir string) (string, error) {
	name := filepath.Join(dir, secretFile)
	got, err := os.ReadFile(name)
	switch {
	case err == nil && len(got) == 2*secretBytes:
		return string(got), nil
	case err == nil:
		return "", Failed(dir, fault.Corrupt, "delete the file; clients then have to begin their open uploads again",
			fmt.Errorf("%s has %d bytes, but it must have %d", secretFile, len(got), 2*secretBytes))
	case !errors.Is(err, fs.ErrNotExist):
		return "", Failed(dir, backing.KindOf(err), "", err)
	}
	raw := make([]byte, secretBytes)
	rand.Read(raw)
	secret := hex.EncodeToString(raw)
	if err := WriteFile(name, secret); err != nil {
		return "", Failed(dir, backing.KindOf(err), "", err)
	}
	return secret, nil
}

// WriteFile writes content to the file name, which only this user can read. After a crash, the
// file is either complete or absent.
func WriteFile(name, content string) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // Windows cannot sync a directory
		return nil
	}
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
