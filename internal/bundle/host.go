package bundle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Host is the name of a bundle where a name has a registry. It is never looked up, and names do not show it.
const Host = ref.Bundle

// The verbs of plans and reports.
const (
	verbCreate = "create"
	verbLoad   = "load"
)

// removed is what the name of a stage ends with while it is removed.
const removed = ".dray-removed"

// held is a document in one repository of the bundle.
type held struct {
	repo   string
	digest oci.Digest
}

// with returns a copy of b in which Host is the registry at.
func with(b *place.Base, at place.Local) *place.Base {
	c := *b
	c.Unnamed = Host
	c.Here = func(host string) (place.Local, bool) {
		if host == Host {
			return at, true
		}
		return b.Registry(host)
	}
	return &c
}

// into is with for a bundle that is written. Nothing that is learned about it is remembered, because the next
// bundle has the same name.
func into(b *place.Base, at place.Local) *place.Base {
	c := with(b, at)
	c.Proofs, c.Marks, c.Earlier, c.Sparse = nil, nil, nil, nil
	return c
}

func notFound(op, name string) error {
	return &fault.Fault{Kind: fault.NotFound, Op: op, Name: name, Err: errors.New("the bundle does not have it")}
}

// listed calls visit with each tag.
func listed(tags []oci.Listed, visit func(oci.Listed) error) error {
	for _, t := range tags {
		if err := visit(t); err != nil {
			return err
		}
	}
	return nil
}

// output is where a bundle is written.
type output struct {
	path string
	dir  bool // the bundle is a directory
}

func outputOf(path string) output {
	dir := strings.HasSuffix(path, "/") || strings.HasSuffix(path, string(filepath.Separator))
	return output{path: filepath.Clean(path), dir: dir}
}

// partial returns the directory of the stage.
func (o output) partial() string { return o.path + ".partial" }

// volume returns the file of a volume: "a.tar" if it is the only one and the bundle is not split, or "a.2.tar".
func (o output) volume(n int, split int64) string {
	if split == 0 || o.dir {
		return o.path
	}
	ext := filepath.Ext(o.path)
	return strings.TrimSuffix(o.path, ext) + "." + itoa(n) + ext
}

// volumes returns the files of volumes that exist.
func (o output) volumes() []string {
	ext := filepath.Ext(o.path)
	found, _ := filepath.Glob(escape(strings.TrimSuffix(o.path, ext)) + ".*" + escape(ext)) // the pattern is escaped
	found = slices.DeleteFunc(found, func(path string) bool {
		n := strings.TrimPrefix(strings.TrimSuffix(path, ext), strings.TrimSuffix(o.path, ext)+".")
		return strings.Trim(n, "0123456789") != "" || n == ""
	})
	if _, err := os.Lstat(o.path); err == nil {
		found = append(found, o.path)
	}
	return found
}

// check refuses to replace a bundle, unless the run that makes it was interrupted.
func (o output) check(split int64) error {
	if o.path == "." || o.path == string(filepath.Separator) {
		return fault.Misuse("create bundle", o.path, "this is not the name of a new file or directory",
			"name a file, such as images.tar")
	}
	if ext := filepath.Ext(o.path); !o.dir && slices.Contains(compressed, ext) {
		return fault.Misuse("create bundle", o.path, "the name says that it is compressed, and a bundle is not",
			"leave "+ext+" off")
	}
	if o.dir && split > 0 {
		return fault.Misuse("create bundle", o.path, "a directory is not split", "name a file, such as images.tar")
	}
	_ = os.RemoveAll(o.partial() + removed) // a run that wrote the bundle was killed; if it stays, it does no harm
	if _, err := os.Lstat(o.partial()); err == nil {
		return nil
	}
	if parent := filepath.Dir(o.path); !isDir(parent) {
		return &fault.Fault{Kind: fault.NotFound, Side: fault.Target, Op: "create bundle", Name: o.path,
			Err: errors.New("its directory does not exist"), Hint: "make the directory " + parent}
	}
	if there := o.volumes(); len(there) > 0 {
		return &fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: "create bundle", Name: there[0],
			Err: errors.New("it exists"), Hint: "remove it, or choose another name"}
	}
	return nil
}

// compressed are the ends of names of compressed files.
var compressed = []string{".gz", ".tgz", ".zst", ".tzst", ".bz2", ".tbz2", ".xz", ".txz"}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func itoa(n int) string { return strconv.Itoa(n) }

// escape makes a pattern of filepath.Glob that matches s alone.
func escape(s string) string {
	var out []rune
	for _, r := range s {
		if r == '*' || r == '?' || r == '[' {
			out = append(out, []rune(fmt.Sprintf("[%c]", r))...)
			continue
		}
		out = append(out, r)
	}
	return string(out)
}
