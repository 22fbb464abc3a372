package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

const savedFile = "backup.json"

// contentParts are the parts of the storage in the order in which they are copied: what
// points before what it points to, so that all that the copy of a tag needs was there when
// that was copied, whatever was pushed meanwhile. Revisions point to one another: what is
// new when they are gone through again may be what was found first time needs.
var contentParts = []struct{ below, part string }{
	{"repositories", "/_manifests/tags/"},
	{"repositories", "/_manifests/revisions/"},
	{"repositories", "/_manifests/revisions/"},
	{"repositories", "/_layers/"},
	{"blobs", "/"},
}

const storageRoot = "storage/docker/registry/v2"

// smallFiles are the registry's and the vault's own.
var smallFiles = []string{"http-secret", "referrers-indexed", keyFile}

// Backup copies what a server keeps in c.Data to the directory to, which is not there yet or
// empty. It may run beside the server: jobs, tokens and secrets are as of one moment, and
// every image that was there at the beginning is whole. A clean-up of the registry must not
// run meanwhile. Uploads under way are left out.
//
// PostgreSQL has tools of its own (pg_dump), and content in an object store is where it is:
// neither is copied, and Saved says so.
func Backup(ctx context.Context, c Config, to string) (wire.Saved, error) {
	c, err := c.filled()
	if err != nil {
		return wire.Saved{}, err
	}
	s := wire.Saved{Created: time.Now().UTC().Truncate(time.Second), Database: "postgres"}
	to, err = emptyDir(to)
	if err != nil {
		return s, backupFault("back up to", to, err)
	}
	if path, ok := filePath(c.Database); ok {
		s.Database = "sqlite"
		if err := saveDatabase(ctx, c.Database, path, to, &s); err != nil {
			return s, err
		}
	}
	for _, name := range smallFiles {
		err := copyFile(filepath.Join(c.Data, name), filepath.Join(to, name), &s)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s, backupFault("back up", name, err)
		}
		s.Key = s.Key || name == keyFile && err == nil
	}
	if s.Content = c.Storage.Driver == "" || c.Storage.Driver == "filesystem"; s.Content {
		if err := copyContent(ctx, c.Data, to, &s); err != nil {
			return s, backupFault("back up", c.Data, err)
		}
	}
	raw, _ := json.MarshalIndent(s, "", "  ")
	if err := writeSynced(filepath.Join(to, savedFile), raw); err != nil {
		return s, backupFault("back up to", to, err)
	}
	return s, nil
}

// Restore puts a backup into c.Data, which is not there yet or empty, for a server to start
// on. A backup that was not finished is Invalid.
func Restore(ctx context.Context, c Config, from string) (wire.Saved, error) {
	c, err := c.filled()
	if err != nil {
		return wire.Saved{}, err
	}
	var s, done wire.Saved
	raw, err := os.ReadFile(filepath.Join(from, savedFile))
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		return s, &fault.Fault{Kind: fault.Invalid, Op: "restore", Name: from, Hint: "take one that was finished", Err: fmt.Errorf("no backup: %w", err)}
	}
	path, isFile := filePath(c.Database)
	if s.Database == "sqlite" && !isFile {
		return s, &fault.Fault{Kind: fault.Invalid, Op: "restore", Name: from, Hint: "restore with the database in the data directory", Err: errors.New("it holds a SQLite database")}
	}
	to, err := emptyDir(c.Data)
	if err != nil {
		return s, backupFault("restore to", c.Data, err)
	}
	if err := copyTree(ctx, from, to, "", &done); err != nil {
		return s, backupFault("restore to", to, err)
	}
	if err := os.Remove(filepath.Join(to, savedFile)); err != nil {
		return s, backupFault("restore to", to, err)
	}
	if moved := filepath.Join(to, databaseFile); s.Database == "sqlite" && path != moved {
		if err := os.Rename(moved, path); err != nil {
			return s, backupFault("restore to", path, err)
		}
	}
	return s, nil
}

func saveDatabase(ctx context.Context, url, path, to string, s *wire.Saved) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil // nobody served here yet
	}
	db, err := store.OpenReadOnly(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close()
	copied := filepath.Join(to, databaseFile)
	if err := db.Backup(ctx, copied); err != nil {
		return err
	}
	info, err := os.Stat(copied)
	if err != nil {
		return backupFault("back up to", to, err)
	}
	s.Files++
	s.Bytes += info.Size()
	return nil
}

func copyContent(ctx context.Context, data, to string, s *wire.Saved) error {
	for _, c := range contentParts {
		dir := filepath.FromSlash(storageRoot + "/" + c.below)
		err := copyTree(ctx, filepath.Join(data, dir), filepath.Join(to, dir), c.part, s)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// copyTree copies the files below from whose path has part in it and that are not at to yet.
// What vanishes meanwhile was deleted; uploads and temporary files are nobody's content. s counts.
func copyTree(ctx context.Context, from, to, part string, s *wire.Saved) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != from:
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case d.IsDir() && d.Name() == "_uploads":
			return filepath.SkipDir
		case !d.Type().IsRegular() || strings.HasSuffix(d.Name(), ".tmp") || !strings.Contains(filepath.ToSlash(path), part):
			return nil
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		err = copyFile(path, filepath.Join(to, rel), s)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

func copyFile(from, to string, s *wire.Saved) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, in)
	err = errors.Join(err, out.Sync(), out.Close())
	s.Files++
	s.Bytes += n
	return err
}

func writeSynced(name string, raw []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

var errNotEmpty = errors.New("it is not empty")

func emptyDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return dir, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return dir, err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = errNotEmpty
	}
	return dir, err
}

func backupFault(op, name string, err error) error {
	var f *fault.Fault
	if errors.As(err, &f) {
		return err
	}
	kind := fault.Unavailable
	switch {
	case errors.Is(err, errNotEmpty):
		kind = fault.Conflict
	case errors.Is(err, fs.ErrPermission):
		kind = fault.Denied
	case errors.Is(err, context.Canceled):
		kind = fault.Canceled
	}
	return &fault.Fault{Kind: kind, Op: op, Name: name, Err: err}
}
