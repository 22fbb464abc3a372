package ends_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/archive"
	"github.com/drayage/dray/internal/ends"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// written writes one image into an end, in a run of its own.
func written(t *testing.T, end ref.Repo, name string, tags ...string) oci.Document {
	t.Helper()
	w := writing(t)
	doc := image(t, target(t, w, end), name, tags...)
	if err := commit(t, w); err != nil {
		t.Fatal(err)
	}
	return doc
}

// text writes a file.
func text(t *testing.T, path, body string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(body), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// repack writes an archive again, with other files: edit gets each of them, and returns what it becomes.
func repack(t *testing.T, path string, edit func(name string, raw []byte) []byte, more map[string]string) {
	t.Helper()
	a, err := archive.Open(t.Context(), archive.Input{Name: path, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	to := tar.NewWriter(&b)
	add := func(name string, raw []byte) {
		err := to.WriteHeader(&tar.Header{Name: name, Size: int64(len(raw)), Mode: 0o644, Typeflag: tar.TypeReg})
		if _, writeErr := to.Write(raw); err != nil || writeErr != nil {
			t.Fatal(err, writeErr)
		}
	}
	for _, name := range a.Names() {
		f, err := a.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		add(name, edit(name, raw))
	}
	for name, body := range more {
		add(name, []byte(body))
	}
	if err := errors.Join(to.Close(), a.Close(), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func same(_ string, raw []byte) []byte { return raw }

// in returns the files of an archive.
func in(t *testing.T, path string) map[string]string {
	t.Helper()
	all := map[string]string{}
	a, err := archive.Open(t.Context(), archive.Input{Name: path, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, name := range a.Names() {
		f, err := a.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(raw)
	}
	return all
}

// F-220: a directory of an image keeps what others have put there, and its permissions.
func TestF220ADirectoryKeepsWhatOthersPutThere(t *testing.T) {
	end := at(t, ref.Directory, "x")
	if err := os.Mkdir(end.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		doc := written(t, end, name)
		text(t, filepath.Join(end.Dir, "backup.sql"), "precious")
		text(t, filepath.Join(end.Dir, "sub", "y"), "precious")
		d, err := opened(t, end)
		if err != nil {
			t.Fatal(err)
		}
		if got := whole(t, d, ""); got.Digest != doc.Digest {
			t.Errorf("%s", got.Digest)
		}
	}
	files, err := os.ReadDir(end.Dir)
	if err != nil || len(files) != 6 { // version, manifest.json, a config, a layer, and the two of others
		t.Errorf("%v %v", files, err)
	}
	for _, name := range []string{"backup.sql", "sub/y"} {
		if raw, err := os.ReadFile(filepath.Join(end.Dir, name)); err != nil || string(raw) != "precious" {
			t.Errorf("%s: %q %v", name, raw, err)
		}
	}
	if info, err := os.Stat(end.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestTheDirectoryInWhichDrayRunsCanBeAnEnd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "here")
	text(t, filepath.Join(dir, "sub", "y"), "precious")
	if err := os.RemoveAll(filepath.Join(dir, "sub")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, name := range []string{"one", "two"} {
		doc := written(t, ref.Repo{Host: ref.Directory, Dir: "."}, name)
		d, err := opened(t, ref.Repo{Host: ref.Directory, Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		whole(t, d, string(doc.Digest))
	}
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	if files, err := os.ReadDir("."); err != nil || len(files) != 4 {
		t.Errorf("%v %v", files, err)
	}
}

// A run that was killed while it moved files into an empty directory is continued.
func TestADirectoryWithoutAManifestHoldsNoImageYet(t *testing.T) {
	end := at(t, ref.Directory, "x")
	text(t, filepath.Join(end.Dir, "version"), "Directory Transport Version: 1.1\n")
	if !ends.IsEmpty(end) {
		t.Error("it is not empty")
	}
	doc := written(t, end, "one")
	d, err := opened(t, end)
	if err != nil {
		t.Fatal(err)
	}
	whole(t, d, string(doc.Digest))
}

func TestASignatureOfSkopeoIsNotLeftBesideAnotherImage(t *testing.T) {
	end := at(t, ref.Directory, "x")
	doc := written(t, end, "one")
	text(t, filepath.Join(end.Dir, "signature-1"), "signed")
	if _, err := writing(t).Open(t.Context(), end); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "signature-1") {
		t.Errorf("%v", err)
	}
	d, err := opened(t, end)
	if err != nil {
		t.Fatal(err)
	}
	whole(t, d, string(doc.Digest))
}

// F-221: the signatures of an image that was replaced or removed do not stay in the archive for ever.
func TestF221ReferrersGoWithTheImage(t *testing.T) {
	for _, host := range []string{ref.Archive, ref.DockerArchive} {
		for how, replace := range map[string]func(to ends.Target, old oci.Document) error{
			"replaced": func(to ends.Target, _ oci.Document) error { image(t, to, "new", "v1"); return nil },
			"removed":  func(to ends.Target, old oci.Document) error { return to.Delete(t.Context(), string(old.Digest)) },
		} {
			t.Run(host+how, func(t *testing.T) {
				end := at(t, host, "x.tar")
				w := writing(t)
				to := target(t, w, end)
				old, kept := image(t, to, "old", "v1"), image(t, to, "kept", "v2")
				gone := []oci.Document{old, about(t, to, old)}
				gone = append(gone, about(t, to, gone[1]))
				stays := about(t, to, kept)
				if err := commit(t, w); err != nil {
					t.Fatal(err)
				}
				w = writing(t)
				if err := replace(target(t, w, end), old); err != nil {
					t.Fatal(err)
				}
				if err := commit(t, w); err != nil {
					t.Fatal(err)
				}
				d, err := opened(t, end)
				if err != nil {
					t.Fatal(err)
				}
				for _, doc := range gone {
					if _, err := d.Document(t.Context(), string(doc.Digest)); !fault.Is(err, fault.NotFound) {
						t.Errorf("%s is still there: %v", doc.Digest, err)
					}
				}
				whole(t, d, "v2")
				whole(t, d, string(stays.Digest))
			})
		}
	}
}

// What refers to an image that is not in the archive is copied by its digest, and stays.
func TestAReferrerStaysIfItsImageWasNeverThere(t *testing.T) {
	end := at(t, ref.Archive, "x.tar")
	written(t, end, "one", "v1")
	w := writing(t)
	to := target(t, w, end)
	lone := about(t, to, manifest(t, to, "elsewhere", ""))
	if err := commit(t, w); err != nil {
		t.Fatal(err)
	}
	written(t, end, "two", "v1")
	d, err := opened(t, end)
	if err != nil {
		t.Fatal(err)
	}
	whole(t, d, string(lone.Digest))
}

// F-222: a bundle has a list of its files, so no other verb changes it.
func TestF222ABundleIsNotChanged(t *testing.T) {
	end := at(t, ref.Archive, "x.tar")
	written(t, end, "one", "v1")
	repack(t, end.Dir, same, map[string]string{"dray/contents.json": "{}"})
	before := in(t, end.Dir)
	_, err := writing(t).Open(t.Context(), end)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "it is a bundle") || !strings.Contains(fault.HintOf(err), "dray bundle create --help") {
		t.Errorf("%v", err)
	}
	if after := in(t, end.Dir); len(after) != len(before) {
		t.Errorf("%v", after)
	}
	end.Host = ref.DockerArchive
	_, err = writing(t).Open(t.Context(), end)
	if !fault.Is(err, fault.Invalid) || strings.Contains(fault.HintOf(err), "remove") {
		t.Errorf("the hint destroys a bundle: %v (%s)", err, fault.HintOf(err))
	}
}

func TestAnArchiveKeepsFilesThatAreNoPartOfIt(t *testing.T) {
	for _, host := range []string{ref.Archive, ref.DockerArchive} {
		end := at(t, host, "x.tar")
		written(t, end, "one", "v1")
		repack(t, end.Dir, same, map[string]string{"README": "precious", "sub/y": "precious", "repositories": "{}"})
		written(t, end, "two", "v2")
		got := in(t, end.Dir)
		if got["README"] != "precious" || got["sub/y"] != "precious" || got["repositories"] != "" {
			t.Errorf("%s: %v", host, got)
		}
	}
}

func TestALayoutThatDockerReadsStaysOne(t *testing.T) {
	end := at(t, ref.DockerArchive, "x.tar")
	w := writing(t)
	image(t, target(t, w, end.In("docker.io/library/one")), "one", "v1")
	if err := commit(t, w); err != nil {
		t.Fatal(err)
	}
	layout := ref.Repo{Host: ref.Archive, Dir: end.Dir}
	w = writing(t)
	image(t, target(t, w, layout.In("docker.io/library/two")), "two", "v2")
	if err := commit(t, w); err != nil {
		t.Fatal(err)
	}
	if list := in(t, end.Dir)["manifest.json"]; !strings.Contains(list, `"one:v1"`) || !strings.Contains(list, `"two:v2"`) {
		t.Errorf("%s", list)
	}
	before := in(t, end.Dir)
	w = writing(t)
	to := target(t, w, layout)
	amd, arm := image(t, to, "amd"), image(t, to, "arm")
	child := func(d oci.Document, arch string) oci.Descriptor {
		c := d.Descriptor
		c.Platform = &oci.Platform{OS: "linux", Architecture: arch}
		return c
	}
	list := raw(t, []oci.Descriptor{child(amd, "amd64"), child(arm, "arm64")})
	document(t, to, parsed(t, `{"schemaVersion":2,"mediaType":"`+oci.TypeIndex+`","manifests":`+string(list)+`}`), "many")
	if err := commit(t, w); !fault.Is(err, fault.Refused) || !strings.Contains(fault.HintOf(err), "docker load reads this one") {
		t.Errorf("%v", err)
	}
	if after := in(t, end.Dir); len(after) != len(before) {
		t.Errorf("%v", after)
	}
}

// F-223: damage in an archive is found when it is written again.
func TestF223ADamagedArchiveIsNotWrittenAgainAsIfItWereWhole(t *testing.T) {
	for _, host := range []string{ref.Archive, ref.DockerArchive} {
		end := at(t, host, "x.tar")
		doc := written(t, end, "one", "v1")
		damaged := "blobs/sha256/" + doc.Blobs[1].Digest.Encoded()
		repack(t, end.Dir, func(name string, raw []byte) []byte {
			if name == damaged {
				raw[len(raw)/2] ^= 1
			}
			return raw
		}, nil)
		before := in(t, end.Dir)
		w := writing(t)
		image(t, target(t, w, end), "two", "v2")
		err := commit(t, w)
		if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), doc.Blobs[1].Digest.Encoded()) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", host, err)
		}
		if after := in(t, end.Dir); len(after) != len(before) || after[damaged] != before[damaged] {
			t.Errorf("%s: it was written", host)
		}
	}
}

func TestTheDigestInTheNameOfAConfigIsCompared(t *testing.T) {
	const config = `{"rootfs":{"type":"layers","diff_ids":[]}}`
	good := oci.Sum([]byte(config)).Encoded()
	for _, name := range []string{good + ".json", "sha256:" + good, "config.json"} {
		path := filepath.Join(t.TempDir(), "x.tar")
		pack := func(body string) {
			var b bytes.Buffer
			to := tar.NewWriter(&b)
			for name, body := range map[string]string{name: body, "manifest.json": `[{"Config":"` + name + `","RepoTags":["a:1"],"Layers":[]}]`} {
				_ = to.WriteHeader(&tar.Header{Name: name, Size: int64(len(body)), Typeflag: tar.TypeReg})
				_, _ = io.WriteString(to, body)
			}
			if err := errors.Join(to.Close(), os.WriteFile(path, b.Bytes(), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		pack(config)
		if _, err := opened(t, docker(path)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		pack(strings.Replace(config, "layers", "lawers", 1))
		if _, err := opened(t, docker(path)); fault.Is(err, fault.Corrupt) == (name == "config.json") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// F-224: an archive that only some may read stays so.
func TestF224AnArchiveKeepsItsPermissions(t *testing.T) {
	end := at(t, ref.Archive, "x.tar")
	written(t, end, "one", "v1")
	if err := os.Chmod(end.Dir, 0o600); err != nil {
		t.Fatal(err)
	}
	root := os.Geteuid() == 0
	if root {
		if err := os.Chown(end.Dir, 1234, 1234); err != nil {
			t.Fatal(err)
		}
	}
	w := writing(t)
	image(t, target(t, w, end), "two", "v2")
	if info, err := os.Stat(end.Dir + ".dray-part"); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others may read what arrives: %v %v", info, err)
	}
	if err := commit(t, w); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(end.Dir)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if got := owner(info); root && got != 1234 {
		t.Errorf("the owner is %d", got)
	}
}

func TestADirectoryForTheStandardOutputOfAKilledProcessIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	lock := func(name string) string { return filepath.Join(os.TempDir(), name, "lock") }
	begin := func() {
		t.Helper()
		w := &ends.Writing{Reading: &ends.Reading{}, Output: io.Discard}
		image(t, target(t, w, docker(ref.Stream)), "one", "v1")
		if err := commit(t, w); err != nil {
			t.Fatal(err)
		}
	}
	text(t, lock("dray-stale"), "")
	text(t, filepath.Join(os.TempDir(), "dray-other", "x"), "")
	text(t, lock("dray-new"), "")
	running := &ends.Writing{Reading: &ends.Reading{}, Output: io.Discard}
	image(t, target(t, running, docker(ref.Stream)), "one", "v1")
	locks, err := filepath.Glob(lock("dray-*"))
	if err != nil || len(locks) != 3 {
		t.Fatal(locks, err)
	}
	long := time.Now().Add(-time.Hour)
	for _, name := range locks {
		if name != lock("dray-new") {
			if err := os.Chtimes(name, long, long); err != nil {
				t.Fatal(err)
			}
		}
	}
	begin()
	if _, err := os.Stat(filepath.Dir(lock("dray-stale"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "dray-*")); len(left) != 3 || slices.Contains(left, filepath.Dir(lock("dray-stale"))) {
		t.Errorf("%v", left)
	}
	if err := commit(t, running); err != nil {
		t.Fatal(err)
	}
}

func TestADirectoryForTemporaryFilesThatIsNotThereIsNamed(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	end := at(t, ref.Archive, "x.tar.gz")
	written(t, end, "one", "v1")
	t.Setenv("TMPDIR", gone)
	_, readErr := opened(t, end)
	_, writeErr := (&ends.Writing{Reading: &ends.Reading{}, Output: io.Discard}).Open(t.Context(), docker(ref.Stream))
	for _, err := range []error{readErr, writeErr} {
		if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), gone) || fault.HintOf(err) != "set TMPDIR to a directory that can be written" {
			t.Errorf("%v", err)
		}
	}
}

func TestADeviceOrAPipeIsNoFileToWrite(t *testing.T) {
	for _, host := range []string{ref.Archive, ref.DockerArchive} {
		_, err := writing(t).Open(t.Context(), ref.Repo{Host: host, Dir: os.DevNull})
		if !fault.Is(err, fault.Invalid) || fault.HintOf(err) != "write - for the standard output, or name a file" {
			t.Errorf("%v", err)
		}
	}
}

// A run that was killed after the new image got its manifest leaves files of the old one.
func TestTheNextRunRemovesWhatAKilledOneLeftOfTheOldImage(t *testing.T) {
	end := at(t, ref.Directory, "x")
	written(t, end, "one")
	old := names(t, end.Dir)
	var listed []string
	for _, name := range old {
		if name != "version" && name != "manifest.json" {
			listed = append(listed, `"`+name+`"`)
			text(t, filepath.Join(end.Dir+".saved", name), name)
		}
	}
	written(t, end, "two")
	for _, name := range names(t, end.Dir+".saved") { // as if they had not been removed
		text(t, filepath.Join(end.Dir, name), name)
	}
	text(t, filepath.Join(end.Dir, "mine"), "precious")
	text(t, end.Dir+".dray-part/old", "["+strings.Join(listed, ",")+`,"mine","../x.saved"]`)
	written(t, end, "three")
	got := names(t, end.Dir)
	if len(got) != 5 || !slices.Contains(got, "mine") {
		t.Errorf("%v", got)
	}
	for _, name := range names(t, end.Dir+".saved") {
		if slices.Contains(got, name) {
			t.Errorf("%s is left", name)
		}
	}
	if _, err := os.Stat(end.Dir + ".dray-part"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// names returns the names of the files in a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range files {
		all = append(all, f.Name())
	}
	return all
}

func TestF222TheDirectoryOfABundleIsNoLayoutToWrite(t *testing.T) {
	dir := t.TempDir()
	end := ref.Repo{Host: ref.Layout, Dir: dir}
	text(t, filepath.Join(dir, "dray/README"), "of others")
	if err := ends.Bundled(end); err != nil {
		t.Errorf("it is no bundle: %v", err)
	}
	text(t, filepath.Join(dir, "dray/volume-1-of-1.sha256-00.json"), "{}")
	if err := ends.Bundled(end); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "it is a bundle") {
		t.Errorf("%v", err)
	}
}
