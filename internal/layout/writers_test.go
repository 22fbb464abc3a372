package layout_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
)

// roleVariable names the environment variable that makes the test binary a second process on a layout.
const roleVariable = "DRAY_LAYOUT_TEST_ROLE"

func TestMain(m *testing.M) {
	role, path, _ := strings.Cut(os.Getenv(roleVariable), " ")
	if role == "" {
		os.Exit(m.Run())
	}
	d, err := layout.Open(at(path), layout.Write)
	if err == nil {
		err = roles[role](d)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var roles = map[string]func(*layout.Dir) error{
	"writer":  func(d *layout.Dir) error { return writeTags(d, strconv.Itoa(os.Getpid()), 20) },
	"endless": writeEndlessly,
	"killed":  waitInABlob,
	"one":     writeOne,
}

// child starts this binary in a role and stops it at the end of the test.
func child(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), roleVariable+"="+role+" "+path)
	c.Stderr = os.Stderr
	return c
}

// writeTags puts n documents, each with a tag that begins with name.
func writeTags(d *layout.Dir, name string, n int) error {
	ctx := context.Background()
	if _, err := d.Put(ctx, describe("{}"), nil, serve("{}")); err != nil {
		return err
	}
	for i := range n {
		raw := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"x/y","digest":%q,"size":2},"layers":[],"annotations":{"n":"%s-%d"}}`, oci.TypeManifest, describe("{}").Digest, name, i)
		doc, err := oci.Parse(oci.Descriptor{}, []byte(raw))
		if err != nil {
			return err
		}
		acc, err := d.PutDocument(ctx, doc, fmt.Sprintf("%s-%d", name, i))
		if err != nil || len(acc.Tags) != 1 {
			return fmt.Errorf("%+v, %w", acc, err)
		}
	}
	return nil
}

// skopeo issue 1018: two copies at the same time lose tags in one layout.
func TestWritersInSeveralProcessesLoseNoTag(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made by all of them at once")
	var children []*exec.Cmd
	for range 4 {
		c := child(t, "writer", path)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		children = append(children, c)
	}
	var wg sync.WaitGroup
	d := open(t, path, layout.Write)
	for _, name := range []string{"a", "b", "c"} {
		wg.Go(func() {
			if err := writeTags(d, name, 20); err != nil {
				t.Error(err)
			}
		})
	}
	names := []string{"a", "b", "c"}
	for _, c := range children {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
		names = append(names, strconv.Itoa(c.Process.Pid))
	}
	wg.Wait()
	tags := map[string]bool{}
	if err := d.List(t.Context(), func(l oci.Listed) error { tags[l.Tag] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		for i := range 20 {
			tag := fmt.Sprintf("%s-%d", name, i)
			doc, err := d.Document(t.Context(), tag)
			if err != nil || !tags[tag] || !strings.Contains(string(doc.Raw), `"`+tag+`"`) {
				t.Errorf("tag %s is lost: %v", tag, err)
			}
		}
	}
	if len(tags) != 20*len(names) {
		t.Errorf("%d tags; want %d", len(tags), 20*len(names))
	}
	wantFiles(t, path, ".dray.lock", "blobs", "index.json", "oci-layout")
}

// waitInABlob puts a blob and waits forever in the middle of it.
func waitInABlob(d *layout.Dir) error {
	_, err := d.Put(context.Background(), describe("first half, second half"), nil, func(context.Context, int64) (io.ReadCloser, error) {
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(strings.NewReader("first half"), stuck{}), io.NopCloser(nil)}, nil
	})
	return err
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) {
	fmt.Println("half of it is written")
	time.Sleep(time.Minute)
	return 0, io.ErrUnexpectedEOF
}

// F-81: kill -9.
func TestAKilledWriterLeavesNothingThatCanBeSeen(t *testing.T) {
	path := t.TempDir()
	open(t, path, layout.Write)
	c := child(t, "killed", path)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.Wait()

	left, err := filepath.Glob(filepath.Join(path, ".dray-*.tmp"))
	if err != nil || len(left) != 1 {
		t.Fatalf("the writer left no temporary file, so the test proves nothing: %q, %v", left, err)
	}
	wantFiles(t, filepath.Join(path, "blobs", "sha256"))
	d := open(t, path, layout.Write)
	b := describe("first half, second half")
	if missing, err := d.Missing(t.Context(), []oci.Descriptor{b}); err != nil || len(missing) != 1 {
		t.Errorf("missing %v, %v", missing, err)
	}
	put(t, d, "first half, second half")
	if got := read(t, d, b); got != "first half, second half" {
		t.Errorf("%q", got)
	}
}

// writeEndlessly sets tags forever and prints each tag after it is set.
func writeEndlessly(d *layout.Dir) error {
	for i := 0; ; i++ {
		tag := fmt.Sprintf("%d-%d", os.Getpid(), i)
		if err := writeTags(d, tag, 1); err != nil {
			return err
		}
		fmt.Println(tag + "-0")
	}
}

func TestWritersKilledAtAnyTimeLeaveASoundLayout(t *testing.T) {
	path := t.TempDir()
	for i := range 8 {
		c := child(t, "endless", path)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewReader(out)
		set, err := said.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i) * 700 * time.Microsecond) // so that the kill comes at different points of a write
		c.Process.Kill()
		io.Copy(io.Discard, said)
		c.Wait()
		d := open(t, path, layout.Write)
		if _, err := d.Document(t.Context(), strings.TrimSpace(set)); err != nil {
			t.Errorf("a tag that was printed is not set: %v", err)
		}
		if err := writeTags(d, fmt.Sprint("after", i), 1); err != nil {
			t.Fatal(err)
		}
		var tags []string
		if err := d.List(t.Context(), func(l oci.Listed) error { tags = append(tags, l.Tag); return nil }); err != nil {
			t.Fatal(err)
		}
		for _, tag := range tags {
			if _, err := d.Document(t.Context(), tag); err != nil {
				t.Errorf("tag %s: %v", tag, err)
			}
		}
		if !slices.Contains(tags, fmt.Sprintf("after%d-0", i)) || !slices.Contains(tags, "after0-0") {
			t.Errorf("tags %q", tags)
		}
	}
}

func TestALockThatIsHeldIsWaitedForUntilTheCallerGivesUp(t *testing.T) {
	path := t.TempDir()
	d := open(t, path, layout.Write)
	put(t, d, "{}")
	release := holdLock(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := d.PutDocument(ctx, artifact(t, "x"), "v1"); !fault.Is(err, fault.Canceled) {
		t.Errorf("%v; want it canceled", err)
	}
	if _, err := d.Resolve(t.Context(), "v1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v; want no tag", err)
	}
	time.AfterFunc(100*time.Millisecond, release)
	putDocument(t, d, artifact(t, "x"), "v1")
}

// holdLock locks index.json, as another writer does.
func holdLock(t *testing.T, path string) (release func()) {
	t.Helper()
	l := flock.New(filepath.Join(path, ".dray.lock"))
	if ok, err := l.TryLockContext(t.Context(), time.Millisecond); !ok || err != nil {
		t.Fatal(ok, err)
	}
	return func() { l.Close() }
}

// wantEntries fails unless index.json has n entries and all of texts.
func wantEntries(t *testing.T, path string, n int, texts ...string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(path, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var x struct{ Manifests []json.RawMessage }
	if err := json.Unmarshal(raw, &x); err != nil || len(x.Manifests) != n {
		t.Errorf("%d entries; want %d (%v)\n%s", len(x.Manifests), n, err, raw)
	}
	for _, text := range texts {
		if !strings.Contains(string(raw), text) {
			t.Errorf("no %s in\n%s", text, raw)
		}
	}
}

func wantFiles(t *testing.T, path string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, names) {
		t.Errorf("files %q; want %q", got, names)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
