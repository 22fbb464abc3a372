package registry_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/internal/registry"
)

// TestTheClausesOfTheDistributionSpecHold has one row per clause of
// distribution-spec v1.1.1 that the package claims.
func TestTheClausesOfTheDistributionSpecHold(t *testing.T) {
	p := start(t, registry.Options{})
	content := []byte("0123456789")
	unknown := digest.FromString("unknown").String()
	blob := p.blob("app", content)
	manifest := p.push("app", "v1", "spec")
	upload := func() string {
		return p.do("POST", "/v2/app/blobs/uploads/", nil).want(202).Header.Get("Location")
	}
	for _, c := range []struct {
		clause string
		check  func()
	}{
		{"end-1: the API answers at /v2/", func() { p.do("GET", "/v2/", nil).want(200) }},
		{"end-2: a blob comes with its digest", func() {
			r := p.do("GET", "/v2/app/blobs/"+blob.Digest.String(), nil).want(200).header("Docker-Content-Digest", blob.Digest.String())
			if !bytes.Equal(r.body, content) {
				t.Errorf("%q", r.body)
			}
		}},
		{"end-2: HEAD of a blob tells its size", func() {
			p.do("HEAD", "/v2/app/blobs/"+blob.Digest.String(), nil).want(200).header("Content-Length", "10")
		}},
		{"end-2: a blob is served in ranges", func() {
			at := "/v2/app/blobs/" + blob.Digest.String()
			if r := p.do("GET", at, nil, "Range: bytes=3-").want(206).header("Content-Range", "bytes 3-9/10"); string(r.body) != "3456789" {
				t.Errorf("%q", r.body)
			}
			p.do("GET", at, nil, "Range: bytes=10-").want(416)
		}},
		{"end-2: an unknown blob is 404", func() {
			p.do("GET", "/v2/app/blobs/"+unknown, nil).want(404)
			p.do("GET", "/v2/other/blobs/"+blob.Digest.String(), nil).want(404)
		}},
		{"end-3: a manifest comes by tag and by digest with its type", func() {
			for _, ref := range []string{"v1", manifest.Digest.String()} {
				p.do("GET", "/v2/app/manifests/"+ref, nil, "Accept: "+manifest.MediaType).want(200).
					header("Content-Type", manifest.MediaType).header("Docker-Content-Digest", manifest.Digest.String())
				p.do("HEAD", "/v2/app/manifests/"+ref, nil, "Accept: "+manifest.MediaType).want(200).
					header("Content-Length", strconv.FormatInt(manifest.Size, 10))
			}
		}},
		{"end-3: an unknown manifest is 404", func() {
			p.do("GET", "/v2/app/manifests/none", nil).want(404)
			p.do("HEAD", "/v2/app/manifests/"+unknown, nil).want(404)
		}},
		{"end-4b, end-6: POST and one PUT", func() { p.blob("app", []byte("monolithic")) }},
		{"end-6: bytes of another digest are refused", func() {
			p.do("PUT", to(upload(), digest.FromString("other")), content).want(400)
		}},
		{"end-5: chunks in order, a gap is 416, the session goes on", func() {
			at := upload()
			at = p.do("PATCH", at, content[:4], "Content-Range: 0-3").want(202).header("Range", "0-3").Header.Get("Location")
			p.do("PATCH", at, content[6:], "Content-Range: 6-9").want(416)
			at = p.do("GET", at, nil).want(204).header("Range", "0-3").Header.Get("Location")
			at = p.do("PATCH", at, content[4:], "Content-Range: 4-9").want(202).header("Range", "0-9").Header.Get("Location")
			p.do("PUT", to(at, blob.Digest), nil).want(201)
		}},
		{"end-4a: POST alone opens a session with a place to go on", func() {
			r := p.do("POST", "/v2/app/blobs/uploads/", nil).want(202)
			if !strings.HasPrefix(r.Header.Get("Location"), "/v2/app/blobs/uploads/") {
				t.Error(r.Header)
			}
		}},
		{"end-4b: POST with the digest and the bytes is 201, or 202 and a session that takes them", func() {
			b := []byte("in one request")
			r := p.do("POST", "/v2/app/blobs/uploads/?digest="+digest.FromBytes(b).String(), b)
			if r.StatusCode == 202 {
				p.do("PUT", to(r.Header.Get("Location"), digest.FromBytes(b)), b).want(201)
			} else {
				r.want(201)
			}
		}},
		{"end-5, end-6: a stream without Content-Range, and a last chunk with the PUT", func() {
			at := p.do("PATCH", upload(), content[:4]).want(202).Header.Get("Location")
			p.do("PUT", to(at, digest.FromBytes(content)), content[4:], "Content-Range: 4-9").want(201).header("Docker-Content-Digest", blob.Digest.String())
		}},
		{"end-6: a blob of no bytes", func() {
			d := digest.FromBytes(nil)
			p.do("PUT", to(upload(), d), nil).want(201)
			p.do("GET", "/v2/app/blobs/"+d.String(), nil).want(200).header("Content-Length", "0")
		}},
		{"end-13: the state of an upload, and of one that is not there", func() {
			at := p.do("PATCH", upload(), content[:7]).want(202).Header.Get("Location")
			p.do("GET", at, nil).want(204).header("Range", "0-6")
			p.do("DELETE", at, nil).want(204)
			p.do("GET", at, nil).want(404)
		}},
		{"end-11: a known blob is mounted", func() {
			p.do("POST", "/v2/mounted/blobs/uploads/?mount="+blob.Digest.String()+"&from=app", nil).want(201)
			p.do("HEAD", "/v2/mounted/blobs/"+blob.Digest.String(), nil).want(200)
		}},
		{"end-11: an unknown one opens a session", func() {
			p.do("POST", "/v2/mounted/blobs/uploads/?mount="+unknown+"&from=app", nil).want(202)
		}},
		{"end-7: a manifest is put with its digest in the answer", func() {
			d, r := p.put("app", "v2", manifest.MediaType, p.image("app", "second"))
			r.want(201).header("Docker-Content-Digest", d.Digest.String()).header("OCI-Subject", "")
			if !strings.HasPrefix(r.Header.Get("Location"), "/v2/app/manifests/sha256:") {
				t.Error(r.Header)
			}
		}},
		{"end-7: a manifest of another digest is refused", func() {
			_, r := p.put("app", unknown, manifest.MediaType, p.image("app", "second"))
			r.want(400)
		}},
		{"end-7: a manifest that lacks a blob is refused, and its tag is not set", func() {
			m := p.image("app", "lacks")
			m.Layers = []v1.Descriptor{{MediaType: v1.MediaTypeImageLayer, Digest: digest.Digest(unknown), Size: 7}}
			_, r := p.put("app", "lacks", m.MediaType, m)
			if r.want(400); !bytes.Contains(r.body, []byte("MANIFEST_BLOB_UNKNOWN")) {
				t.Errorf("%s", r.body)
			}
			p.do("GET", "/v2/app/manifests/lacks", nil).want(404)
		}},
		{"end-7: one of 4 MiB is taken, a larger one is not", func() {
			for size, status := range map[int]int{4<<20 - 2000: 201, 4<<20 + 1: 413} {
				m := p.image("large", "x")
				m.Annotations["fill"] = strings.Repeat("x", size)
				_, r := p.put("large", "v1", m.MediaType, m)
				r.want(status)
			}
		}},
		{"end-7: what is no manifest is refused", func() {
			for _, doc := range []any{"text", map[string]int{"schemaVersion": 1}, []int{}} {
				if _, r := p.put("app", "bad", v1.MediaTypeImageManifest, doc); r.StatusCode != 400 {
					t.Errorf("%v: %d %s", doc, r.StatusCode, r.body)
				}
			}
		}},
		{"end-7: an artifact, an index, a nested one, and one with a subject that is not there", func() {
			m := p.image("kinds", "artifact")
			m.ArtifactType, m.Config.MediaType = "application/vnd.example", v1.MediaTypeEmptyJSON
			artifact, r := p.put("kinds", "artifact", m.MediaType, m)
			r.want(201)
			inner := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{artifact}}
			inner.SchemaVersion = 2
			first, r := p.put("kinds", "index", inner.MediaType, inner)
			r.want(201)
			inner.Manifests = []v1.Descriptor{first}
			inner.Subject = &v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.Digest(unknown), Size: 7}
			_, r = p.put("kinds", "nested", inner.MediaType, inner)
			r.want(201).header("OCI-Subject", unknown)
			if got := p.referrers("kinds", digest.Digest(unknown), ""); len(got) != 1 {
				t.Error(got)
			}
		}},
		{"end-8: tags in order, with n and last", func() {
			r := p.do("GET", "/v2/app/tags/list", nil).want(200)
			var list struct{ Tags []string }
			if json.Unmarshal(r.body, &list); strings.Join(list.Tags, " ") != "v1 v2" {
				t.Errorf("%s", r.body)
			}
			r = p.do("GET", "/v2/app/tags/list?n=1", nil).want(200)
			if json.Unmarshal(r.body, &list); strings.Join(list.Tags, " ") != "v1" || !strings.Contains(r.Header.Get("Link"), `rel="next"`) {
				t.Errorf("%s %v", r.body, r.Header)
			}
			r = p.do("GET", "/v2/app/tags/list?n=5&last=v1", nil).want(200).header("Link", "")
			if json.Unmarshal(r.body, &list); strings.Join(list.Tags, " ") != "v2" {
				t.Errorf("%s", r.body)
			}
			if r = p.do("GET", "/v2/app/tags/list?n=0", nil); r.StatusCode != 200 && r.StatusCode != 400 {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
			p.do("GET", "/v2/none/tags/list", nil).want(404)
		}},
		{"end-12: no referrers is an empty index, never 404", func() {
			if got := p.referrers("none", digest.FromString("unknown"), ""); len(got) != 0 {
				t.Error(got)
			}
		}},
		{"end-9: a deleted tag leaves the manifest", func() {
			p.do("DELETE", "/v2/app/manifests/v2", nil).want(202)
			p.do("GET", "/v2/app/manifests/v2", nil).want(404)
			p.do("GET", "/v2/app/manifests/"+manifest.Digest.String(), nil).want(200)
			p.do("DELETE", "/v2/app/manifests/v2", nil).want(404)
		}},
		{"end-9: a deleted manifest takes its tags with it", func() {
			p.do("DELETE", "/v2/app/manifests/"+manifest.Digest.String(), nil).want(202)
			p.do("GET", "/v2/app/manifests/v1", nil).want(404)
			p.do("DELETE", "/v2/app/manifests/"+manifest.Digest.String(), nil).want(404)
		}},
		{"end-10: a deleted blob is gone from its repository alone", func() {
			p.do("DELETE", "/v2/app/blobs/"+blob.Digest.String(), nil).want(202)
			p.do("GET", "/v2/app/blobs/"+blob.Digest.String(), nil).want(404)
			p.do("GET", "/v2/mounted/blobs/"+blob.Digest.String(), nil).want(200)
			p.do("DELETE", "/v2/app/blobs/"+blob.Digest.String(), nil).want(404)
			p.blob("app", content) // a deleted blob can be pushed again
		}},
		{"names: a bad one is refused", func() {
			if r := p.do("GET", "/v2/UPPER/manifests/v1", nil); r.StatusCode != 400 && r.StatusCode != 404 {
				t.Error(r.StatusCode)
			}
		}},
	} {
		t.Log(c.clause)
		c.check()
	}
}

func TestSkopeoCopiesInAndOut(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("skopeo is not installed: apt-get install skopeo")
	}
	p := start(t, registry.Options{})
	idx, err := random.Index(5000, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	in, err := name.ParseReference(p.host() + "/in:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(in, idx); err != nil {
		t.Fatal(err)
	}
	layout := "oci:" + filepath.Join(t.TempDir(), "layout") + ":v1"
	skopeo := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "skopeo", append([]string{"--insecure-policy"}, args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("skopeo %v: %v\n%s", args, err, stderr.String())
		}
		return string(out)
	}
	skopeo("copy", "--all", "--preserve-digests", "--src-tls-verify=false", "docker://"+p.host()+"/in:v1", layout)
	skopeo("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", layout, "docker://"+p.host()+"/out:v1")
	raw := skopeo("inspect", "--raw", "--tls-verify=false", "docker://"+p.host()+"/out:v1")
	if got, want := digest.FromString(raw).String(), mustDigest(t, idx).String(); got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	var v v1.Index
	if err := json.Unmarshal([]byte(raw), &v); err != nil || len(v.Manifests) != 2 {
		t.Fatal(err, raw)
	}
}
