package registry_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/internal/registry"
)

// referrers reads every page of referrers.
func (p *place) referrers(repo string, subject digest.Digest, query string) []v1.Descriptor {
	p.t.Helper()
	var all []v1.Descriptor
	for next := "/v2/" + repo + "/referrers/" + subject.String() + query; next != ""; {
		r := p.do("GET", next, nil).want(200).header("Content-Type", v1.MediaTypeImageIndex)
		var idx v1.Index
		if err := json.Unmarshal(r.body, &idx); err != nil {
			p.t.Fatal(err)
		}
		if idx.SchemaVersion != 2 || idx.MediaType != v1.MediaTypeImageIndex || idx.Manifests == nil {
			p.t.Fatalf("not an image index: %s", r.body)
		}
		all = append(all, idx.Manifests...)
		next, _, _ = strings.Cut(strings.TrimPrefix(r.Header.Get("Link"), "<"), ">")
	}
	return all
}

// refer pushes an image with a subject by digest.
func (p *place) refer(repo, mark string, subject v1.Descriptor) v1.Descriptor {
	p.t.Helper()
	m := p.image(repo, mark)
	m.Subject = &subject
	d, r := p.put(repo, "", m.MediaType, m)
	r.want(201).header("OCI-Subject", subject.Digest.String())
	return d
}

func TestAReferrerIsListedFromItsPushToItsDeletion(t *testing.T) {
	p := start(t, registry.Options{})
	subject := p.push("app", "v1", "subject")
	if got := p.referrers("app", subject.Digest, ""); len(got) != 0 {
		t.Fatal(got)
	}
	d := p.refer("app", "one", subject)
	check := func() {
		t.Helper()
		got := p.referrers("app", subject.Digest, "")
		if len(got) != 1 || got[0].Digest != d.Digest || got[0].Size != d.Size || got[0].MediaType != d.MediaType ||
			got[0].ArtifactType != v1.MediaTypeImageConfig || got[0].Annotations["mark"] != "one" {
			t.Fatalf("%+v", got)
		}
	}
	check()
	if got := p.referrers("other", subject.Digest, ""); len(got) != 0 {
		t.Fatal("another repository lists the referrer", got)
	}
	p.reopen()
	check()
	p.refer("app", "one", subject) // pushed again: no second entry
	check()
	p.do("DELETE", "/v2/app/manifests/"+subject.Digest.String(), nil).want(202)
	check() // the subject may be deleted and pushed again
	p.do("DELETE", "/v2/app/manifests/"+d.Digest.String(), nil).want(202)
	if got := p.referrers("app", subject.Digest, ""); len(got) != 0 {
		t.Fatal(got)
	}
	if left := links(t, p.o.Dir); len(left) > 0 {
		t.Fatal("links are left behind", left)
	}
	p.refer("app", "one", subject)
	check()
}

func links(t *testing.T, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if strings.Contains(path, "_referrers") && filepath.Base(path) == "link" {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAReferrerMayComeBeforeItsSubject(t *testing.T) {
	p := start(t, registry.Options{})
	m := p.image("app", "subject")
	raw, _ := json.Marshal(m)
	subject := v1.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	d := p.refer("app", "early", subject)
	p.put("app", "v1", m.MediaType, m)
	if got := p.referrers("app", subject.Digest, ""); len(got) != 1 || got[0].Digest != d.Digest {
		t.Fatal(got)
	}
	// An index can have a subject too, with a digest of any algorithm.
	idx := v1.Index{MediaType: v1.MediaTypeImageIndex, ArtifactType: "application/x.index", Manifests: []v1.Descriptor{}}
	idx.SchemaVersion = 2
	idx.Subject = &v1.Descriptor{MediaType: m.MediaType, Digest: digest.SHA512.FromString("x"), Size: 1}
	_, r := p.put("app", "", idx.MediaType, idx)
	r.want(201)
	if got := p.referrers("app", idx.Subject.Digest, ""); len(got) != 1 || got[0].ArtifactType != "application/x.index" {
		t.Fatal(got)
	}
}

func TestReferrersAreFilteredByArtifactType(t *testing.T) {
	p := start(t, registry.Options{})
	subject := p.push("app", "v1", "subject")
	p.refer("app", "by config type", subject)
	m := p.image("app", "sbom")
	m.ArtifactType, m.Subject = "application/spdx+json", &subject
	sbom, r := p.put("app", "", m.MediaType, m)
	r.want(201)

	path := "/v2/app/referrers/" + subject.Digest.String()
	p.do("GET", path, nil).want(200).header("OCI-Filters-Applied", "")
	p.do("GET", path+"?artifactType=x", nil).want(200).header("OCI-Filters-Applied", "artifactType")
	got := p.referrers("app", subject.Digest, "?artifactType=application%2Fspdx%2Bjson")
	if len(got) != 1 || got[0].Digest != sbom.Digest || got[0].ArtifactType != "application/spdx+json" {
		t.Fatal(got)
	}
	if got := p.referrers("app", subject.Digest, "?artifactType="+v1.MediaTypeImageConfig[:20]); len(got) != 0 {
		t.Fatal("a prefix of the artifact type matches", got)
	}
}

func TestManyReferrersComeInPages(t *testing.T) {
	p := start(t, registry.Options{ReferrersPage: 3})
	subject := p.push("app", "v1", "subject")
	var want []string
	for i := range 7 {
		want = append(want, p.refer("app", strconv.Itoa(i), subject).Digest.String())
	}
	// Three large referrers: fewer than a page by number, but more than a page by bytes.
	for i := range 3 {
		m := p.image("app", strings.Repeat("x", 1<<20)+strconv.Itoa(i))
		m.Subject, m.ArtifactType = &subject, "application/fat"
		d, r := p.put("app", "", m.MediaType, m)
		r.want(201)
		want = append(want, d.Digest.String())
	}
	slices.Sort(want)
	var got []string
	for _, d := range p.referrers("app", subject.Digest, "") {
		got = append(got, d.Digest.String())
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got %d, want %d in order", len(got), len(want))
	}
	first := p.do("GET", "/v2/app/referrers/"+subject.Digest.String()+"?artifactType=application/fat", nil).want(200)
	if len(first.body) > 4<<20 || !strings.Contains(first.Header.Get("Link"), "artifactType=application%2Ffat") {
		t.Fatal(len(first.body), first.Header)
	}
	if got := p.referrers("app", subject.Digest, "?artifactType=application/fat"); len(got) != 3 {
		t.Fatal(len(got))
	}
}

func TestReferrersRefuseWhatIsNoQuestion(t *testing.T) {
	p := start(t, registry.Options{})
	for _, bad := range []string{"v1", "sha256:abc", "sha256:" + strings.Repeat("G", 64), "md5:" + strings.Repeat("a", 32)} {
		if r := p.do("GET", "/v2/app/referrers/"+bad, nil).want(400); !strings.Contains(string(r.body), "DIGEST_INVALID") {
			t.Errorf("%s: %s", bad, r.body)
		}
	}
	p.do("DELETE", "/v2/app/referrers/"+digest.FromString("x").String(), nil).want(405)
	p.do("HEAD", "/v2/app/referrers/"+digest.FromString("x").String(), nil).want(200)

	m := p.image("app", "bad subject")
	m.Subject = &v1.Descriptor{MediaType: m.MediaType, Digest: "sha256:../../../../etc", Size: 1}
	_, r := p.put("app", "v1", m.MediaType, m)
	r.want(400)
}

func TestARefusedManifestLeavesNoReferrer(t *testing.T) {
	p := start(t, registry.Options{})
	subject := p.push("app", "v1", "subject")
	m := p.image("app", "broken")
	m.Subject = &subject
	m.Layers = []v1.Descriptor{{MediaType: v1.MediaTypeImageLayer, Digest: digest.FromString("absent"), Size: 6}}
	_, r := p.put("app", "", m.MediaType, m)
	r.want(400).header("OCI-Subject", "")
	if left := links(t, p.o.Dir); len(left) > 0 {
		t.Fatal(left)
	}
}

func TestReferrersOfAStorageWithoutAnIndexAreFound(t *testing.T) {
	p := start(t, registry.Options{})
	subject := p.push("team/app", "v1", "subject")
	d := p.refer("team/app", "one", subject)
	p.srv.Close()
	if err := p.reg.Close(); err != nil {
		t.Fatal(err)
	}
	for _, link := range links(t, p.o.Dir) {
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(p.o.Dir, "referrers-indexed")); err != nil {
		t.Fatal(err)
	}
	p.open()
	if got := p.referrers("team/app", subject.Digest, ""); len(got) != 1 || got[0].Digest != d.Digest {
		t.Fatal(got)
	}
}

func TestALinkWithoutItsManifestIsNotListed(t *testing.T) {
	// The state after kill -9 between the writing of the link and of the manifest.
	p := start(t, registry.Options{})
	subject := p.push("app", "v1", "subject")
	d := p.refer("app", "one", subject)
	revision := filepath.Join(p.o.Dir, "storage/docker/registry/v2/repositories/app/_manifests/revisions/sha256", d.Digest.Encoded(), "link")
	if err := os.Remove(revision); err != nil {
		t.Fatal(err)
	}
	if got := p.referrers("app", subject.Digest, ""); len(got) != 0 {
		t.Fatal(got)
	}
	p.refer("app", "one", subject)
	if got := p.referrers("app", subject.Digest, ""); len(got) != 1 {
		t.Fatal(got)
	}
}
