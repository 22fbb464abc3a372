package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/conform"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

var (
	_ transfer.Source = (*registry.Store)(nil)
	_ transfer.Target = (*registry.Store)(nil)
)

func at(path string) ref.Repo { return ref.Repo{Host: "here.example", Path: path} }

func (p *place) store(path string) *registry.Store {
	p.t.Helper()
	s, err := p.reg.Store(at(path))
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

func TestStoreConforms(t *testing.T) {
	conform.Run(t, conform.Suite{Open: func(t *testing.T) conform.Pair {
		t.Helper()
		s := start(t, registry.Options{}).store("team/app")
		return conform.Pair{Source: s, Target: s, List: s.List}
	}})
}

func TestStoreConformsOnAStorageThatIsNoDirectory(t *testing.T) {
	conform.Run(t, conform.Suite{Open: func(t *testing.T) conform.Pair {
		t.Helper()
		s := start(t, registry.Options{Storage: registry.Storage{Driver: "inmemory"}}).store("team/app")
		return conform.Pair{Source: s, Target: s, List: s.List}
	}})
}

func descriptor(b []byte) oci.Descriptor {
	return oci.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: oci.Sum(b), Size: int64(len(b))}
}

func serving(b []byte) oci.Opener {
	return func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b[at:])), nil
	}
}

func (p *place) bring(s *registry.Store, b []byte, likely ...ref.Repo) oci.Arrival {
	p.t.Helper()
	a, err := s.Put(p.t.Context(), descriptor(b), likely, serving(b))
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

func TestWhatTheStoreWritesIsFoundOverHTTPAndTheOtherWayRound(t *testing.T) {
	p := start(t, registry.Options{})
	s := p.store("app")
	layer := []byte("a layer")
	p.bring(s, layer)
	p.do("GET", "/v2/app/blobs/"+oci.Sum(layer).String(), nil).want(200)

	subject := p.push("app", "v1", "subject")
	if d, err := s.Resolve(t.Context(), "v1"); err != nil || d.Digest != subject.Digest || d.MediaType != subject.MediaType {
		t.Fatalf("%+v %v", d, err)
	}
	m := p.image("app", "signature")
	m.Subject = &subject
	doc := documentOf(t, m)
	if acc, err := s.PutDocument(t.Context(), doc, "sig"); err != nil || acc.Subject != subject.Digest {
		t.Fatalf("%+v %v", acc, err)
	}
	if got := p.referrers("app", subject.Digest, ""); len(got) != 1 || got[0].Digest != doc.Digest {
		t.Fatalf("referrers over HTTP: %v", got)
	}
	p.do("GET", "/v2/app/manifests/sig", nil).want(200).header("Docker-Content-Digest", doc.Digest.String())

	var repos []string
	if err := p.reg.Repositories(t.Context(), func(path string) error { repos = append(repos, path); return nil }); err != nil || strings.Join(repos, " ") != "app" {
		t.Fatalf("%q %v", repos, err)
	}
	enough := errors.New("enough")
	if err := p.reg.Repositories(t.Context(), func(string) error { return enough }); err != enough { //nolint:errorlint // the very same value
		t.Fatal(err)
	}
}

func documentOf(t *testing.T, m any) oci.Document {
	t.Helper()
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := oci.Parse(oci.Descriptor{}, raw)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestABlobIsMountedOnlyFromWhatIsLikely(t *testing.T) {
	p := start(t, registry.Options{})
	layer := []byte("a layer")
	p.bring(p.store("one"), layer)
	if a := p.bring(p.store("two"), layer, at("one")); a.Way != oci.Mounted || a.From != "one" {
		t.Errorf("%+v", a)
	}
	if a := p.bring(p.store("three"), layer); a.Way != oci.Sent {
		t.Errorf("%+v: the blob was mounted from a repository that is not in likely, which the client may not be allowed to read", a)
	}
	if a := p.bring(p.store("four"), layer, ref.Repo{Host: "elsewhere.example", Path: "one"}); a.Way != oci.Sent {
		t.Errorf("%+v", a)
	}
}

// The next process resumes where the last one was interrupted, and only its own bytes count as sent.
func TestAnUploadThatWasCutGoesOnAfterARestart(t *testing.T) {
	p := start(t, registry.Options{})
	layer := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	cut := errors.New("cut")
	open := func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(layer[at:3<<18]), failing{cut})), nil
	}
	if _, err := p.store("app").Put(t.Context(), descriptor(layer), nil, open); !errors.Is(err, cut) {
		t.Fatal(err)
	}
	p.reopen()
	asked := int64(-1)
	a, err := p.store("app").Put(t.Context(), descriptor(layer), nil, func(ctx context.Context, at int64) (io.ReadCloser, error) {
		asked = at
		return serving(layer)(ctx, at)
	})
	if err != nil || asked != 3<<18 || a.Sent != 1<<18 {
		t.Fatalf("the source was asked for byte %d; %+v, %v", asked, a, err)
	}
	if left, _ := filepath.Glob(filepath.Join(p.o.Dir, "storage/docker/registry/v2/repositories/app/_uploads/*")); len(left) > 0 {
		t.Errorf("uploads are left behind: %v", left)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// After a crash, an upload may hold different bytes than were written.
func TestAnUploadWithDamagedBytesIsCorruptOnceAndThenBeginsAnew(t *testing.T) {
	p := start(t, registry.Options{})
	layer := bytes.Repeat([]byte("0123456789abcdef"), 1<<10)
	cut := errors.New("cut")
	_, err := p.store("app").Put(t.Context(), descriptor(layer), nil, func(context.Context, int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(layer[:1000]), failing{cut})), nil
	})
	if !errors.Is(err, cut) {
		t.Fatal(err)
	}
	p.reopen()
	files, _ := filepath.Glob(filepath.Join(p.o.Dir, "storage/docker/registry/v2/repositories/app/_uploads/*/data"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	if err := os.WriteFile(files[0], make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	s := p.store("app")
	if _, err := s.Put(t.Context(), descriptor(layer), nil, serving(layer)); !fault.Is(err, fault.Corrupt) {
		t.Fatal(err)
	}
	if a := p.bring(s, layer); a.Way != oci.Sent {
		t.Fatalf("%+v", a)
	}
}

func TestContentThatTheDiskDamagedIsWrittenAnew(t *testing.T) {
	p := start(t, registry.Options{})
	s := p.store("app")
	layer := []byte("a layer")
	p.bring(s, layer)
	doc := documentOf(t, p.image("app", "x"))
	if _, err := s.PutDocument(t.Context(), doc, "v1"); err != nil {
		t.Fatal(err)
	}
	spoil := func(d digest.Digest, b string) {
		t.Helper()
		file := filepath.Join(p.o.Dir, "storage/docker/registry/v2/blobs/sha256", d.Encoded()[:2], d.Encoded(), "data")
		if err := os.WriteFile(file, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spoil(descriptor(layer).Digest, "A LAYER")
	if a := p.bring(s, layer); a.Way != oci.Present {
		t.Fatalf("%+v", a)
	}
	s.Distrust([]oci.Descriptor{descriptor(layer)})
	p.bring(p.store("other"), []byte("x"))
	if a := p.bring(s, layer, at("other")); a.Way != oci.Sent {
		t.Fatalf("%+v", a)
	}
	if r := p.do("GET", "/v2/app/blobs/"+descriptor(layer).Digest.String(), nil).want(200); string(r.body) != "a layer" {
		t.Errorf("%q", r.body)
	}
	spoil(descriptor(layer).Digest, "a")
	if missing, err := s.Missing(t.Context(), []oci.Descriptor{descriptor(layer)}); err != nil || len(missing) != 1 {
		t.Fatalf("a blob of another size is there: %v", err)
	}

	spoil(doc.Digest, "{}")
	if _, err := s.Document(t.Context(), "v1"); !fault.Is(err, fault.Corrupt) {
		t.Fatal(err)
	}
	if _, err := s.PutDocument(t.Context(), doc, "v1"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Document(t.Context(), "v1"); err != nil || !bytes.Equal(got.Raw, doc.Raw) {
		t.Fatal(err)
	}
}

func TestTheStoreDeletesATagAloneAndAManifestWithItsTags(t *testing.T) {
	p := start(t, registry.Options{})
	s := p.store("app")
	doc := documentOf(t, p.image("app", "x"))
	if _, err := s.PutDocument(t.Context(), doc, "a", "b", "c"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "a"); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	if _, err := s.Resolve(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), doc.Digest.String()); err != nil {
		t.Fatal(err)
	}
	for _, reference := range []string{"a", "b", "c", doc.Digest.String()} {
		if _, err := s.Resolve(t.Context(), reference); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", reference, err)
		}
	}
	none := p.store("none")
	if err := none.List(t.Context(), func(oci.Listed) error { return nil }); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func TestAStoreOfAClosedRegistryIsUnavailable(t *testing.T) {
	p := start(t, registry.Options{})
	s := p.store("app")
	p.close()
	if _, err := s.Resolve(t.Context(), "v1"); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if _, err := s.Put(t.Context(), descriptor(nil), nil, serving(nil)); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	p.open()
}

func TestAnUnknownStorageDriverIsToldByItsBuildTag(t *testing.T) {
	_, err := registry.Open(t.Context(), registry.Options{Dir: t.TempDir(), Storage: registry.Storage{Driver: "floppy"}})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "-tags floppy") {
		t.Error(err, fault.HintOf(err))
	}
}
