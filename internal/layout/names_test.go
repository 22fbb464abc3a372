package layout_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
)

// in opens the repository path of the layout in dir.
func in(t *testing.T, dir, path string, mode layout.Mode) *layout.Dir {
	t.Helper()
	d, err := layout.Open(at(dir).In(path), mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

const nginx, redis = "docker.io/library/nginx", "docker.io/library/redis"

func TestTwoRepositoriesOfOneLayoutHaveTheSameTag(t *testing.T) {
	dir := t.TempDir()
	plain, one, two := open(t, dir, layout.Write), in(t, dir, nginx, layout.Write), in(t, dir, redis, layout.Write)
	put(t, plain, "{}")
	docs := map[*layout.Dir]oci.Document{one: artifact(t, "nginx"), two: artifact(t, "redis"), plain: artifact(t, "plain")}
	for _, d := range []*layout.Dir{one, two} {
		putDocument(t, d, docs[d], "v1")
	}
	_, err := plain.Resolve(t.Context(), "v1")
	text := fmt.Sprint(err) + fault.HintOf(err)
	if !fault.Is(err, fault.Refused) || !strings.Contains(text, nginx+":v1, "+redis+":v1") || !strings.Contains(text, string(docs[two].Digest)) {
		t.Errorf("a tag of two repositories: %s", text)
	}
	putDocument(t, plain, docs[plain], "v1")
	for d, want := range docs {
		if got, err := d.Resolve(t.Context(), "v1"); err != nil || got.Digest != want.Digest {
			t.Errorf("%s: %v, %v; want %s", d.Repo(), got, err, want.Digest)
		}
	}
	wantEntries(t, dir, 3, `"`+nginx+`:v1"`, `"`+redis+`:v1"`, `"v1"`)
	// Replacing one leaves the others alone.
	putDocument(t, two, artifact(t, "newer"), "v1")
	if got, err := one.Resolve(t.Context(), "v1"); err != nil || got.Digest != docs[one].Digest {
		t.Errorf("%v, %v", got, err)
	}
	putDocument(t, one, docs[one], "v2")
	if got := tagsOf(t, one); !slices.Equal(got, []string{"v1", "v2"}) {
		t.Errorf("tags of one: %q", got)
	}
	if got := tagsOf(t, two); !slices.Equal(got, []string{"v1"}) {
		t.Errorf("tags of the other: %q", got)
	}
	images, err := plain.Images()
	if want := fmt.Sprintf("[oci:%[1]s:v1 oci:%[1]s:%[2]s:v1 oci:%[1]s:%[2]s:v2 oci:%[1]s:%[3]s:v1]", dir, nginx, redis); fmt.Sprint(images) != want || err != nil {
		t.Errorf("%v %v; want %s", images, err, want)
	}
}

func TestATagThatIsNotThereIsAnErrorThatSaysWhatIs(t *testing.T) {
	dir := t.TempDir()
	one := in(t, dir, nginx, layout.Write)
	put(t, one, "{}")
	putDocument(t, one, artifact(t, "x"), "v1")
	for _, d := range []*layout.Dir{one, open(t, dir, layout.Read), in(t, dir, redis, layout.Read)} {
		if _, err := d.Resolve(t.Context(), "v9"); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "the layout has "+nginx+":v1") {
			t.Errorf("%s: %v", d.Repo(), err)
		}
	}
	// A repository without a tag is its only image.
	if got, err := one.Resolve(t.Context(), ""); err != nil || got.Digest != artifact(t, "x").Digest {
		t.Errorf("%v %v", got, err)
	}
	putDocument(t, one, artifact(t, "y"), "v2")
	if _, err := one.Resolve(t.Context(), ""); !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), nginx+":v1, "+nginx+":v2") {
		t.Errorf("%v", err)
	}
}

// docker writes a tag beside the whole name. A copy to that tag must not replace the image.
func TestATagDoesNotReplaceAnImageThatHasItInItsWholeName(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, layout.Write)
	put(t, d, "{}")
	a, b := artifact(t, "a"), artifact(t, "b")
	putDocument(t, d, a)
	write(t, dir, "index.json", strings.Replace(`{"schemaVersion":2,"manifests":[ENTRY]}`, "ENTRY", strings.TrimSuffix(entry(a), "}")+
		`,"annotations":{"org.opencontainers.image.ref.name":"1.27","io.containerd.image.name":"`+nginx+`:1.27"}}`, 1))
	if got, err := d.Resolve(t.Context(), "1.27"); err != nil || got.Digest != a.Digest {
		t.Errorf("%v %v", got, err)
	}
	putDocument(t, d, b, "1.27")
	if got, err := in(t, dir, nginx, layout.Read).Resolve(t.Context(), "1.27"); err != nil || got.Digest != a.Digest {
		t.Errorf("the image of nginx is %v, %v", got, err)
	}
	if got, err := d.Resolve(t.Context(), "1.27"); err != nil || got.Digest != b.Digest {
		t.Errorf("the tag is %v, %v", got, err)
	}
}

func TestARemovedNameLeavesTheContentAndTheOtherNames(t *testing.T) {
	dir := t.TempDir()
	d, one := open(t, dir, layout.Write), in(t, dir, nginx, layout.Write)
	put(t, d, "{}")
	a := artifact(t, "a")
	putDocument(t, one, a, "v1", "v2")
	putDocument(t, d, a, "v1")
	if err := one.Delete(t.Context(), "v1"); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Resolve(t.Context(), "v1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("it is still there: %v", err)
	}
	if got := tagsOf(t, one); !slices.Equal(got, []string{"v2"}) {
		t.Errorf("%q", got)
	}
	if got, err := d.Resolve(t.Context(), "v1"); err != nil || got.Digest != a.Digest {
		t.Errorf("the tag without a repository: %v, %v", got, err)
	}
	if err := one.Delete(t.Context(), "v1"); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), nginx+":v2") {
		t.Errorf("again: %v", err)
	}
	if err := one.Delete(t.Context(), string(a.Digest)); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, dir, 0)
	if got, err := d.Document(t.Context(), string(a.Digest)); err != nil || got.Digest != a.Digest {
		t.Errorf("the content: %v", err)
	}
	if err := in(t, dir, nginx, layout.Read).Delete(t.Context(), "v2"); !fault.Is(err, fault.Denied) {
		t.Errorf("opened to read: %v", err)
	}
}

// What another tool writes is seen at once, although an unchanged index.json is read only once.
func TestAnIndexThatAnotherToolRewritesIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	d, reader := open(t, dir, layout.Write), open(t, dir, layout.Read)
	put(t, d, "{}")
	a, b := artifact(t, "a"), artifact(t, "b")
	putDocument(t, d, a, "v1")
	putDocument(t, d, b)
	for i := range 20 {
		want := []oci.Document{a, b}[i%2]
		write(t, dir, "index.json", `{"schemaVersion":2,"manifests":[`+strings.TrimSuffix(entry(want), "}")+`,"annotations":{"org.opencontainers.image.ref.name":"v1"}}]}`)
		for _, d := range []*layout.Dir{d, reader} {
			if got, err := d.Resolve(t.Context(), "v1"); err != nil || got.Digest != want.Digest {
				t.Fatalf("%d: %v, %v", i, got, err)
			}
		}
	}
}

func TestALinkOutOfTheLayoutIsRefusedAndSaidToBeOne(t *testing.T) {
	dir, away := t.TempDir(), t.TempDir()
	d := open(t, dir, layout.Write)
	put(t, d, "{}")
	a := artifact(t, "a")
	putDocument(t, d, a, "v1")
	file := filepath.Join(dir, "blobs", "sha256", a.Digest.Encoded())
	if err := os.Rename(file, filepath.Join(away, "manifest")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(away, "manifest"), file); err != nil {
		t.Skip(err)
	}
	_, err := open(t, dir, layout.Read).Document(t.Context(), "v1")
	if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "is a link to a place outside of the layout") || !strings.Contains(fault.HintOf(err), "cp -rL") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}

func TestSkopeoAndUmociReadWholeNamesAndWeReadSkopeos(t *testing.T) {
	for _, tool := range []string{"skopeo", "umoci"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + ", a Debian package, is not installed")
		}
	}
	dir := t.TempDir()
	from, to := testrepo(t), in(t, dir, nginx, layout.Write)
	one := carry(t, from, to, "v1", "1.27")
	two := carry(t, from, in(t, dir, redis, layout.Write), "v2", "1.27")
	for path, doc := range map[string]oci.Document{nginx: one, redis: two} {
		if got := oci.Sum([]byte(output(t, "skopeo", "inspect", "--raw", "oci:"+dir+":"+path+":1.27"))); got != doc.Digest {
			t.Errorf("skopeo reads %s as %s; want %s", path, got, doc.Digest)
		}
	}
	if got := output(t, "umoci", "ls", "--layout", dir); got != nginx+":1.27\n"+redis+":1.27" {
		t.Errorf("umoci lists %q", got)
	}
	output(t, "skopeo", "--insecure-policy", "copy", "--all", "--preserve-digests", "oci:"+dir+":"+redis+":1.27", "oci:"+dir+":quay.io/team/app:v1")
	if got, err := in(t, dir, "quay.io/team/app", layout.Read).Resolve(t.Context(), "v1"); err != nil || got.Digest != two.Digest {
		t.Errorf("%v %v", got, err)
	}
}

// Two processes of dray write the same layout in 200 runs, to one repository and to two.
func TestTwoProcessesOnOneLayoutLoseNothing(t *testing.T) {
	runs := 200
	switch {
	case testing.Short():
		runs = 5
	case yard.Small():
		runs = 25
	}
	dir := filepath.Join(t.TempDir(), "stick")
	want := map[string]bool{}
	for i := range runs {
		var both []*exec.Cmd
		for _, name := range []string{"a", "b"} {
			c := child(t, "one", dir)
			c.Env = append(c.Env, fmt.Sprintf("%s=%s-%d", nameVariable, name, i))
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			both = append(both, c)
			for _, path := range []string{"", "a.io/same:", "a.io/" + name + ":"} {
				want[fmt.Sprintf("oci:%s:%s%s-%d-0", dir, path, name, i)] = true
			}
		}
		for _, c := range both {
			if err := c.Wait(); err != nil {
				t.Fatalf("run %d: %v", i, err)
			}
		}
	}
	d := open(t, dir, layout.Read)
	images, err := d.Images()
	if err != nil || len(images) != len(want) {
		t.Errorf("%d names, %v; want %d", len(images), err, len(want))
	}
	for _, n := range images {
		view, err := layout.Open(n.Repo, layout.Read)
		if err != nil {
			t.Fatal(err)
		}
		if doc, err := view.Document(t.Context(), n.Tag); err != nil || !want[n.String()] || !strings.Contains(string(doc.Raw), n.Tag[:len(n.Tag)-2]) {
			t.Errorf("%s: %v", n, err)
		}
		view.Close()
	}
}

// nameVariable is the environment variable with the name of a writer.
const nameVariable = "DRAY_LAYOUT_TEST_NAME"

// writeOne sets a tag in three repositories of the layout.
func writeOne(d *layout.Dir) error {
	name := os.Getenv(nameVariable)
	letter, _, _ := strings.Cut(name, "-")
	for _, path := range []string{"", "a.io/same", "a.io/" + letter} {
		at, err := layout.Open(d.Repo().In(path), layout.Write)
		if err != nil {
			return err
		}
		if err := writeTags(at, name, 1); err != nil {
			return err
		}
	}
	return nil
}

// A layout with 10,000 images is written and read in a time that does not grow with the square of their number.
func TestALayoutHoldsTenThousandImages(t *testing.T) {
	n := 10_000
	switch {
	case testing.Short():
		n = 500
	case yard.Small():
		n = 1000
	}
	dir := t.TempDir()
	d := in(t, dir, nginx, layout.Write)
	put(t, d, "{}")
	tags := make(chan string)
	done := make(chan error)
	const writers = 32
	for range writers {
		go func() {
			for tag := range tags {
				if _, err := d.PutDocument(context.Background(), artifact(t, tag), tag); err != nil {
					t.Error(err)
				}
			}
			done <- nil
		}()
	}
	for i := range n {
		tags <- fmt.Sprintf("v%d", i)
	}
	close(tags)
	for range writers {
		<-done
	}
	reader := in(t, dir, nginx, layout.Read)
	if got := len(tagsOf(t, reader)); got != n {
		t.Errorf("%d tags", got)
	}
	for i := range n {
		tag := fmt.Sprintf("v%d", i)
		got, err := reader.Resolve(t.Context(), tag)
		if err != nil || got.Digest != artifact(t, tag).Digest {
			t.Fatalf("%s: %v %v", tag, got, err)
		}
		if list, err := reader.Referrers(t.Context(), got); err != nil || len(list) != 0 {
			t.Fatalf("%s: %v %v", tag, list, err)
		}
	}
}

func TestImagesWithoutANameAreThoseThatNothingElseLists(t *testing.T) {
	d := open(t, t.TempDir(), layout.Write)
	put(t, d, "{}")
	lone, named := artifact(t, "lone"), artifact(t, "named")
	putDocument(t, d, lone)
	putDocument(t, d, named, "v1")
	about := func(subject oci.Document) oci.Document {
		text := strings.Replace(string(artifact(t, "about "+string(subject.Digest)).Raw), "{", fmt.Sprintf(`{"subject":{"mediaType":%q,"digest":%q,"size":%d},`,
			subject.MediaType, subject.Digest, subject.Size), 1)
		doc, err := oci.Parse(oci.Descriptor{}, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		putDocument(t, d, doc)
		return doc
	}
	about(about(lone))
	about(named)
	for range 2 {
		got, err := d.Nameless(t.Context())
		if err != nil || len(got) != 1 || got[0].Digest != lone.Digest {
			t.Errorf("%v %v; want %s", got, err, lone.Digest)
		}
	}
	putDocument(t, d, lone, "v2")
	if got, err := d.Nameless(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("%v %v", got, err)
	}
}

func TestAnImageThatIsNamedByDigestGetsNoTagThatNobodyGaveIt(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, layout.Write)
	put(t, d, "{}")
	doc := artifact(t, "pinned")
	putDocument(t, d, doc)
	for _, key := range []string{"org.opencontainers.image.ref.name", "io.containerd.image.name"} {
		index := fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":%d,"annotations":{%q:"%s@%s"}}]}`,
			doc.MediaType, doc.Digest, doc.Size, key, nginx, doc.Digest)
		if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte(index), 0o600); err != nil {
			t.Fatal(err)
		}
		if tags := tagsOf(t, in(t, dir, nginx, layout.Read)); len(tags) > 0 {
			t.Errorf("%s: %q", key, tags)
		}
		names, err := d.Images()
		nameless, nerr := d.Nameless(t.Context())
		if len(names) > 0 || len(nameless) != 1 || err != nil || nerr != nil {
			t.Errorf("%s: %v, %v, %v, %v", key, names, nameless, err, nerr)
		}
		if got, err := d.Resolve(t.Context(), string(doc.Digest)); err != nil || got.Digest != doc.Digest {
			t.Errorf("%s: %v, %v", key, got, err)
		}
	}
}
