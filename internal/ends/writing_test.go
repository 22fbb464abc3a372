package ends_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/archive"
	"github.com/drayage/dray/internal/conform"
	"github.com/drayage/dray/internal/ends"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

var _ transfer.Target = ends.Target{}

// kinds are names of ends in a new directory, by the transport.
var kinds = map[string]string{ref.Archive: "x.tar", ref.DockerArchive: "x.tar", ref.Directory: "x"}

func at(t *testing.T, host, name string) ref.Repo {
	t.Helper()
	return ref.Repo{Host: host, Dir: filepath.Join(t.TempDir(), name)}
}

// writing begins a run.
func writing(t *testing.T) *ends.Writing {
	t.Helper()
	r := &ends.Reading{}
	w := &ends.Writing{Reading: r}
	t.Cleanup(func() {
		w.Commit(context.Background(), func(ref.Repo) bool { return false })
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func all(ref.Repo) bool { return true }

// commit makes everything, and returns the error of the only end.
func commit(t *testing.T, w *ends.Writing) error {
	t.Helper()
	got := w.Commit(t.Context(), all)
	if len(got) != 1 {
		t.Fatalf("%d ends", len(got))
	}
	return got[0].Err
}

func target(t *testing.T, w *ends.Writing, repo ref.Repo) ends.Target {
	t.Helper()
	to, err := w.Open(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { to.Close() })
	return to
}

func put(t *testing.T, to ends.Target, mediaType, body string) oci.Descriptor {
	t.Helper()
	d := oci.Descriptor{MediaType: mediaType, Digest: oci.Sum([]byte(body)), Size: int64(len(body))}
	open := func(context.Context, int64) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	if _, err := to.Put(t.Context(), d, nil, open); err != nil {
		t.Fatal(err)
	}
	return d
}

// manifest puts what a manifest needs, and returns it.
func manifest(t *testing.T, to ends.Target, name, more string) oci.Document {
	t.Helper()
	layer := layerOf(name)
	config := put(t, to, "application/vnd.oci.image.config.v1+json",
		fmt.Sprintf(`{"architecture":"amd64","os":"linux","config":{"Cmd":[%q]},"rootfs":{"type":"layers","diff_ids":[%q,%q]}}`, name, oci.Sum(layer), oci.Sum(layer)))
	l := put(t, to, "application/vnd.oci.image.layer.v1.tar", string(layer))
	return parsed(t, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s,%[3]s]%s}`, oci.TypeManifest, raw(t, config), raw(t, l), more))
}

// layerOf returns a layer with one file.
func layerOf(name string) []byte {
	var b bytes.Buffer
	_ = archive.Write(context.Background(), &b, archive.None, func(yield func(archive.Entry) bool) {
		yield(archive.Entry{Name: name, Size: int64(len(name)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(name)), nil }})
	})
	return b.Bytes()
}

func raw(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parsed(t *testing.T, text string) oci.Document {
	t.Helper()
	doc, err := oci.Parse(oci.Descriptor{}, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func document(t *testing.T, to ends.Target, doc oci.Document, tags ...string) {
	t.Helper()
	if acc, err := to.PutDocument(t.Context(), doc, tags...); err != nil || len(acc.Tags) != len(tags) {
		t.Fatalf("%+v %v", acc, err)
	}
}

// image puts an image under a tag.
func image(t *testing.T, to ends.Target, name string, tags ...string) oci.Document {
	t.Helper()
	doc := manifest(t, to, name, "")
	document(t, to, doc, tags...)
	return doc
}

// about puts a document that refers to another.
func about(t *testing.T, to ends.Target, subject oci.Document) oci.Document {
	t.Helper()
	empty := put(t, to, "application/vnd.oci.empty.v1+json", "{}")
	doc := parsed(t, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":"a/b","config":%s,"layers":[%[2]s],"subject":%s}`, oci.TypeManifest, raw(t, empty), raw(t, subject.Descriptor)))
	document(t, to, doc)
	return doc
}

func TestAnEndConformsWhileItIsWritten(t *testing.T) {
	for host, name := range kinds {
		t.Run(host, func(t *testing.T) {
			conform.Run(t, conform.Suite{Open: func(t *testing.T) conform.Pair {
				t.Helper()
				to := target(t, writing(t), at(t, host, name))
				return conform.Pair{Source: to, Target: to, List: to.List}
			}})
		})
	}
}

func TestWhatIsWrittenIsReadAgainWithItsReferrersAndNothingIsLeftBehind(t *testing.T) {
	for _, c := range []struct{ host, name string }{
		{ref.Archive, "x.tar"}, {ref.Archive, "x.tar.gz"}, {ref.Archive, "x.tar.zst"}, {ref.DockerArchive, "x.tar"}, {ref.Directory, "x"},
	} {
		t.Run(c.host+c.name, func(t *testing.T) {
			end := at(t, c.host, c.name)
			w := writing(t)
			to := target(t, w, end)
			var tags []string
			if c.host != ref.Directory {
				tags = []string{"v1"}
			}
			doc := image(t, to, "app", tags...)
			signature := about(t, to, doc)
			above := about(t, to, signature)
			if _, err := os.Stat(end.Dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it is there before it is whole: %v", err)
			}
			if err := commit(t, w); err != nil {
				t.Fatal(err)
			}
			if left, _ := os.ReadDir(filepath.Dir(end.Dir)); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
			d, err := opened(t, end)
			if err != nil {
				t.Fatal(err)
			}
			if c.host != ref.Directory {
				whole(t, d, "v1")
			}
			for _, reference := range []oci.Digest{"", doc.Digest, signature.Digest, above.Digest} {
				whole(t, d, string(reference))
			}
			if d, err := d.Resolve(t.Context(), ""); err != nil || d.Digest != doc.Digest {
				t.Errorf("the only image is %v, %v", d.Digest, err)
			}
			for subject, want := range map[oci.Digest]oci.Digest{doc.Digest: signature.Digest, signature.Digest: above.Digest} {
				list, err := d.Referrers(t.Context(), oci.Descriptor{Digest: subject})
				if err != nil || len(list) != 1 || list[0].Digest != want {
					t.Errorf("%v %v", list, err)
				}
			}
		})
	}
}

func TestAnArchiveKeepsWhatItHoldsAndDropsWhatIsReplaced(t *testing.T) {
	for _, host := range []string{ref.Archive, ref.DockerArchive} {
		t.Run(host, func(t *testing.T) {
			end := at(t, host, "x.tar")
			var docs []oci.Document
			for _, c := range [][2]string{{"one", "v1"}, {"two", "v2"}, {"three", "v1"}} {
				w := writing(t)
				docs = append(docs, image(t, target(t, w, end), c[0], c[1]))
				if err := commit(t, w); err != nil {
					t.Fatal(err)
				}
			}
			d, err := opened(t, end)
			if err != nil {
				t.Fatal(err)
			}
			if got := tags(t, d); got != "v1 v2" {
				t.Errorf("%q", got)
			}
			if v1, v2 := whole(t, d, "v1"), whole(t, d, "v2"); v1.Digest != docs[2].Digest || v2.Digest != docs[1].Digest {
				t.Errorf("%s %s", v1.Digest, v2.Digest)
			}
			if _, err := d.Document(t.Context(), string(docs[0].Digest)); !fault.Is(err, fault.NotFound) {
				t.Errorf("what was replaced is still there: %v", err)
			}
		})
	}
}

func TestADirectoryHoldsOneImageAndIsReplacedByAnother(t *testing.T) {
	end := at(t, ref.Directory, "x")
	for _, name := range []string{"one", "two"} {
		w := writing(t)
		doc := image(t, target(t, w, end), name)
		if err := commit(t, w); err != nil {
			t.Fatal(err)
		}
		d, err := opened(t, end)
		if err != nil {
			t.Fatal(err)
		}
		if got := whole(t, d, ""); got.Digest != doc.Digest {
			t.Errorf("%s", got.Digest)
		}
	}
	if files, _ := os.ReadDir(end.Dir); len(files) != 4 { // version, manifest.json, a config and a layer
		t.Errorf("%v", files)
	}
	w := writing(t)
	to := target(t, w, end)
	image(t, to, "three")
	image(t, to, "four")
	if err := commit(t, w); !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "it holds one image, and there are 2") {
		t.Errorf("%v", err)
	}
	d, err := opened(t, end)
	if err != nil {
		t.Fatal(err)
	}
	whole(t, d, "")
}

// F-81: a run that ended early leaves the end as it was, and the next run goes on with what arrived.
func TestF81WhatArrivedStaysForTheNextRun(t *testing.T) {
	for host, name := range kinds {
		t.Run(host, func(t *testing.T) {
			end := at(t, host, name)
			w := writing(t)
			image(t, target(t, w, end), "one")
			got := w.Commit(t.Context(), func(ref.Repo) bool { return false })
			if len(got) != 1 || got[0].Err != nil || got[0].Kept != end.Dir+".dray-part" {
				t.Fatalf("%+v", got)
			}
			if _, err := os.Stat(end.Dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%v", err)
			}
			w = writing(t)
			to := target(t, w, end)
			if list := tags(t, to.Dir); list != "" {
				t.Errorf("the names of the earlier run: %q", list)
			}
			layer := layerOf("one")
			arrival, err := to.Put(t.Context(), oci.Descriptor{Digest: oci.Sum(layer), Size: int64(len(layer))}, nil,
				func(context.Context, int64) (io.ReadCloser, error) { return nil, errors.New("it is read again") })
			if err != nil || arrival.Way != oci.Present {
				t.Errorf("%+v %v", arrival, err)
			}
			image(t, to, "one")
			if err := commit(t, w); err != nil {
				t.Fatal(err)
			}
			if left, _ := os.ReadDir(filepath.Dir(end.Dir)); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// F-81: a stage is not synced to disk, so the machine may have lost bytes of it when it stopped.
func TestF81WhatArrivedIsReadAgainIfTheDiskLostIt(t *testing.T) {
	end := at(t, ref.Archive, "x.tar")
	w := writing(t)
	image(t, target(t, w, end), "one")
	if got := w.Commit(t.Context(), func(ref.Repo) bool { return false }); len(got) != 1 || got[0].Kept == "" {
		t.Fatalf("%+v", got)
	}
	layer := layerOf("one")
	blobs := filepath.Join(end.Dir+".dray-part", "layout", "blobs", "sha256")
	if err := os.WriteFile(filepath.Join(blobs, oci.Sum(layer).Encoded()), make([]byte, len(layer)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(blobs, "no digest"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w = writing(t)
	image(t, target(t, w, end), "one", "v1")
	if err := commit(t, w); err != nil {
		t.Fatal(err)
	}
	d, err := opened(t, end)
	if err != nil {
		t.Fatal(err)
	}
	whole(t, d, "v1")
}

func TestARunThatBroughtNothingLeavesNothing(t *testing.T) {
	end := at(t, ref.Archive, "x.tar")
	w := writing(t)
	target(t, w, end)
	if got := w.Commit(t.Context(), func(ref.Repo) bool { return false }); got[0].Kept != "" || got[0].Err != nil {
		t.Errorf("%+v", got)
	}
	if left, _ := os.ReadDir(filepath.Dir(end.Dir)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestACanceledCommitLeavesTheEndAsItWas(t *testing.T) {
	for host, name := range kinds {
		t.Run(host, func(t *testing.T) {
			end := at(t, host, name)
			w := writing(t)
			before := image(t, target(t, w, end), "one")
			if err := commit(t, w); err != nil {
				t.Fatal(err)
			}
			w = writing(t)
			image(t, target(t, w, end), "two")
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if got := w.Commit(ctx, all); !fault.Is(got[0].Err, fault.Canceled) || got[0].Kept == "" {
				t.Errorf("%+v", got)
			}
			d, err := opened(t, end)
			if err != nil {
				t.Fatal(err)
			}
			whole(t, d, string(before.Digest))
		})
	}
}

func TestAnEndThatIsSomethingElseStaysAsItIs(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("precious ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		repo ref.Repo
		kind fault.Kind
		hint string
	}{
		"a text":                       {ref.Repo{Host: ref.Archive, Dir: text}, fault.Invalid, "name another one, or remove it"},
		"a text for docker":            {docker(text), fault.Invalid, "name another one, or remove it"},
		"a directory of texts":         {ref.Repo{Host: ref.Directory, Dir: dir}, fault.Invalid, "name another one, or remove it"},
		"a directory for an archive":   {ref.Repo{Host: ref.Archive, Dir: dir}, fault.Invalid, "name the file of the archive; oci:DIR and dir:DIR name directories"},
		"a directory that there isn't": {ref.Repo{Host: ref.Archive, Dir: filepath.Join(dir, "none", "x.tar")}, fault.NotFound, "make the directory " + filepath.Join(dir, "none")},
		"a stream that there isn't":    {docker(ref.Stream), fault.Invalid, "name a file"},
	} {
		t.Run(what, func(t *testing.T) {
			if _, err := writing(t).Open(t.Context(), c.repo); !fault.Is(err, c.kind) || fault.HintOf(err) != c.hint {
				t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestOneRunAtATimeWritesAnEnd(t *testing.T) {
	end := at(t, ref.Archive, "x.tar")
	first := writing(t)
	image(t, target(t, first, end), "one", "v1")
	if _, err := writing(t).Open(t.Context(), end); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "another process is writing it") {
		t.Errorf("%v", err)
	}
	if err := commit(t, first); err != nil {
		t.Fatal(err)
	}
	target(t, writing(t), end)
}

func TestALinkToAnArchiveStaysALink(t *testing.T) {
	end := at(t, ref.Archive, "x.tar")
	away := filepath.Join(t.TempDir(), "away.tar")
	if err := errors.Join(os.WriteFile(away, nil, 0o600), os.Symlink(away, end.Dir)); err != nil {
		t.Fatal(err)
	}
	w := writing(t)
	image(t, target(t, w, end), "one", "v1")
	if err := commit(t, w); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(end.Dir)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("%v %v", info, err)
	}
	if info, err := os.Stat(away); err != nil || info.Size() == 0 {
		t.Errorf("%v %v", info, err)
	}
}

func TestAnArchiveGoesToTheStandardOutputWhole(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	w := &ends.Writing{Reading: &ends.Reading{}, Output: &out}
	doc := image(t, target(t, w, docker(ref.Stream)), "one", "v1")
	if out.Len() > 0 {
		t.Errorf("%d bytes before the end", out.Len())
	}
	if err := commit(t, w); err != nil {
		t.Fatal(err)
	}
	r := &ends.Reading{Input: &out}
	defer r.Close()
	d, err := r.Open(t.Context(), docker(ref.Stream))
	if err != nil {
		t.Fatal(err)
	}
	if got := whole(t, d, "v1"); got.Digest != doc.Digest {
		t.Errorf("%s", got.Digest)
	}
	broken := &ends.Writing{Reading: &ends.Reading{}, Output: failing{}}
	image(t, target(t, broken, docker(ref.Stream)), "one", "v1")
	if err := commit(t, broken); err == nil {
		t.Error("a stream that broke is no error")
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestAnArchiveOfDockerTakesOnePlatform(t *testing.T) {
	end := at(t, ref.DockerArchive, "x.tar")
	w := writing(t)
	to := target(t, w, end)
	amd, arm := manifest(t, to, "amd", ""), manifest(t, to, "arm", "")
	document(t, to, amd)
	document(t, to, arm)
	child := func(d oci.Document, arch string) oci.Descriptor {
		c := d.Descriptor
		c.Platform = &oci.Platform{OS: "linux", Architecture: arch}
		return c
	}
	two := []oci.Descriptor{child(amd, "amd64"), child(arm, "arm64")}
	says := "has one platform, and the image has several: linux/amd64 linux/arm64"
	if err := to.Keeps(two, nil); !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), says) || !strings.Contains(fault.HintOf(err), "--platform") {
		t.Errorf("%v", err)
	}
	if err := to.Keeps(two[:1], nil); err != nil {
		t.Errorf("%v", err)
	}
	index := func(list ...oci.Descriptor) oci.Document {
		return parsed(t, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":%s}`, oci.TypeIndex, raw(t, list)))
	}
	document(t, to, index(two...), "v1")
	if err := commit(t, w); !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), says) {
		t.Errorf("%v", err)
	}

	w = writing(t)
	to = target(t, w, end)
	document(t, to, manifest(t, to, "amd", ""))
	one := index(two[0])
	document(t, to, one, "v1")
	if err := commit(t, w); err != nil {
		t.Fatal(err)
	}
	d, err := opened(t, end)
	if err != nil {
		t.Fatal(err)
	}
	if got := whole(t, d, "v1"); got.Digest != one.Digest {
		t.Errorf("the index of one platform is not the image: %s", got.Digest)
	}
}

func TestAnArchiveOfDockerNeedsAnImage(t *testing.T) {
	w := writing(t)
	to := target(t, w, at(t, ref.DockerArchive, "x.tar"))
	layer := put(t, to, "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "chart")
	config := put(t, to, "application/vnd.cncf.helm.config.v1+json", "{}")
	document(t, to, parsed(t, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, oci.TypeManifest, raw(t, config), raw(t, layer))), "1.0")
	if err := commit(t, w); !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "no image that docker can load") {
		t.Errorf("%v", err)
	}
}

// The order and the number of the layers are those of the manifest: docker counts them.
func TestTheListOfAnArchiveOfDockerHasEachLayerAsOftenAsTheImage(t *testing.T) {
	end := at(t, ref.DockerArchive, "x.tar")
	w := writing(t)
	doc := image(t, target(t, w, end), "one", "v1")
	if err := commit(t, w); err != nil {
		t.Fatal(err)
	}
	a, err := archive.Open(t.Context(), archive.Input{Name: "x", Path: end.Dir})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	f, err := a.Open("manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.NewDecoder(f).Decode(&list); err != nil || len(list) != 1 {
		t.Fatalf("%v %v", list, err)
	}
	layer := "blobs/sha256/" + doc.Blobs[1].Digest.Encoded()
	if got := list[0]; got.Config != "blobs/sha256/"+doc.Config.Digest.Encoded() || len(got.Layers) != 2 || got.Layers[0] != layer || got.Layers[1] != layer {
		t.Errorf("%+v", got)
	}
}

func TestSkopeoReadsWhatIsWrittenAndWritesWhatIsRead(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("skopeo is not installed")
	}
	skopeo := func(args ...string) {
		t.Helper()
		if said, err := exec.Command("skopeo", args...).CombinedOutput(); err != nil {
			t.Fatalf("skopeo %q: %v\n%s", args, err, said)
		}
	}
	for host, name := range kinds {
		end := at(t, host, name)
		w := writing(t)
		doc := image(t, target(t, w, end), "one")
		if err := commit(t, w); err != nil {
			t.Fatal(err)
		}
		theirs := at(t, ref.Layout, "judged")
		how := []string{"copy", "--insecure-policy"}
		if host != ref.DockerArchive { // skopeo converts what goes there
			how = append(how, "--preserve-digests")
		}
		skopeo(append(how, end.String(), theirs.String()+":v1")...)
		back := at(t, host, "back")
		skopeo(append(how, theirs.String()+":v1", back.String())...)
		d, err := opened(t, back)
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		got := whole(t, d, "")
		if same := got.Digest == doc.Digest; !same && host != ref.DockerArchive {
			t.Errorf("%s: %s, want %s", host, got.Digest, doc.Digest)
		}
		if got.Config.Digest != doc.Config.Digest {
			t.Errorf("%s: config %s, want %s", host, got.Config.Digest, doc.Config.Digest)
		}
	}
}

// F-81: what stays is what a next run can use. A refusal would come again, so nothing of it stays.
func TestARefusalThatComesAgainLeavesNothing(t *testing.T) {
	end := at(t, ref.Directory, "x")
	w := writing(t)
	to := target(t, w, end)
	image(t, to, "one")
	image(t, to, "two")
	if got := w.Commit(t.Context(), all); !fault.Is(got[0].Err, fault.Refused) || got[0].Kept != "" {
		t.Errorf("%+v", got)
	}
	if left, _ := os.ReadDir(filepath.Dir(end.Dir)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestALinkToNowhereStaysALinkAndItsTargetIsWritten(t *testing.T) {
	for host, name := range kinds {
		t.Run(host, func(t *testing.T) {
			dir := t.TempDir()
			file, link := filepath.Join(dir, "real"+name), filepath.Join(dir, name)
			if err := os.Symlink("via", link); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(file, filepath.Join(dir, "via")); err != nil {
				t.Fatal(err)
			}
			end := ref.Repo{Host: host, Dir: link}
			w := writing(t)
			doc := image(t, target(t, w, end), "one")
			if err := commit(t, w); err != nil {
				t.Fatal(err)
			}
			if to, err := os.Readlink(link); err != nil || to != "via" {
				t.Errorf("the link is %q, %v", to, err)
			}
			d, err := opened(t, ref.Repo{Host: host, Dir: file})
			if err != nil {
				t.Fatal(err)
			}
			if got := whole(t, d, ""); got.Digest != doc.Digest {
				t.Errorf("%s", got.Digest)
			}
		})
	}
}

func TestOneFileIsNotWrittenAsTwoEnds(t *testing.T) {
	one := at(t, ref.Archive, "x.tar")
	w := writing(t)
	target(t, w, one)
	other := ref.Repo{Host: ref.DockerArchive, Dir: filepath.Dir(one.Dir) + "/./y/../x.tar"}
	if _, err := w.Open(t.Context(), other); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "it is the same file or directory as "+one.String()) {
		t.Errorf("%v", err)
	}
}

func TestADirectoryHoldsAnImageThatHasSeveralNames(t *testing.T) {
	end := at(t, ref.Directory, "x")
	w := writing(t)
	to := target(t, w, end)
	doc := image(t, to, "one", "v1", "stable")
	if err := commit(t, w); err != nil {
		t.Fatal(err)
	}
	d, err := opened(t, end)
	if err != nil {
		t.Fatal(err)
	}
	if got := whole(t, d, ""); got.Digest != doc.Digest {
		t.Errorf("%s", got.Digest)
	}
}
