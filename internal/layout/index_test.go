package layout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

var (
	one = oci.Sum([]byte("one"))
	two = oci.Sum([]byte("two"))
)

// of returns an index.json with these entries; each is a digest and its annotations.
func of(entries ...[2]string) string {
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = fmt.Sprintf(`{"digest":%q, "size":3,"annotations":{%s}}`, e[0], e[1])
	}
	return `{"schemaVersion":2,"manifests":[` + strings.Join(list, ",") + `]}`
}

// setting returns the change that sets one tag.
func setting(tag string, doc oci.Descriptor) []*change {
	return []*change{{doc: doc, names: []label{{"", tag}}}}
}

func named(tag string) string { return fmt.Sprintf(`"org.opencontainers.image.ref.name":%q`, tag) }
func imageName(name string) string {
	return fmt.Sprintf(`"io.containerd.image.name":%q`, name)
}

// all is for an index in which every entry is an image.
func all(x *index) ([]entry, error) { return x.entries, nil }

func TestTagsAreFoundAsEveryToolWritesThem(t *testing.T) {
	for _, tt := range []struct {
		why, index, reference string
		mode                  Mode
		want                  oci.Digest // "" for none
	}{
		{"the spec's annotation", of([2]string{string(one), named("v1")}, [2]string{string(two), named("v2")}), "v2", Read, two},
		{"a tag is not a prefix", of([2]string{string(one), named("v1.5")}), "v1", Read, ""},
		{"a full name by its tag", of([2]string{string(one), named("docker.io/library/nginx:1.25")}), "1.25", Read, one},
		{"containerd's name", of([2]string{string(one), imageName("docker.io/library/nginx:1.25")}), "1.25", Read, one},
		{"containerd's two annotations", of([2]string{string(one), imageName("docker.io/library/nginx:1.25") + "," + named("1.25")}), "1.25", Write, one},
		{"a full name without a tag is latest", of([2]string{string(one), named("docker.io/library/nginx")}), "latest", Write, one},
		{"the very tag wins over a full name's", of([2]string{string(one), named("a.io/x:v1")}, [2]string{string(two), named("v1")}), "v1", Read, two},
		{"one image by two full names", of([2]string{string(one), named("a.io/x:v1")}, [2]string{string(one), named("b.io/x:v1")}), "v1", Read, one},
		{"no reference and one entry", of([2]string{string(one), named("v9")}), "", Write, one},
		{"latest and one entry without a name, to read", of([2]string{string(one), ""}), "latest", Read, one},
		{"latest and one entry without a name, to write", of([2]string{string(one), ""}), "latest", Write, ""},
		{"latest and one entry of another name", of([2]string{string(one), named("v1")}), "latest", Read, ""},
		{"another tag and one entry without a name", of([2]string{string(one), ""}), "v1", Read, ""},
		{"no entries", `{"manifests":[]}`, "", Read, ""},
		{"a null list is empty", `{"schemaVersion":2,"manifests":null}`, "latest", Read, ""},
	} {
		x, err := parseIndex([]byte(tt.index))
		if err != nil {
			t.Errorf("%s: %v", tt.why, err)
			continue
		}
		e, err := x.find("", tt.reference, tt.mode, all)
		if e.Digest != string(tt.want) || tt.want == "" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %q is %q, %v; want %q", tt.why, tt.reference, e.Digest, err, tt.want)
		}
	}
}

func TestAByteOrderMarkBeforeTheIndexIsPassedOver(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"oci-layout": `{"imageLayoutVersion":"1.0.0"}`,
		"index.json": of([2]string{string(one), named("v1")}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("\ufeff"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(ref.Repo{Host: ref.Layout, Dir: dir}, Read)
	if err != nil {
		t.Fatal(err)
	}
	if x, err := d.readIndex(); err != nil {
		t.Error(err)
	} else if e, err := x.find("", "v1", Read, all); e.Digest != string(one) || err != nil {
		t.Error(e, err)
	}
}

func TestANameOfTwoImagesIsRefusedAndNamesBoth(t *testing.T) {
	for _, tt := range []struct{ index, reference string }{
		{of([2]string{string(one), named("a.io/x:v1")}, [2]string{string(two), imageName("b.io/x:v1")}), "v1"},
		{of([2]string{string(one), named("v1")}, [2]string{string(two), named("v1")}), "v1"},
		{of([2]string{string(one), named("v1")}, [2]string{string(two), named("v2")}), ""},
	} {
		x, err := parseIndex([]byte(tt.index))
		if err != nil {
			t.Fatal(err)
		}
		_, err = x.find("", tt.reference, Read, all)
		if hint := fault.HintOf(err); !fault.Is(err, fault.Refused) || !strings.Contains(hint, string(one)) || !strings.Contains(hint, string(two)) {
			t.Errorf("%s: %v, hint %q", tt.index, err, fault.HintOf(err))
		}
	}
}

func TestAnIndexThatCouldBeReadInTwoWaysIsRefused(t *testing.T) {
	for _, raw := range []string{
		"", "[]", "null", "{", `{"manifests":[]`, `{"manifests":[]} x`, `{"manifests":[]}{}`, `{}`, `{"schemaVersion":2}`,
		`{"manifests":[],"manifests":[]}`, `{"Manifests":[]}`, `{"manifests":[],"MANIFESTS":[]}`,
		`{"manifests":{}}`, `{"manifests":[1]}`, `{"manifests":["x"]}`, `{"manifests":[{"size":"3"}]}`, `{"manifests":[{"annotations":[]}]}`,
	} {
		if x, err := parseIndex([]byte(raw)); err == nil {
			t.Errorf("%s: parsed as %+v; want an error", raw, x)
		}
	}
}

func TestAnEntryWithoutASoundDigestIsRefusedOnlyWhenItIsAskedFor(t *testing.T) {
	x, err := parseIndex([]byte(of([2]string{"sha256:../../../etc/passwd", named("bad")}, [2]string{string(one), named("good")})))
	if err != nil {
		t.Fatal(err)
	}
	bad, err := x.find("", "bad", Read, all)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bad.descriptor(); !fault.Is(err, fault.Refused) {
		t.Errorf("%v; want it refused", err)
	}
	if e, err := x.find("", "good", Read, all); err != nil || e.Digest != string(one) {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestSettingATagKeepsEveryOtherByte(t *testing.T) {
	const head, tail = "{ \"x-first\" : [1.50,\n null],\"manifests\": ", ", \"annotations\":{\"a\":\"\\u00fc\"}\n}\n"
	other := fmt.Sprintf(`{"size" : 3,"x-unknown":{"B":1,"a":1e3}, "digest":%q,"annotations":{"k":"v", %s}}`, one, named("keep"))
	mine := fmt.Sprintf(`{"digest":%q,"size":3,"annotations":{%s}}`, one, named("move"))
	x, err := parseIndex([]byte(head + "[" + mine + ", " + other + "]" + tail))
	if err != nil {
		t.Fatal(err)
	}
	if !x.apply(setting("move", oci.Descriptor{MediaType: oci.TypeIndex, Digest: two, Size: 7})) {
		t.Error("nothing changed")
	}
	got := string(x.bytes())
	if !strings.HasPrefix(got, head) || !strings.HasSuffix(got, tail) || strings.Count(got, other) != 1 || !json.Valid([]byte(got)) {
		t.Errorf("got\n%s", got)
	}
	again, err := parseIndex([]byte(got))
	if err != nil {
		t.Fatal(err)
	}
	if e, err := again.find("", "move", Write, all); err != nil || e.Digest != string(two) || e.Size != 7 || e.MediaType != oci.TypeIndex || len(again.entries) != 2 {
		t.Errorf("%+v, %v", again.entries, err)
	}
	if again.apply(setting("move", oci.Descriptor{Digest: two, Size: 7})) {
		t.Error("setting a tag to what it is changed the index")
	}
}

// FuzzIndex checks that no index.json crashes the parser, and that an index which can be parsed
// can be written with a new tag without losing another entry.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(emptyIndex))
	f.Add([]byte(`{"manifests":null}`))
	f.Add([]byte(of([2]string{string(one), named("v1")}, [2]string{string(two), imageName("a.io/x:v1")})))
	f.Add([]byte(of([2]string{"../../x", named("fuzz")}, [2]string{string(one), named("fuzz")})))
	f.Fuzz(func(t *testing.T, raw []byte) {
		x, err := parseIndex(raw)
		if err != nil {
			return
		}
		x.tags("")
		x.find("", "latest", Read, all)
		var others []string
		for _, e := range x.entries {
			if e.Annotations.Ref != "fuzz" {
				others = append(others, string(e.raw))
			}
		}
		x.apply(setting("fuzz", oci.Descriptor{Digest: two, Size: 3}))
		y, err := parseIndex(x.bytes())
		if err != nil {
			t.Fatalf("%q was written as %q: %v", raw, x.bytes(), err)
		}
		if e, err := y.find("", "fuzz", Write, all); err != nil || e.Digest != string(two) {
			t.Fatalf("%q: %+v, %v", x.bytes(), e, err)
		}
		y.entries = slices.DeleteFunc(y.entries, func(e entry) bool { return e.Annotations.Ref == "fuzz" })
		if len(y.entries) != len(others) {
			t.Fatalf("%d other entries of %d", len(y.entries), len(others))
		}
		for i, e := range y.entries {
			if !bytes.Equal(e.raw, []byte(others[i])) {
				t.Fatalf("entry %q became %q", others[i], e.raw)
			}
		}
	})
}

// F-80: errors of the disk become faults of the Kinds that callers act on.
func TestErrorsOfTheDiskHaveTheirKinds(t *testing.T) {
	d := &Dir{}
	d.repo.Dir = "some/dir"
	for errno, want := range map[syscall.Errno]fault.Kind{
		syscall.EACCES: fault.Denied, syscall.EPERM: fault.Denied, syscall.EROFS: fault.Denied,
		syscall.EIO: fault.Unavailable, syscall.EMFILE: fault.Unavailable,
		syscall.ENOENT: fault.NotFound, syscall.ELOOP: fault.Refused,
	} {
		err := d.failed("put blob", "x", &os.PathError{Op: "write", Path: "p", Err: errno})
		if fault.KindOf(err) != want || !errors.Is(err, errno) {
			t.Errorf("%v: %v; want kind %s", errno, err, want)
		}
		if want == fault.Denied && !strings.Contains(fault.HintOf(err), "some/dir") {
			t.Errorf("%v: the hint %q does not name the layout", errno, fault.HintOf(err))
		}
	}
}

// Changes that wait at the same time are written together, so that index.json is not written once for each tag.
func TestChangesThatWaitTogetherAreWrittenTogether(t *testing.T) {
	d, err := Open(ref.Repo{Host: ref.Layout, Dir: t.TempDir()}, Write)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	unlock, err := d.lock(t.Context()) // as another process does
	if err != nil {
		t.Fatal(err)
	}
	const many = 50
	indexes := make(chan *index, many)
	canceled, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	for i := range many {
		go func() {
			c := &change{doc: oci.Descriptor{Digest: one}, names: []label{{"", fmt.Sprint("v", i)}}}
			if err := d.change(t.Context(), "put manifest", c); err != nil {
				t.Error(err)
			}
			x, err := d.readIndex()
			if err != nil {
				t.Error(err)
			}
			indexes <- x
		}()
	}
	waits := func(n int) {
		for {
			d.mu.Lock()
			got := len(d.waiting)
			d.mu.Unlock()
			if got == n {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	waits(many)
	go func() {
		gaveUp <- d.change(canceled, "put manifest", &change{doc: oci.Descriptor{Digest: two}, names: []label{{"", "never"}}})
	}()
	waits(many + 1)
	cancel()
	if err := <-gaveUp; !fault.Is(err, fault.Canceled) {
		t.Errorf("the one that gave up: %v", err)
	}
	unlock()
	first := <-indexes
	for range many - 1 {
		if x := <-indexes; x != first {
			t.Fatal("index.json was written more than once")
		}
	}
	if tags := first.tags(""); len(tags) != many || slices.Contains(tags, "never") {
		t.Errorf("%d tags: %q", len(tags), tags)
	}
}
