package layout_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
)

func TestWriteMakesALayoutWhereNothingIs(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "a", "b"), t.TempDir()} {
		d := open(t, path, layout.Write)
		if got := d.Repo().String(); got != "oci:"+path {
			t.Errorf("repo %s", got)
		}
		for name, want := range map[string]string{
			"oci-layout": `{"imageLayoutVersion":"1.0.0"}`,
			"index.json": `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`,
		} {
			if got, err := os.ReadFile(filepath.Join(path, name)); err != nil || string(got) != want {
				t.Errorf("%s: %s, %v", name, got, err)
			}
		}
		if info, err := os.Stat(filepath.Join(path, "blobs", "sha256")); err != nil || !info.IsDir() {
			t.Errorf("blobs: %v", err)
		}
	}
}

func TestWriteLeavesADirectoryOfOtherThingsAlone(t *testing.T) {
	for _, name := range []string{"precious.txt", "index.json", "blobs"} {
		path := t.TempDir()
		write(t, path, name, "mine")
		_, err := layout.Open(at(path), layout.Write)
		if !fault.Is(err, fault.Conflict) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
		if got, _ := os.ReadFile(filepath.Join(path, name)); string(got) != "mine" {
			t.Errorf("%s became %q", name, got)
		}
		if _, err := os.Stat(filepath.Join(path, "oci-layout")); err == nil {
			t.Errorf("%s: the directory became a layout", name)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		why           string
		header, index string
		kind          fault.Kind
		text          string
	}{
		{"not a layout", "", "", fault.NotFound, "no image layout"},
		{"version 2", `{"imageLayoutVersion":"2.0.0"}`, `{"manifests":[]}`, fault.Refused, `version "2.0.0"`},
		{"no version", `{}`, `{"manifests":[]}`, fault.Refused, `version ""`},
		{"header no JSON", `1.0.0`, `{"manifests":[]}`, fault.Refused, "not a JSON object"},
		{"no index yet", `{"imageLayoutVersion":"1.1.0"}`, "", fault.NotFound, "it was begun"},
		{"index no JSON", `{"imageLayoutVersion":"1.0.0"}`, "x", fault.Refused, "index.json"},
		{"index too large", `{"imageLayoutVersion":"1.0.0"}`, `{"manifests":[]}` + strings.Repeat(" ", 64<<20), fault.TooLarge, "67108864"},
	} {
		path := t.TempDir()
		if tt.header != "" {
			write(t, path, "oci-layout", tt.header)
		}
		if tt.index != "" {
			write(t, path, "index.json", tt.index)
		}
		_, err := layout.Open(at(path), layout.Read)
		if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want kind %s and %q", tt.why, err, tt.kind, tt.text)
		}
	}
	lost := t.TempDir()
	write(t, lost, "oci-layout", `{"imageLayoutVersion":"1.1.0"}`)
	write(t, lost, "blobs", "no directory")
	_, err := layout.Open(at(lost), layout.Read)
	if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "index.json") {
		t.Errorf("blobs without an index: %v", err)
	}
	if _, err := layout.Open(at(filepath.Join(t.TempDir(), "absent")), layout.Read); !fault.Is(err, fault.NotFound) {
		t.Errorf("an absent directory: %v", err)
	}
}

func TestAFileIsNoLayout(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "app.tar", "x")
	for _, mode := range []layout.Mode{layout.Read, layout.Write} {
		if _, err := layout.Open(at(filepath.Join(dir, "app.tar")), mode); err == nil || fault.HintOf(err) == "" || strings.Contains(err.Error(), "link") {
			t.Errorf("%v", err)
		}
	}
}

func TestALayoutOpenedToReadIsNotWritten(t *testing.T) {
	path := t.TempDir()
	open(t, path, layout.Write).Close()
	if err := os.Remove(filepath.Join(path, ".dray.lock")); err != nil {
		t.Fatal(err)
	}
	d := open(t, path, layout.Read)
	if _, err := d.Put(t.Context(), describe("x"), nil, serve("x")); !fault.Is(err, fault.Denied) {
		t.Errorf("put: %v", err)
	}
	if _, err := d.PutDocument(t.Context(), artifact(t, "x"), "v1"); !fault.Is(err, fault.Denied) {
		t.Errorf("put document: %v", err)
	}
	if entries, _ := os.ReadDir(path); len(entries) != 3 {
		t.Errorf("the layout now has %v", entries)
	}
}

func TestUntaggedDocumentsAreEntriesUntilTheyCanBeReachedOtherwise(t *testing.T) {
	path := t.TempDir()
	d := open(t, path, layout.Write)
	a, b := artifact(t, "a"), artifact(t, "b")
	for _, doc := range []oci.Document{a, b} {
		put(t, d, "{}")
		putDocument(t, d, doc)
		putDocument(t, d, doc)
	}
	wantEntries(t, path, 2, string(a.Digest), string(b.Digest))
	over := parse(t, `{"schemaVersion":2,"mediaType":"`+oci.TypeIndex+`","manifests":[`+entry(a)+`]}`)
	putDocument(t, d, over, "multi", "also")
	wantEntries(t, path, 3, string(b.Digest), `"multi"`, `"also"`)
	putDocument(t, d, b, "b")
	wantEntries(t, path, 3, `"b"`, `"multi"`, `"also"`)
	before, err := os.Stat(filepath.Join(path, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	putDocument(t, d, b, "b")
	putDocument(t, d, over, "also")
	putDocument(t, d, over)
	if after, err := os.Stat(filepath.Join(path, "index.json")); err != nil || !os.SameFile(before, after) {
		t.Errorf("putting a document that is there wrote index.json again (%v)", err)
	}
}

func TestStaleTemporaryFilesAreSweptAndYoungOnesAreNot(t *testing.T) {
	path := t.TempDir()
	open(t, path, layout.Write)
	for name, age := range map[string]time.Duration{".dray-OLD.tmp": 25 * time.Hour, ".dray-YOUNG.tmp": 23 * time.Hour, "other.tmp": 99 * time.Hour, ".dray.lock": 99 * time.Hour} {
		write(t, path, name, "x")
		when := time.Now().Add(-age)
		if err := os.Chtimes(filepath.Join(path, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	open(t, path, layout.Read)
	wantFiles(t, path, ".dray-OLD.tmp", ".dray-YOUNG.tmp", ".dray.lock", "blobs", "index.json", "oci-layout", "other.tmp")
	open(t, path, layout.Write)
	wantFiles(t, path, ".dray-YOUNG.tmp", ".dray.lock", "blobs", "index.json", "oci-layout", "other.tmp")
}

func TestAFailedPutLeavesNoFile(t *testing.T) {
	path := t.TempDir()
	d := open(t, path, layout.Write)
	if _, err := d.Put(t.Context(), describe("good"), nil, serve("evil")); !fault.Is(err, fault.Corrupt) {
		t.Errorf("%v", err)
	}
	wantFiles(t, path, ".dray.lock", "blobs", "index.json", "oci-layout")
	wantFiles(t, filepath.Join(path, "blobs", "sha256"))
}

func TestABlobOfTheWrongSizeIsCorruptAndIsReplaced(t *testing.T) {
	path := t.TempDir()
	d := open(t, path, layout.Write)
	b := describe("whole")
	write(t, path, filepath.Join("blobs", "sha256", b.Digest.Encoded()), "who")
	if _, _, err := d.Blob(t.Context(), b, 0, -1); !fault.Is(err, fault.Corrupt) {
		t.Errorf("%v", err)
	}
	if missing, err := d.Missing(t.Context(), []oci.Descriptor{b}); err != nil || len(missing) != 1 {
		t.Errorf("missing %v, %v", missing, err)
	}
	put(t, d, "whole")
	if got := read(t, d, b); got != "whole" {
		t.Errorf("%q", got)
	}
}

func TestADocumentThatRottedIsCorruptAndIsReplaced(t *testing.T) {
	path := t.TempDir()
	d := open(t, path, layout.Write)
	doc := artifact(t, "x")
	put(t, d, "{}")
	putDocument(t, d, doc, "v1")
	write(t, path, filepath.Join("blobs", "sha256", doc.Digest.Encoded()), strings.Replace(string(doc.Raw), `"x"`, `"y"`, 1))
	for _, reference := range []string{"v1", string(doc.Digest)} {
		if _, err := d.Document(t.Context(), reference); !fault.Is(err, fault.Corrupt) {
			t.Errorf("%s: %v", reference, err)
		}
	}
	putDocument(t, d, doc, "v1")
	if got, err := d.Document(t.Context(), "v1"); err != nil || !bytes.Equal(got.Raw, doc.Raw) {
		t.Errorf("%s, %v", got.Raw, err)
	}
}

func describe(s string) oci.Descriptor {
	return oci.Descriptor{MediaType: "application/octet-stream", Digest: oci.Sum([]byte(s)), Size: int64(len(s))}
}

func serve(s string) oci.Opener {
	return func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(s[at:])), nil
	}
}

func put(t *testing.T, d *layout.Dir, s string) {
	t.Helper()
	if _, err := d.Put(t.Context(), describe(s), nil, serve(s)); err != nil {
		t.Fatal(err)
	}
}

func putDocument(t *testing.T, d *layout.Dir, doc oci.Document, tags ...string) {
	t.Helper()
	if acc, err := d.PutDocument(t.Context(), doc, tags...); err != nil || len(acc.Tags) != len(tags) {
		t.Fatalf("%+v, %v", acc, err)
	}
}

func read(t *testing.T, d *layout.Dir, b oci.Descriptor) string {
	t.Helper()
	body, _, err := d.Blob(t.Context(), b, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	raw, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// artifact stores a manifest with the empty configuration "{}"; each name gives another manifest.
func artifact(t *testing.T, name string) oci.Document {
	t.Helper()
	return parse(t, `{"schemaVersion":2,"mediaType":"`+oci.TypeManifest+`","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"`+string(describe("{}").Digest)+`","size":2},"layers":[],"annotations":{"name":"`+name+`"}}`)
}

func parse(t *testing.T, raw string) oci.Document {
	t.Helper()
	doc, err := oci.Parse(oci.Descriptor{}, []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func entry(doc oci.Document) string {
	return `{"mediaType":"` + doc.MediaType + `","digest":"` + string(doc.Digest) + `","size":` + itoa(doc.Size) + `}`
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestADocumentWithoutWhatIsBelowItIsNotFoundAndSetsNoTag(t *testing.T) {
	path := t.TempDir()
	d := open(t, path, layout.Write)
	a := artifact(t, "a")
	over := parse(t, `{"schemaVersion":2,"mediaType":"`+oci.TypeIndex+`","manifests":[`+entry(a)+`]}`)
	for what, doc := range map[string]oci.Document{string(describe("{}").Digest): a, string(a.Digest): over} {
		if _, err := d.PutDocument(t.Context(), doc, "v1"); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), what) {
			t.Errorf("%v; want it to name %s", err, what)
		}
	}
	wantEntries(t, path, 0)
	wantFiles(t, filepath.Join(path, "blobs", "sha256"))
}
