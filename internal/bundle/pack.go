package bundle

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/volume"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/report"
)

// pack writes the bundle and removes the stage.
func (s *stage) pack(
	ctx context.Context, to output, c *volume.Contents, split int64, obs event.Observer,
) (*report.Bundle, error) {
	if err := volume.Divide(c, split); err != nil {
		return nil, fault.On(fault.Target, err)
	}
	a, err := volume.Arrange(*c)
	if err != nil {
		return nil, err
	}
	rep := reportOn(a)
	if to.dir {
		rep.Volumes = []report.Volume{{File: to.path, Number: 1}}
		return rep, s.packDir(to, a)
	}
	var files []string
	for n := range c.Volumes {
		file, err := s.packVolume(ctx, a, n+1, to.volume(n+1, split), obs)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	for i, file := range files { // all volumes are on the disk before the first has its name
		path := to.volume(i+1, split)
		if err := os.Rename(file, path); err != nil {
			return nil, stageFault("write bundle", path, err)
		}
		size, err := a.Size(i + 1)
		if err != nil {
			return nil, err
		}
		rep.Volumes = append(rep.Volumes, report.Volume{File: path, Number: i + 1, Bytes: size})
	}
	if err := s.close(); err != nil {
		return nil, stageFault("close stage", s.dir, err)
	}
	if err := s.remove(); err != nil {
		return nil, stageFault("remove stage", s.dir, err)
	}
	return rep, nil
}

// packVolume writes a volume into the stage, where it has no name that counts yet.
func (s *stage) packVolume(
	ctx context.Context, a *volume.Arranged, n int, name string, obs event.Observer,
) (string, error) {
	obs.Tell(event.Event{Kind: event.Noted, Text: "writing " + name})
	path := filepath.Join(s.dir, "volume."+itoa(n))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) //nolint:gosec // others read bundles, too
	if err != nil {
		return "", stageFault("write bundle", path, err)
	}
	err = a.WriteTar(ctx, n, f, s.content, func(int64) {})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path) // a volume that is cut off only takes space
	}
	return path, s.written(name, err)
}

// content opens a document or a blob of the stage.
func (s *stage) content(ctx context.Context, d oci.Descriptor) (io.ReadCloser, error) {
	body, _, err := s.blobs.Blob(ctx, d, 0, -1)
	return body, err
}

// written returns the error for a volume whose writing ended with err.
func (s *stage) written(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case fault.Is(err, fault.Corrupt):
		return s.forget(err)
	}
	return stageFault("write bundle", name, err)
}

// forget removes a staged blob whose bytes were changed on the disk, so that the next run fetches it again.
func (s *stage) forget(err error) error {
	var f *fault.Fault
	if errors.As(err, &f) && oci.Digest(f.Name).Validate() == nil {
		d := oci.Digest(f.Name)
		_ = os.Remove(filepath.Join(s.dir, "blobs", d.Algorithm().String(), d.Encoded())) // the error names it anyway
	}
	return &fault.Fault{Kind: fault.Corrupt, Side: fault.Target, Op: "write bundle", Name: s.dir, Err: err,
		Hint: "check the disk, then run the same command again; it fetches that content again"}
}

// packDir makes the stage itself the bundle.
func (s *stage) packDir(to output, a *volume.Arranged) error {
	if err := os.RemoveAll(filepath.Join(s.dir, "dray")); err != nil {
		return stageFault("write bundle", to.path, err)
	}
	list, err := a.WriteDir(s.dir)
	if err != nil {
		return stageFault("write bundle", to.path, err)
	}
	if err := s.close(); err != nil {
		return stageFault("close stage", s.dir, err)
	}
	if err := os.Rename(s.dir, to.path); err != nil {
		return stageFault("write bundle", to.path, err)
	}
	keep := a.Files()
	keep[list] = true
	root, err := os.OpenRoot(to.path)
	if err != nil {
		return stageFault("write bundle", to.path, err)
	}
	defer func() { _ = root.Close() }() // each removal stands for itself
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || keep[path] {
			return err
		}
		return root.Remove(path)
	})
	if err != nil {
		return stageFault("write bundle", to.path, err)
	}
	return nil
}

// reportOn says what a bundle has.
func reportOn(a *volume.Arranged) *report.Bundle {
	c := a.Contents
	rep := &report.Bundle{ID: a.Bundle, Names: len(c.Names), Documents: len(c.Documents), Blobs: len(c.Blobs)}
	for _, b := range c.Blobs {
		rep.Bytes += b.Size
	}
	for _, b := range c.Absent {
		rep.Absent++
		rep.AbsentBytes += b.Size
	}
	return rep
}
