package registry_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry"
)

func (p *place) collect(o registry.CollectOptions) registry.Collected {
	p.t.Helper()
	p.close()
	defer p.open()
	if o.Keep == 0 {
		o.Keep = -1
	}
	sum, err := registry.Collect(p.t.Context(), p.o.Dir, o)
	if err != nil {
		p.t.Fatal(err)
	}
	return sum
}

// list pushes an index of children. If reference is "", it pushes by digest.
func (p *place) list(repo, reference string, children ...v1.Descriptor) v1.Descriptor {
	p.t.Helper()
	idx := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: children}
	idx.SchemaVersion = 2
	d, r := p.put(repo, reference, idx.MediaType, idx)
	r.want(201)
	return d
}

// layered pushes an image with a layer that no other image has.
func (p *place) layered(repo, reference, mark string, subject *v1.Descriptor) (manifest, layer v1.Descriptor) {
	p.t.Helper()
	m := p.image(repo, mark)
	layer = p.blob(repo, []byte("layer of "+mark))
	m.Layers, m.Subject = []v1.Descriptor{layer}, subject
	manifest, r := p.put(repo, reference, m.MediaType, m)
	r.want(201)
	return manifest, layer
}

func (p *place) there(repo string, kind string, ds ...v1.Descriptor) {
	p.t.Helper()
	for _, d := range ds {
		p.do("GET", "/v2/"+repo+"/"+kind+"/"+d.Digest.String(), nil).want(200)
	}
}

func (p *place) gone(repo string, kind string, ds ...v1.Descriptor) {
	p.t.Helper()
	for _, d := range ds {
		p.do("GET", "/v2/"+repo+"/"+kind+"/"+d.Digest.String(), nil).want(404)
	}
}

func TestCollectKeepsWhatATagLeadsToByIndexAndBySubject(t *testing.T) {
	p := start(t, registry.Options{})
	child, childLayer := p.layered("app", "", "child", nil)
	inner := p.list("app", "", child)
	outer := p.list("app", "v1", inner)
	sbom, sbomLayer := p.layered("app", "", "sbom", &child)               // referrer of a child, untagged
	signature, signatureLayer := p.layered("app", "", "signature", &sbom) // referrer of a referrer
	onIndex, _ := p.layered("app", "", "attestation", &outer)

	loose, looseLayer := p.layered("app", "", "loose", nil)
	lone, loneLayer := p.layered("app", "", "sbom of loose", &loose)
	unused := p.blob("app", []byte("a blob that no manifest needs"))
	shared := p.blob("other", []byte("layer of child")) // not needed in other, but needed in app

	all := p.collect(registry.CollectOptions{})
	if all.Removed.Manifests != 0 || all.Kept.Manifests != 8 || all.Removed.Blobs != 1 || all.Removed.Links != 2 {
		t.Errorf("without untagged: %+v", all)
	}
	p.gone("app", "blobs", unused)
	p.gone("other", "blobs", shared)
	p.there("app", "manifests", loose, lone)

	look := p.collect(registry.CollectOptions{Untagged: true, DryRun: true})
	p.there("app", "manifests", loose, lone)
	did := p.collect(registry.CollectOptions{Untagged: true})
	if look.DryRun = false; look != did {
		t.Errorf("the dry run reported %+v, but Collect reported %+v", look, did)
	}
	if did.Removed.Manifests != 2 || did.Removed.Blobs != 4 || did.Kept.Manifests != 6 {
		t.Errorf("%+v", did)
	}
	p.there("app", "manifests", outer, inner, child, sbom, signature, onIndex)
	p.there("app", "blobs", childLayer, sbomLayer, signatureLayer)
	p.gone("app", "manifests", loose, lone)
	p.gone("app", "blobs", looseLayer, loneLayer)
	if got := p.referrers("app", child.Digest, ""); len(got) != 1 || got[0].Digest != sbom.Digest {
		t.Error(got)
	}
	if again := p.collect(registry.CollectOptions{Untagged: true}); again.Removed.Manifests+again.Removed.Blobs+again.Removed.Links != 0 || again.Kept != did.Kept {
		t.Errorf("the second run reported %+v", again)
	}
	// Content that was removed can be pushed again.
	p.layered("app", "v2", "loose", nil)
}

func TestCollectFollowsATagWhereItPointsNow(t *testing.T) {
	p := start(t, registry.Options{})
	old, _ := p.layered("app", "v1", "old", nil)
	now, _ := p.layered("app", "v1", "new", nil)
	p.collect(registry.CollectOptions{Untagged: true})
	p.gone("app", "manifests", old)
	p.there("app", "manifests", now)
	p.do("DELETE", "/v2/app/manifests/v1", nil).want(202)
	p.collect(registry.CollectOptions{Untagged: true})
	p.gone("app", "manifests", now)
}

func TestCollectSparesWhatIsYoung(t *testing.T) {
	p := start(t, registry.Options{})
	m, _ := p.layered("app", "", "young", nil)
	b := p.blob("app", []byte("its manifest is on the way"))
	if sum := p.collect(registry.CollectOptions{Untagged: true, Keep: time.Hour}); sum.Removed != (registry.Collected{}).Removed {
		t.Errorf("%+v", sum)
	}
	p.there("app", "manifests", m)
	p.there("app", "blobs", b)
}

func TestCollectRefusesWhileTheDirectoryIsServed(t *testing.T) {
	p := start(t, registry.Options{})
	b := p.blob("app", []byte("x"))
	if _, err := registry.Collect(t.Context(), p.o.Dir, registry.CollectOptions{Keep: -1}); !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
	p.there("app", "blobs", b)
}

func TestCollectRemovesNothingWhereAManifestIsDamaged(t *testing.T) {
	p := start(t, registry.Options{})
	m, _ := p.layered("app", "v1", "damaged", nil)
	b := p.blob("app", []byte("unused"))
	file := filepath.Join(p.o.Dir, "storage/docker/registry/v2/blobs/sha256", m.Digest.Encoded()[:2], m.Digest.Encoded(), "data")
	raw, _ := json.Marshal(map[string]int{"schemaVersion": 2})
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	p.close()
	_, err := registry.Collect(t.Context(), p.o.Dir, registry.CollectOptions{Keep: -1})
	p.open()
	if !fault.Is(err, fault.Corrupt) {
		t.Error(err)
	}
	p.there("app", "blobs", b)
}

// A push with sha512 leaves two links to one blob. distribution's own garbage collection fails on them.
func TestCollectTakesBlobsOfOtherAlgorithms(t *testing.T) {
	p := start(t, registry.Options{})
	content := []byte("named by sha512")
	at := p.do("POST", "/v2/app/blobs/uploads/", nil).want(202).Header.Get("Location")
	p.do("PUT", to(at, digest.SHA512.FromBytes(content)), content).want(201)
	if sum := p.collect(registry.CollectOptions{}); sum.Removed.Blobs != 1 || sum.Removed.Links != 2 {
		t.Errorf("%+v", sum)
	}
}

func TestCollectOfAnEmptyRegistryDoesNothing(t *testing.T) {
	if sum, err := registry.Collect(t.Context(), t.TempDir(), registry.CollectOptions{Untagged: true}); err != nil || sum != (registry.Collected{}) {
		t.Errorf("%+v %v", sum, err)
	}
}
