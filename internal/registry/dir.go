package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"github.com/gofrs/flock"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry/backing"
)

// Files in a registry's directory, next to the storage.
const (
	lockFile    = "lock"
	secretFile  = "http-secret"       // signs upload locations
	indexedFile = "referrers-indexed" // exists after the storage was searched for referrers
)

const indexedObject = "/dray/referrers-indexed" // the same in a bucket

const secretBytes = 32

// lockDir creates dir and locks it for this process. The kernel releases the lock when the
// process ends, so a killed process leaves nothing to clean up.
func lockDir(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, failed(dir, kindOf(err), "choose a directory that this user may write", err)
	}
	l := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return nil, failed(dir, kindOf(err), "choose a directory that this user may write", err)
	}
	if !ok {
		return nil, failed(dir, fault.Conflict, "stop the other process, or choose another directory",
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
	l, err := lockDir(dir)
	if err != nil {
		return err
	}
	return l.Close()
}

// secretIn reads the secret in dir, or creates it.
func secretIn(dir string) (string, error) {
	name := filepath.Join(dir, secretFile)
	got, err := os.ReadFile(name)
	switch {
	case err == nil && len(got) == 2*secretBytes:
		return string(got), nil
	case err == nil:
		return "", failed(dir, fault.Corrupt, "delete the file; clients then have to begin their open uploads again",
			fmt.Errorf("%s has %d bytes, but it must have %d", secretFile, len(got), 2*secretBytes))
	case !errors.Is(err, fs.ErrNotExist):
		return "", failed(dir, kindOf(err), "", err)
	}
	raw := make([]byte, secretBytes)
	rand.Read(raw)
	secret := hex.EncodeToString(raw)
	if err := writeFile(name, secret); err != nil {
		return "", failed(dir, kindOf(err), "", err)
	}
	return secret, nil
}

// indexOnce records the subjects of manifests that were stored without the index. It does so only
// once for each storage. What says so is next to the content: in dir, or in the bucket that several
// servers share.
func indexOnce(ctx context.Context, dir string, s backing.Storage, x *index, log *slog.Logger) error {
	name := filepath.Join(dir, indexedFile)
	_, err := os.Stat(name)
	if !s.Local() {
		_, err = x.driver.Stat(ctx, indexedObject)
	}
	if err == nil {
		return nil
	}
	if err = x.rebuild(ctx, log); err == nil && s.Local() {
		err = writeFile(name, "")
	} else if err == nil {
		err = x.driver.PutContent(ctx, indexedObject, []byte("yes"))
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return failed(dir, fault.Canceled, "", context.Cause(ctx))
	}
	return failed(dir, kindOf(err), "", err)
}

// writeFile writes content to the file name, which only this user can read. After a crash, the
// file is either complete or absent.
func writeFile(name, content string) error {
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
