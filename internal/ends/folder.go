package ends

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// folder makes a directory of skopeo in the stage.
func (g *stage) folder(ctx context.Context, t *tree, files stacked) error {
	root, err := g.onlyImage(t)
	if err != nil {
		return err
	}
	if err := os.Mkdir(g.packed(), 0o755); err != nil { //nolint:gosec // as a layout
		return failed("make directory", g.part, err)
	}
	if err := g.write(ctx, versionFile, []byte(versionText)); err != nil {
		return err
	}
	wanted := t.around(root)
	for _, d := range t.order {
		doc, isDocument := t.docs[d.Digest]
		switch {
		case !wanted[d.Digest]:
			continue // of the image that is replaced
		case d.Digest == root:
			err = g.write(ctx, rootFile, doc.Raw)
		case isDocument:
			err = g.write(ctx, d.Digest.Encoded()+rootSuffix, doc.Raw)
		default:
			err = g.copy(ctx, files, d)
		}
		if err != nil {
			return err
		}
	}
	return failed("write directory", g.end.String(), syncDirectory(g.packed()))
}

// onlyImage returns the image that was put: an entry of the index that is new and has no subject.
func (g *stage) onlyImage(t *tree) (oci.Digest, error) {
	var found []oci.Digest
	for _, e := range t.index.Manifests {
		doc, ok := t.docs[e.Digest]
		if ok && !g.held(e.Digest) && doc.Subject == nil {
			found = append(found, e.Digest)
		}
	}
	for _, e := range t.index.Manifests { // only something about the image is new
		doc, ok := t.docs[e.Digest]
		if ok && len(found) == 0 && g.held(e.Digest) && doc.Subject == nil {
			found = append(found, e.Digest)
		}
	}
	slices.Sort(found)
	found = slices.Compact(found) // an image may have several names
	if len(found) == 1 {
		return found[0], nil
	}
	return "", OneImage(g.end, len(found))
}

// held reports whether the end had an entry for d in its index.
func (g *stage) held(d oci.Digest) bool {
	return slices.ContainsFunc(g.before.index.Manifests, func(e oci.Descriptor) bool { return e.Digest == d })
}

// around returns the content below root, and below the entries of the index that refer to it.
func (t *tree) around(root oci.Digest) map[oci.Digest]bool {
	wanted := map[oci.Digest]bool{}
	var add func(oci.Digest)
	add = func(d oci.Digest) {
		if wanted[d] {
			return
		}
		wanted[d] = true
		for _, c := range slices.Concat(t.docs[d].Documents, t.docs[d].Blobs) {
			add(c.Digest)
		}
	}
	add(root)
	for before := 0; before < len(wanted); { // a signature of an attestation comes in the second round
		before = len(wanted)
		for _, e := range t.index.Manifests {
			if subject := t.docs[e.Digest].Subject; subject != nil && wanted[subject.Digest] {
				add(e.Digest)
			}
		}
	}
	return wanted
}

// write writes a whole file into the directory.
func (g *stage) write(ctx context.Context, name string, raw []byte) error {
	return g.file(ctx, name, func(f *os.File) error { _, err := f.Write(raw); return err })
}

// copy copies a blob into the directory.
func (g *stage) copy(ctx context.Context, files stacked, d oci.Descriptor) error {
	return g.file(ctx, d.Digest.Encoded(), func(f *os.File) error {
		from, err := g.verified(files, d)
		if err != nil {
			return err
		}
		defer from.Close()
		_, err = io.Copy(f, from)
		return err
	})
}

func (g *stage) file(ctx context.Context, name string, fill func(*os.File) error) error {
	const op = "write directory"
	if ctx.Err() != nil {
		return &fault.Fault{Kind: fault.Canceled, Op: op, Name: g.end.String(), Err: context.Cause(ctx)}
	}
	path := filepath.Join(g.packed(), name)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) //nolint:gosec // as a layout
	if err != nil {
		return failed(op, g.end.String(), err)
	}
	if err = fill(f); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return failed(op, g.end.String(), err)
}

// join gives the files of the directory that was made their places in the one that exists, which may hold files of
// others. The version comes first, which marks the directory, and the manifest last: until then the directory holds the
// image that it held. Then join removes the files that only that image had. It removes and replaces nothing else.
func (g *stage) join() error {
	made, err := os.ReadDir(g.packed())
	if err != nil {
		return err
	}
	if err := g.intend(); err != nil {
		return err
	}
	order := map[string]int{versionFile: -1, rootFile: 1}
	slices.SortStableFunc(made, func(a, b fs.DirEntry) int { return order[a.Name()] - order[b.Name()] })
	old := map[string]bool{}
	for _, d := range g.before.order {
		old[d.Digest.Encoded()], old[d.Digest.Encoded()+rootSuffix] = true, true
	}
	for _, e := range made {
		if e.Name() == rootFile { // what it names must be durable before it
			if err := syncDirectory(g.path); err != nil {
				return err
			}
		}
		if err := os.Rename(filepath.Join(g.packed(), e.Name()), filepath.Join(g.path, e.Name())); err != nil {
			return err
		}
		delete(old, e.Name())
	}
	if err := syncDirectory(g.path); err != nil {
		return err
	}
	for name := range old {
		if err := os.Remove(filepath.Join(g.path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// intend writes down which files belong to the image that the directory holds, before another one replaces it. If the
// run is killed then, the next one that writes removes those that no image has any more.
func (g *stage) intend() error {
	var old []string
	for _, d := range g.before.order {
		old = append(old, d.Digest.Encoded(), d.Digest.Encoded()+rootSuffix)
	}
	raw, err := json.Marshal(old)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(g.part, oldName), raw, 0o600)
}

// tidy removes what a run that was killed while it tidied up left in the directory: the files that it had written down,
// as far as they belong to no image that is there now.
func (g *stage) tidy() error {
	raw, err := os.ReadFile(filepath.Join(g.part, oldName))
	var old []string
	if err != nil || json.Unmarshal(raw, &old) != nil {
		return nil //nolint:nilerr // there is nothing to tidy, or it was not written whole and nothing was done yet
	}
	now := map[string]bool{}
	for _, d := range g.before.order {
		now[d.Digest.Encoded()], now[d.Digest.Encoded()+rootSuffix] = true, true
	}
	for _, name := range old {
		hex := strings.TrimSuffix(name, rootSuffix)
		if now[name] || ref.Digest("sha256:"+hex) != nil && ref.Digest("sha512:"+hex) != nil {
			continue
		}
		if err := os.Remove(filepath.Join(g.path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return failed("remove file", g.end.String(), err)
		}
	}
	return failed("remove file", g.part, os.Remove(filepath.Join(g.part, oldName)))
}

// mayChange returns an error if what the end holds would become wrong: a bundle has a list of its files, and skopeo
// keeps signatures of an image beside it, which are not those of another image.
func (g *stage) mayChange() error {
	why, hint := "", "name another one, or remove it"
	if g.end.Host == ref.Directory {
		names, err := os.ReadDir(g.path)
		if err != nil {
			return failed("open "+g.end.Host, g.end.String(), err)
		}
		for _, e := range names {
			if strings.HasPrefix(e.Name(), "signature-") || strings.Contains(e.Name(), ".signature-") {
				why = "it has the file " + e.Name() + ", a signature of the image that it holds"
				hint = "name another directory, or remove the signatures first"
			}
		}
	}
	for _, name := range g.reading.others(g.end) {
		if strings.HasPrefix(name, bundleDir) {
			why, hint = isBundle, again("file")
		}
	}
	if why == "" {
		return nil
	}
	return &fault.Fault{Kind: fault.Invalid, Op: "open " + g.end.Host, Name: g.end.String(),
		Err: errors.New(why), Hint: hint}
}

// Bundled returns an error if a layout that is to be written is the directory of a bundle: its list would become wrong.
func Bundled(end ref.Repo) error {
	entries, _ := os.ReadDir(filepath.Join(end.Dir, bundleDir)) // what cannot be read is no bundle
	for _, e := range entries {
		if end.Host == ref.Layout && strings.HasPrefix(e.Name(), bundleList) && e.Type().IsRegular() {
			return fault.Misuse("open layout", end.In("").String(), isBundle, again("directory"))
		}
	}
	return nil
}

// tryDirectory checks that files can be moved from the stage into the directory, before any content is read: the stage
// is beside it, and may be on another disk.
func (g *stage) tryDirectory() error {
	if info, err := os.Stat(g.path); err != nil || !info.IsDir() {
		return nil //nolint:nilerr // the directory is made beside the stage
	}
	name := tryName + rand.Text()
	from, to := filepath.Join(g.part, name), filepath.Join(g.path, name)
	err := os.WriteFile(from, nil, 0o600)
	if err == nil {
		err = os.Rename(from, to)
	}
	if err == nil {
		err = os.Remove(to)
	}
	if err == nil {
		return nil
	}
	f := failed("open "+g.end.Host, g.end.String(), err)
	return &fault.Fault{Kind: fault.KindOf(f), Op: "open " + g.end.Host, Name: g.end.String(),
		Err:  fmt.Errorf("no file can be moved into it from %s: %w", g.part, err),
		Hint: "name a directory that can be written"}
}

// tryName begins the name of a file that tryDirectory makes.
const tryName = ".dray-try-"
