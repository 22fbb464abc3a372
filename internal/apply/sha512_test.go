package apply_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
)

// layoutOf writes an image layout whose content has digests of the given algorithms: blobs, manifest, and
// index, if one is given.
func layoutOf(t *testing.T, blobs, manifest, index digest.Algorithm) string {
	t.Helper()
	dir := t.TempDir()
	put := func(a digest.Algorithm, mediaType, b string) string {
		d := a.FromString(b)
		path := filepath.Join(dir, "blobs", string(a))
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, d.Encoded()), []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, d, len(b))
	}
	config := put(blobs, "application/vnd.oci.image.config.v1+json", `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`)
	layer := put(blobs, "application/vnd.oci.image.layer.v1.tar", strings.Repeat("x", 3000))
	root := put(manifest, oci.TypeManifest, `{"schemaVersion":2,"mediaType":"`+oci.TypeManifest+`","config":`+config+`,"layers":[`+layer+`]}`)
	if index != "" {
		root = put(index, oci.TypeIndex, `{"schemaVersion":2,"mediaType":"`+oci.TypeIndex+`","manifests":[`+root+`]}`)
	}
	root = strings.TrimSuffix(root, "}") + `,"annotations":{"org.opencontainers.image.ref.name":"v1"}}`
	for name, b := range map[string]string{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`, "index.json": `{"schemaVersion":2,"manifests":[` + root + `]}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "oci:" + dir + ":v1"
}

// F-55: the digests of an image are kept, or the image is refused before a byte moves.
func TestF55DigestsOfSha512AreKeptOrRefusedBeforeAByteMoves(t *testing.T) {
	long, short := digest.SHA512, digest.SHA256
	for name, c := range map[string]struct {
		blobs, manifest, index digest.Algorithm
		kept                   bool // by registries that choose sha256 for a tag
	}{
		"everything":           {long, long, long, false},
		"a manifest":           {short, long, "", false},
		"a child":              {short, long, short, false},
		"an index":             {short, short, long, false},
		"blobs":                {long, short, "", true},
		"blobs below an index": {long, short, short, true},
	} {
		for product, target := range map[string]*testbed.Registry{
			"distribution":         testbed.Distribution(t, testbed.Options{}),
			"go-containerregistry": testbed.Sloppy(t, testbed.Options{}),
			"docker-registry":      testbed.DockerRegistry(t, testbed.Options{}),
		} {
			t.Run(name+" to "+product, func(t *testing.T) {
				y := yard.Of(t, testbed.Distribution(t, testbed.Options{}), target)
				rep, err := y.Copy(dray.CopyRequest{Source: layoutOf(t, c.blobs, c.manifest, c.index), Targets: []string{"dst/app:v1"}})
				if c.kept {
					y.Must(rep, err)
					y.Must(y.Copy(dray.CopyRequest{Source: "dst/app:v1", Targets: []string{"src/back:v1"}}))
					return
				}
				if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "a digest of sha256 in place of this one") {
					t.Error(err)
				}
				for _, method := range []string{"POST", "PUT", "PATCH"} {
					if n := target.Count(method, ""); n != 0 {
						t.Errorf("%d %s requests", n, method)
					}
				}
			})
		}
		t.Run(name+" to zot", func(t *testing.T) {
			z := &zot{digests: map[string]string{}}
			y := yard.Of(t, testbed.Distribution(t, testbed.Options{Content: testbed.Open, Front: z.front}), testbed.Distribution(t, testbed.Options{}))
			y.RunOn(t.TempDir(), "zot")
			source := layoutOf(t, c.blobs, c.manifest, c.index)
			y.Must(y.Copy(dray.CopyRequest{Source: source, Targets: []string{"src/app:v1"}}))
			was, err := y.Digest(t.Context(), dray.LookRequest{Name: source}, nil)
			is, err2 := y.Digest(t.Context(), dray.LookRequest{Name: "src/app:v1"}, nil)
			if err != nil || err2 != nil || was.Digest != is.Digest {
				t.Errorf("%s became %s: %v %v", was.Digest, is.Digest, err, err2)
			}
		})
	}
}

// F-55
func TestF55ATagThatWouldGetAnotherDigestIsNotSet(t *testing.T) {
	z := &zot{digests: map[string]string{}, old: true}
	y := yard.Of(t, testbed.Distribution(t, testbed.Options{Content: testbed.Open, Front: z.front}), testbed.Distribution(t, testbed.Options{}))
	y.RunOn(t.TempDir(), "zot")
	_, err := y.Copy(dray.CopyRequest{Source: layoutOf(t, digest.SHA256, digest.SHA512, ""), Targets: []string{"src/app:v1"}})
	if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "does not set a tag to sha512:") {
		t.Error(err)
	}
	if _, err := y.Digest(t.Context(), dray.LookRequest{Name: "src/app:v1"}, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("the tag is set: %v", err)
	}
}

// zot is what zot adds to a registry: manifests by sha512, and tags for them.
type zot struct {
	mu      sync.Mutex
	old     bool              // it ignores ?tag=
	digests map[string]string // the sha512 that a tag or a sha256 was put by, and the sha256 of a sha512
}

func (z *zot) front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z.mu.Lock()
		defer z.mu.Unlock()
		repo, reference, ok := strings.Cut(r.URL.Path, "/manifests/")
		short, known := z.digests[reference]
		isLong := strings.HasPrefix(reference, "sha512:")
		switch {
		case !ok || !isLong && !known:
			next.ServeHTTP(w, r)
			return
		case r.Method != http.MethodPut:
			answer := httptest.NewRecorder()
			if !isLong {
				reference, short = short, reference
			}
			r.URL.Path = repo + "/manifests/" + short
			next.ServeHTTP(answer, r)
			maps.Copy(w.Header(), answer.Header())
			if known {
				w.Header().Set("Docker-Content-Digest", reference)
			}
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
			return
		}
		raw, _ := io.ReadAll(r.Body)
		if string(digest.SHA512.FromBytes(raw)) != reference {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		short = string(digest.FromBytes(raw))
		z.digests[reference] = short
		if z.old {
			r.URL.RawQuery = ""
		}
		for _, name := range append([]string{short}, r.URL.Query()["tag"]...) {
			again := r.Clone(r.Context())
			again.URL.Path, again.URL.RawQuery, again.Body = repo+"/manifests/"+name, "", io.NopCloser(bytes.NewReader(raw))
			next.ServeHTTP(httptest.NewRecorder(), again)
			if name != short {
				z.digests[name] = reference
				w.Header().Add("OCI-Tag", name)
			}
		}
		w.Header().Set("Docker-Content-Digest", reference)
		w.WriteHeader(http.StatusCreated)
	})
}
