package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"github.com/distribution/distribution/v3"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry/index"
	"github.com/drayage/dray/internal/registry/tend"
	"github.com/drayage/dray/internal/registry/tree"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Missing implements transfer.Target. A blob is there if the repository has a link to it and its
// file has the right size, because a file gets its name only after it is complete and verified.
func (s *Store) Missing(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	const op = "look for blob"
	done, err := s.begin(ctx, op, "")
	if err != nil {
		return nil, err
	}
	defer done()
	var out []oci.Descriptor
	for _, b := range blobs {
		there, err := s.has(ctx, b)
		if err != nil {
			return nil, s.failed(ctx, op, string(b.Digest), err)
		}
		if !there {
			out = append(out, b)
		}
	}
	return out, nil
}

// Prove implements transfer.Target. It is the same as Missing, which always asks the storage.
func (s *Store) Prove(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	return s.Missing(ctx, blobs)
}

// Keeps implements transfer.Target.
func (s *Store) Keeps(docs, blobs []oci.Descriptor) error {
	for _, d := range slices.Concat(docs, blobs) {
		if d.Digest.Algorithm() != digest.SHA256 {
			return s.fault(fault.Refused, "put", string(d.Digest), errNotSHA256)
		}
	}
	return nil
}

// Distrust implements transfer.Target. The next Put of each blob replaces its file.
func (s *Store) Distrust(blobs []oci.Descriptor) {
	for _, b := range blobs {
		s.doubted.Store(b.Digest, true)
	}
}

// key returns the key in Registry.puts that allows only one writer of d in the repository.
func (s *Store) key(d oci.Descriptor) string { return s.repo.Path + "@" + string(d.Digest) }

func (s *Store) has(ctx context.Context, b oci.Descriptor) (bool, error) {
	file, size, err := s.find(ctx, b.Digest)
	return file != "" && size == b.Size, err
}

// Put implements transfer.Target. If several Puts of one digest run at once, one writes the blob
// and the others find it Present. If a Put is interrupted, its bytes stay for a day, and the
// next Put resumes there, in this process or another. If the storage is not a directory, the next
// Put begins again at byte 0.
func (s *Store) Put(ctx context.Context, d oci.Descriptor, likely []ref.Repo, open oci.Opener) (oci.Arrival, error) {
	const op = "put blob"
	done, err := s.begin(ctx, op, string(d.Digest))
	if err != nil {
		return oci.Arrival{}, err
	}
	defer done()
	v, err := oci.NewVerifier(d)
	if err != nil {
		return oci.Arrival{}, err
	}
	if d.Digest.Algorithm() != digest.SHA256 {
		return oci.Arrival{}, s.fault(fault.Refused, op, string(d.Digest), errNotSHA256)
	}
	if err := s.reg.mayPush(ctx, s.repo.Path, ""); err != nil {
		return oci.Arrival{}, s.failed(ctx, op, string(d.Digest), err)
	}
	if err := s.reg.puts.Lock(ctx, s.key(d)); err != nil {
		return oci.Arrival{}, s.failed(ctx, op, string(d.Digest), err)
	}
	if _, doubted := s.doubted.Load(d.Digest); !doubted {
		a, err := s.putWithoutBytes(ctx, d, likely)
		if err != nil || a.Way != "" {
			s.reg.puts.Unlock(s.key(d))
			return a, err
		}
	}
	if err := s.reg.index.Driver.Check(d.Size); err != nil {
		s.reg.puts.Unlock(s.key(d))
		return oci.Arrival{}, s.failed(ctx, op, string(d.Digest), err)
	}
	a, err := s.send(ctx, d, v, open)
	if err == nil {
		s.doubted.Delete(d.Digest)
	}
	return a, err
}

// putWithoutBytes stores d without its bytes if that is possible: because the repository has d, or
// because a repository in likely has it.
func (s *Store) putWithoutBytes(ctx context.Context, d oci.Descriptor, likely []ref.Repo) (oci.Arrival, error) {
	const op = "put blob"
	done, err := s.reg.writes(ctx)
	if err != nil {
		return oci.Arrival{}, s.failed(ctx, op, string(d.Digest), err)
	}
	defer done()
	there, err := s.has(ctx, d)
	if err != nil {
		return oci.Arrival{}, s.failed(ctx, op, string(d.Digest), err)
	}
	if there {
		return oci.Arrival{Way: oci.Present}, nil
	}
	for _, from := range likely {
		if from.Host != s.repo.Host || from == s.repo {
			continue
		}
		file, size, err := s.reg.find(ctx, from.Path, d.Digest)
		if err == nil {
			err = s.reg.mayPull(ctx, from.Path, "")
		}
		if err != nil || file != tree.Blob(d.Digest) || size != d.Size {
			continue // if the mount is not possible, the blob is sent
		}
		if err := s.reg.link(ctx, tree.Layer(s.repo.Path, d.Digest), d.Digest); err != nil {
			return oci.Arrival{}, s.failed(ctx, op, string(d.Digest), err)
		}
		return oci.Arrival{Way: oci.Mounted, From: from.Path}, nil
	}
	return oci.Arrival{}, nil
}

// send writes the bytes to an upload. When they are verified and synced to disk, the upload
// becomes the blob. An error of open is returned unchanged. send unlocks the key of d.
func (s *Store) send(ctx context.Context, d oci.Descriptor, v *oci.Verifier, open oci.Opener) (oci.Arrival, error) {
	const op = "put blob"
	dir := s.uploadDir(d)
	w, err := s.upload(ctx, d, dir, v)
	if err != nil {
		s.reg.puts.Unlock(s.key(d))
		return oci.Arrival{}, s.failed(ctx, op, string(d.Digest), err)
	}
	begun := v.At()
	unfinished := tend.Upload{Repo: s.repo.Path, ID: path.Base(dir)}
	s.reg.book.Begin(unfinished)
	err = s.fill(ctx, d, w, v, open)
	s.reg.book.Grow(unfinished, int(v.At()))
	sent := oci.Arrival{Way: oci.Sent, Sent: v.At() - begun}
	if err == nil {
		if err = v.Verify(); err == nil {
			defer s.reg.puts.Unlock(s.key(d))
			return sent, s.finish(ctx, d, dir, w)
		}
	}
	// Close syncs the written bytes to disk, so that a later Put can resume. That may take
	// seconds, so it runs in the background and a canceled caller does not wait for it. The next
	// writer of the blob waits for it, and so does Registry.Close.
	s.reg.running.Go(func() {
		defer s.reg.puts.Unlock(s.key(d))
		s.leave(ctx, dir, w)
		if s.reg.local && (fault.Is(err, fault.Corrupt) || fault.Is(err, fault.Full)) {
			s.drop(ctx, dir)
		}
	})
	return sent, err
}

// leave ends an upload that did not become the blob. The next Put continues it in a local directory. Elsewhere no Put
// finds it, and an object store keeps the parts of an upload that is closed and not canceled, even if its directory is
// deleted.
func (s *Store) leave(ctx context.Context, dir string, w storagedriver.FileWriter) {
	if s.reg.local {
		w.Close()
		return
	}
	_ = w.Cancel(context.WithoutCancel(ctx)) // what remains is removed as an old upload
	s.drop(ctx, dir)
}

// upload opens the upload of d in dir at the end of the bytes that an earlier Put has left. It
// feeds these bytes to v.
func (s *Store) upload(
	ctx context.Context, d oci.Descriptor, dir string, v *oci.Verifier,
) (storagedriver.FileWriter, error) {
	driver := s.reg.index.Driver
	file := path.Join(dir, "data")
	resumed := false
	if info, err := driver.Stat(ctx, file); err == nil && s.reg.local && info.Size() <= d.Size {
		resumed = s.reread(ctx, file, info.Size(), v) == nil
	}
	if !resumed {
		v.Reset()
		s.drop(ctx, dir)
	}
	// distribution reads this time when an upload goes on.
	now := time.Now().UTC().Format(time.RFC3339)
	if err := driver.PutContent(ctx, path.Join(dir, "startedat"), []byte(now)); err != nil {
		return nil, err
	}
	return driver.Writer(ctx, file, resumed)
}

// reread feeds the first n bytes of file to v.
func (s *Store) reread(ctx context.Context, file string, n int64, v *oci.Verifier) error {
	body, err := s.reg.index.Driver.Reader(ctx, file, 0)
	if err != nil {
		return err
	}
	defer body.Close()
	buf := make([]byte, chunk)
	for v.At() < n {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		k, err := body.Read(buf[:min(chunk, n-v.At())])
		if _, err := v.Write(buf[:k]); err != nil {
			return err
		}
		if err != nil && v.At() < n {
			return err
		}
	}
	return nil
}

// chunk is how many bytes are read and written at once.
const chunk = 256 << 10

// fill reads from open, from offset v.At() on, and writes the bytes to w.
func (s *Store) fill(ctx context.Context, d oci.Descriptor, w io.Writer, v *oci.Verifier, open oci.Opener) error {
	from, err := open(ctx, v.At())
	if err != nil {
		return err
	}
	defer from.Close()
	buf := make([]byte, chunk)
	for {
		n, readErr := from.Read(buf)
		if ctx.Err() != nil {
			return s.failed(ctx, "put blob", string(d.Digest), context.Cause(ctx))
		}
		if _, err := v.Write(buf[:n]); err != nil {
			return err
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return s.failed(ctx, "put blob", string(d.Digest), err)
		}
		if readErr == io.EOF {
			return nil
		}
		if readErr != nil {
			return readErr
		}
	}
}

// keep turns a verified upload into the blob, and links the blob to the repository.
func (s *Store) finish(ctx context.Context, d oci.Descriptor, dir string, w storagedriver.FileWriter) error {
	const op = "put blob"
	driver := s.reg.index.Driver
	done, err := s.reg.writes(ctx)
	if err != nil {
		s.leave(ctx, dir, w)
		return s.failed(ctx, op, string(d.Digest), err)
	}
	defer done()
	if err = w.Commit(ctx); err != nil {
		s.leave(ctx, dir, w)
		return s.failed(ctx, op, string(d.Digest), err)
	}
	w.Close()
	if d.Size == 0 { // object stores do not keep an empty upload
		err = driver.PutContent(ctx, tree.Blob(d.Digest), nil)
	} else {
		err = driver.Move(ctx, path.Join(dir, "data"), tree.Blob(d.Digest))
	}
	if err == nil {
		err = s.reg.link(ctx, tree.Layer(s.repo.Path, d.Digest), d.Digest)
	}
	if err != nil {
		return s.failed(ctx, op, string(d.Digest), err)
	}
	s.drop(ctx, dir)
	return nil
}

// drop deletes an upload. If that fails, the next Put finds the upload, or it expires.
func (s *Store) drop(ctx context.Context, dir string) {
	s.reg.book.End(tend.Upload{Repo: s.repo.Path, ID: path.Base(dir)})
	_ = s.reg.index.Driver.Delete(context.WithoutCancel(ctx), dir)
}

// uploadDir returns the directory of the upload of d. In a local directory it is always the same,
// so that the next process finds it. In other storages it is unique, because other processes may
// write there at the same time.
func (s *Store) uploadDir(d oci.Descriptor) string {
	name := s.repo.Path
	if !s.reg.local {
		name += " " + rand.Text()
	}
	return tree.Upload(s.repo.Path, tree.UploadID(name, d.Digest))
}

// PutDocument implements transfer.Target. It accepts and refuses the same documents as the
// handler. It records the subject before it stores the document.
func (s *Store) PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error) {
	const op = "put manifest"
	done, err := s.beginWrite(ctx, op, string(doc.Digest))
	if err != nil {
		return oci.Accepted{}, err
	}
	defer done()
	if err := s.reg.index.Driver.Check(0); err != nil {
		return oci.Accepted{}, s.failed(ctx, op, string(doc.Digest), err)
	}
	whole := nameKey(s.name, "")
	if err := s.reg.names.Share(ctx, whole); err != nil {
		return oci.Accepted{}, s.failed(ctx, op, string(doc.Digest), err)
	}
	defer s.reg.names.Unlock(whole)
	if err := s.reg.mayPush(ctx, s.repo.Path, ""); err != nil {
		return oci.Accepted{}, s.failed(ctx, op, string(doc.Digest), err)
	}
	doc, err = oci.Parse(doc.Descriptor, doc.Raw)
	if err != nil {
		return oci.Accepted{}, err
	}
	if doc.Digest.Algorithm() != digest.SHA256 {
		return oci.Accepted{}, s.fault(fault.Refused, op, string(doc.Digest), errNotSHA256)
	}
	l, err := index.LinkOf(s.name, doc.MediaType, doc.Raw)
	if err == nil {
		err = checkVersion(doc.Raw)
	}
	if err != nil {
		return oci.Accepted{}, s.fault(fault.Refused, op, string(doc.Digest), err)
	}
	if err := s.reg.names.Share(ctx, nameKey(s.name, string(doc.Digest))); err != nil {
		return oci.Accepted{}, s.failed(ctx, op, string(doc.Digest), err)
	}
	defer s.reg.names.Unlock(nameKey(s.name, string(doc.Digest)))
	var acc oci.Accepted
	if l == nil {
		err = s.store(ctx, doc)
	} else {
		acc.Subject = l.Subject
		var stored error
		err = s.reg.index.Put(ctx, l, func() { stored = s.store(ctx, doc) })
		if stored != nil {
			err = stored
		}
	}
	if err != nil {
		return oci.Accepted{}, s.failed(ctx, op, string(doc.Digest), err)
	}
	for _, tag := range tags {
		if err := s.tag(ctx, tag, doc.Digest); err != nil {
			if acc.Failed == nil {
				acc.Failed = map[string]error{}
			}
			acc.Failed[tag] = err
			continue
		}
		acc.Tags = append(acc.Tags, tag)
	}
	return acc, nil
}

// beginWrite is begin for a change of the content.
func (s *Store) beginWrite(ctx context.Context, op, reference string) (done func(), err error) {
	end, err := s.begin(ctx, op, reference)
	if err != nil {
		return nil, err
	}
	written, err := s.reg.writes(ctx)
	if err != nil {
		end()
		return nil, s.failed(ctx, op, reference, err)
	}
	return func() { written(); end() }, nil
}

// store puts doc through distribution's own checks.
func (s *Store) store(ctx context.Context, doc oci.Document) error {
	const op = "put manifest"
	m, desc, err := distribution.UnmarshalManifest(doc.MediaType, doc.Raw)
	if err != nil {
		return s.fault(fault.Refused, op, string(doc.Digest), err)
	}
	if desc.Digest != doc.Digest {
		return s.fault(fault.Corrupt, op, string(doc.Digest), fmt.Errorf("the bytes have the digest %s", desc.Digest))
	}
	ms, err := s.reg.index.Manifests(ctx, s.name)
	if err != nil {
		return err
	}
	// distribution assumes that an existing file is correct. So a file that the disk has damaged
	// is written again here.
	if old, err := s.reg.index.Driver.GetContent(ctx, tree.Blob(doc.Digest)); err == nil && !bytes.Equal(old, doc.Raw) {
		if err := s.reg.index.Driver.PutContent(ctx, tree.Blob(doc.Digest), doc.Raw); err != nil {
			return err
		}
	}
	_, err = ms.Put(ctx, m)
	var all distribution.ErrManifestVerification
	switch {
	case !errors.As(err, &all):
		return err
	case len(all) == 0:
		return s.fault(fault.Refused, op, string(doc.Digest), err)
	}
	for _, e := range all {
		if lacks, ok := errors.AsType[distribution.ErrManifestBlobUnknown](e); ok {
			return s.fault(fault.NotFound, op, string(doc.Digest),
				fmt.Errorf("it needs %s, which is not in the repository", lacks.Digest))
		}
	}
	return s.fault(fault.Refused, op, string(doc.Digest), all[0])
}

func (s *Store) tag(ctx context.Context, tag string, d digest.Digest) error {
	const op = "put tag"
	if err := ref.Tag(tag); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return s.failed(ctx, op, tag, context.Cause(ctx))
	}
	if err := s.reg.names.Share(ctx, nameKey(s.name, tag)); err != nil {
		return s.failed(ctx, op, tag, err)
	}
	defer s.reg.names.Unlock(nameKey(s.name, tag))
	if err := s.reg.mayPush(ctx, s.repo.Path, tag); err != nil {
		return s.failed(ctx, op, tag, err)
	}
	r, err := s.reg.index.Store.Repository(ctx, s.name)
	if err == nil {
		err = r.Tags(ctx).Tag(ctx, tag, oci.Descriptor{Digest: d})
	}
	if err != nil {
		return s.failed(ctx, op, tag, err)
	}
	return nil
}
