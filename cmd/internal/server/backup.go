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

	"github.com/drayage/dray/cmd/internal/server/own"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/trouble"
)

const savedFile = "backup.json" // the last file of a backup: a directory without it is not complete

// contentParts lists the parts of the storage in the order in which Backup copies them. Links come
// before what they point to: everything that a copied tag needs existed when the tag was copied, so
// a later step copies it, whatever clients push meanwhile. Revisions point to one another, so Backup
// copies them twice: the second pass finds those that a revision of the first pass needs.
var contentParts = []struct{ below, part string }{
	{"repositories", "/_manifests/tags/"},
	{"repositories", "/_manifests/revisions/"},
	{"repositories", "/_manifests/revisions/"},
	{"repositories", "/_layers/"},
	{"blobs", "/"},
	{"repositories", "/_locks/"},
	{"_hidden", "/"},
}

const storageRoot = storageDir + "/docker/registry/v2"

// smallFiles lists the files of the registry and of the vault in the data directory, and the id of the content.
var smallFiles = []string{"http-secret", "referrers-indexed", own.File, keyFile}

// Backup copies the data of a server from c.Data to the directory to, which must be empty or not
// exist. It may run while the server is running. The copy of the jobs, tokens and secrets is a
// snapshot of one moment, and every image that existed at the beginning is complete. No garbage
// collection of the registry may run meanwhile. Unfinished uploads are not copied.
//
// Backup copies neither a PostgreSQL database, which has its own tools (pg_dump), nor content in an object store. The
// returned Saved tells which parts the backup holds. The error is NotFound if no data of a server is there.
func Backup(ctx context.Context, c Config, to string) (wire.Saved, error) {
	c, err := c.filled()
	if err != nil {
		return wire.Saved{}, err
	}
	if err := c.hasData(); err != nil {
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
	if s.Content = c.localContent(); s.Content {
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

// Restore copies a backup into c.Data, which must be empty or not exist. A server can then start
// with it. A backup that is not complete is Invalid.
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
		return s, &fault.Fault{
			Kind: fault.Invalid,
			Op:   "restore",
			Name: from,
			Hint: "choose a backup that was completed",
			Err:  fmt.Errorf("not a complete backup: %w", err),
		}
	}
	path, isFile := filePath(c.Database)
	if s.Database == "sqlite" && !isFile {
		return s, &fault.Fault{
			Kind: fault.Invalid,
			Op:   "restore",
			Name: from,
			Hint: "restore without --database, or with --database sqlite:PATH",
			Err:  errors.New("the backup holds a SQLite database"),
		}
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

// saveDatabase copies the SQLite database at path into the directory to and adds it to s.
func saveDatabase(ctx context.Context, url, path, to string, s *wire.Saved) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil // no server has run with this directory yet
	}
	db, err := store.OpenReadOnly(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // it was opened to read only
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

// copyContent copies the content of the registry in the order of contentParts.
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

// copyTree copies the files below from whose path contains part, unless they exist below to. It skips uploads and
// temporary files. A file that vanishes meanwhile was deleted and is skipped too. It adds the copied files to s.
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

// copyFile copies one file, syncs it to disk and adds it to s. The file to must not exist. It gets the time of from,
// which tells when a tag was set.
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
	if info, bad := in.Stat(); err == nil && bad == nil {
		err = os.Chtimes(to, info.ModTime(), info.ModTime())
	}
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

var errNotEmpty = errors.New("the directory is not empty")

// emptyDir creates dir if it does not exist and returns its absolute path. A directory that is not
// empty is errNotEmpty.
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

// backupFault returns err as a Fault. An err that is a Fault already is returned as it is.
func backupFault(op, name string, err error) error {
	if _, ok := errors.AsType[*fault.Fault](err); ok {
		return err
	}
	kind, hint, isDisk := trouble.Of(err, name)
	if !isDisk {
		kind = fault.Unavailable
	}
	switch {
	case errors.Is(err, errNotEmpty):
		kind, hint = fault.Conflict, "name a directory that is empty or does not exist"
	case errors.Is(err, fs.ErrPermission):
		kind = fault.Denied
	case errors.Is(err, context.Canceled):
		kind = fault.Canceled
	}
	return &fault.Fault{Kind: kind, Op: op, Name: name, Err: err, Hint: hint}
}
