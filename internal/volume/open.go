package volume

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/report"
)

// Open opens volumes of one bundle: tar files, and directories into which volumes were extracted. It reads
// their lists, and the contents of the bundle. Verify checks the rest. Close has to be called.
//
// A volume whose list is damaged is left to Verify, if another volume can be opened. The error is NotFound
// for a file that does not exist, Invalid for one that is not a volume or not of this bundle, and Corrupt.
func Open(paths ...string) (*Set, error) {
	s := &Set{at: map[oci.Digest]place{}}
	err := s.open(paths)
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Set) open(paths []string) error {
	for _, path := range paths {
		found, err := openPath(path)
		s.volumes = append(s.volumes, found...)
		switch {
		case fault.Is(err, fault.Corrupt):
			s.broken = append(s.broken, Damage{File: path, Err: err})
		case err != nil:
			return err
		}
	}
	if len(s.volumes) == 0 {
		return s.broken[0].Err
	}
	slices.SortStableFunc(s.volumes, func(a, b *open) int { return cmp.Compare(a.list.Volume, b.list.Volume) })
	first := s.volumes[0]
	s.Bundle = first.list.Bundle
	for i, v := range s.volumes {
		switch {
		case v.list.Bundle != s.Bundle:
			return misused(v.name, "it is a volume of another bundle than "+first.name, "give the volumes of one bundle")
		case i > 0 && v.list.Volume == s.volumes[i-1].list.Volume:
			why := fmt.Sprintf("it is volume %d, as %s is", v.list.Volume, s.volumes[i-1].name)
			return misused(v.name, why, "give each volume once")
		}
		for _, f := range v.list.Files {
			if _, known := s.at[f.Digest]; !known {
				s.at[f.Digest] = place{v, f}
			}
		}
	}
	return s.readContents()
}

// readContents reads the contents from the first volume in which they are whole.
func (s *Set) readContents() error {
	var lost error
	for _, v := range s.volumes {
		raw, err := v.contents()
		if err != nil {
			lost = cmp.Or(lost, err)
			continue
		}
		c, err := parseContents(raw)
		if err != nil {
			return misused(v.name, err.Error(), "use the version of dray that made it")
		}
		s.Contents = c
		return nil
	}
	return lost
}

func (v *open) contents() ([]byte, error) {
	for _, f := range v.list.Files {
		if f.Path != contentsFile {
			continue
		}
		if f.Digest != v.list.Bundle || f.Size > maxList {
			break
		}
		from, err := v.read(f, 0, -1)
		if err != nil {
			return nil, err
		}
		defer from.Close()
		raw, err := io.ReadAll(from)
		if err == nil && oci.Sum(raw) != f.Digest {
			err = errors.New(contentsFile + " does not match its digest")
		}
		if err != nil {
			return nil, damaged(v.name, err)
		}
		return raw, nil
	}
	return nil, damaged(v.name, errors.New("its list has no "+contentsFile))
}

// openPath opens a file, or all volumes in a directory.
func openPath(path string) ([]*open, error) {
	if path == "-" {
		return nil, misused(path, "a bundle is read more than once, and the standard input only once",
			"write it to a file, and give that")
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &fault.Fault{
			Kind: fault.NotFound,
			Op:   "open bundle",
			Name: path,
			Err:  errors.New("there is no such file"),
			Hint: "check the path",
		}
	case err != nil:
		return nil, unreadable(path, err)
	case info.IsDir():
		return openDir(path)
	case !info.Mode().IsRegular():
		return nil, misused(path, "it is not a regular file", "write it to a file first; a bundle is read more than once")
	}
	v, err := openTar(path, info.Size())
	if err != nil {
		return nil, err
	}
	return []*open{v}, nil
}

// openTar opens a volume that is a tar. Its first file is its list.
func openTar(path string, size int64) (*open, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	v, err := readHead(f, path, size)
	if err != nil {
		f.Close()
		return nil, err
	}
	return v, nil
}

func readHead(f *os.File, path string, size int64) (*open, error) {
	r := tar.NewReader(io.NewSectionReader(f, 0, size))
	h, err := r.Next()
	if err != nil {
		return nil, notATar(f, path, err)
	}
	volume, volumes, d, ok := parseListPath(h.Name)
	if !ok {
		return nil, misused(path, "it is a tar, but not a volume of a bundle, because it does not begin with a list",
			"give a file that the command bundle create has written; an archive of images is for copy, as oci-archive:FILE")
	}
	if h.Size > maxList || h.Size > size {
		return nil, damaged(path, fmt.Errorf("its list has %d bytes", h.Size))
	}
	raw, err := io.ReadAll(r)
	if err == nil && oci.Sum(raw) != d {
		err = errors.New("its list does not match the digest in its name")
	}
	if err != nil {
		return nil, damaged(path, err)
	}
	l, err := parseList(raw)
	if err != nil {
		return nil, misused(path, err.Error(), "use the version of dray that made it")
	}
	v := &open{
		list: l, name: path, head: File{h.Name, h.Size, d}, raw: raw, file: f, at: map[string]int64{},
	}
	if l.Volume != volume || l.Volumes != volumes {
		return nil, damaged(path, errors.New("the number in the name of its list is not that in the list"))
	}
	for _, f := range append([]File{v.head}, l.Files...) {
		head, err := headerOf(f.Path, f.Size)
		if err != nil {
			return nil, damaged(path, err)
		}
		v.at[f.Path] = v.end + int64(len(head))
		v.end += int64(len(head)) + f.Size + padding(f.Size)
	}
	v.end += trailer
	return v, nil
}

// notATar returns the error for a file that does not begin like a tar.
func notATar(f *os.File, path string, err error) error {
	start := make([]byte, block)
	n, _ := f.ReadAt(start, 0)
	if bytes.HasPrefix(start[:n], []byte(ours+"/volume-")) || n == 0 {
		return damaged(path, fmt.Errorf("its first header cannot be read: %w", err))
	}
	for magic, tool := range compressors {
		if bytes.HasPrefix(start[:n], []byte(magic)) {
			return misused(path, "it is compressed with "+tool+", and a bundle is not", "decompress it, and give that file")
		}
	}
	return misused(path, "it is not a volume of a bundle", "give a file that the command bundle create has written")
}

// compressors are the tools whose files begin with these bytes.
var compressors = map[string]string{
	"\x1f\x8b": "gzip", "\x28\xb5\x2f\xfd": "zstd", "BZh": "bzip2", "\xfd7zXZ\x00": "xz",
}

// openDir opens the volumes that were extracted into a directory.
func openDir(path string) (all []*open, err error) {
	entries, err := os.ReadDir(filepath.Join(path, ours))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, unreadable(path, err)
	}
	for _, e := range entries {
		name := ours + "/" + e.Name()
		if _, _, _, ok := parseListPath(name); !ok {
			continue
		}
		v, err := openExtracted(path, name)
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	if len(all) == 0 {
		return nil, misused(path, "the directory is not a bundle, because it has no list of a volume",
			"give the files of the bundle, or the directory into which they were extracted")
	}
	return all, nil
}

// IsBundle reports whether a directory has the list of a volume.
func IsBundle(dir string) bool {
	entries, _ := os.ReadDir(filepath.Join(dir, ours)) // what cannot be read is none
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		_, _, _, ok := parseListPath(ours + "/" + e.Name())
		return ok
	})
}

func openExtracted(path, list string) (*open, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	volume, volumes, d, _ := parseListPath(list)
	raw, err := readRegular(root, list)
	if err == nil && oci.Sum(raw) != d {
		err = errors.New("the list " + list + " does not match the digest in its name")
	}
	var l List
	if err == nil {
		l, err = parseList(raw)
	}
	if err == nil && (l.Volume != volume || l.Volumes != volumes) {
		err = errors.New("the number in the name of a list is not that in the list")
	}
	if err != nil {
		_ = root.Close() // it was only read
		return nil, damaged(path, err)
	}
	return &open{list: l, name: path, head: File{list, int64(len(raw)), d}, raw: raw, root: root}, nil
}

func readRegular(root *os.Root, path string) ([]byte, error) {
	info, err := root.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxList) {
		err = errors.New(path + " is not a regular file of a plausible size")
	}
	if err != nil {
		return nil, err
	}
	return root.ReadFile(path)
}

// Volumes returns the numbers of the volumes that are open, and how many the bundle has.
func (s *Set) Volumes() (given []int, all int) {
	for _, v := range s.volumes {
		given = append(given, v.list.Volume)
	}
	return given, s.Contents.Volumes
}

// Files returns the files and directories of the open volumes.
func (s *Set) Files() (all []report.Volume) {
	for _, v := range s.volumes {
		all = append(all, report.Volume{File: v.name, Number: v.list.Volume, Bytes: v.end})
	}
	return all
}

// Arranged returns the bundle as it can be written again. The error is Corrupt if it would not be the same.
func (s *Set) Arranged() (*Arranged, error) {
	a, err := Arrange(*s.Contents)
	if err != nil {
		return nil, err
	}
	for _, v := range s.volumes {
		raw, err := json.Marshal(a.list(v.list.Volume))
		if err != nil || !bytes.Equal(raw, v.raw) {
			return nil, misused(v.name, "another version of dray made this bundle, and would write it differently",
				"use the version of dray that made it")
		}
	}
	return a, nil
}

// Close closes all volumes.
func (s *Set) Close() {
	for _, v := range s.volumes {
		if v.file != nil {
			_ = v.file.Close() // it was only read
		}
		if v.root != nil {
			_ = v.root.Close()
		}
	}
}
