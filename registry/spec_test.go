package registry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/registry"
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
					header("Content-Length", fmt.Sprint(manifest.Size))
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
		{"end-8: tags in order, with n and last", func() {
			r := p.do("GET", "/v2/app/tags/list", nil).want(200)
			var list struct{ Tags []string }
			if json.Unmarshal(r.body, &list); strings.Join(list.Tags, " ") != "v1 v2" {
				t.Errorf("%s", r.body)
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
			p.blob("app", content) // and may come back
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
