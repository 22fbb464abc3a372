package oci

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
)

const (
	hexA   = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hexB   = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	config = `"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + hexA + `","size":2}`
	layerB = `{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"` + hexB + `","size":3}`
)

func TestParseReadsChildrenInOrderAndEachOnce(t *testing.T) {
	raw := []byte(`{"schemaVersion":2,"mediaType":"` + TypeManifest + `",` + config + `,"layers":[` + layerB + `,` + layerB + `],"unknown":{"x":1},
		"subject":{"mediaType":"` + TypeManifest + `","digest":"` + hexA + `","size":9}}`)
	doc, err := Parse(Descriptor{}, raw)
	if err != nil {
		t.Fatal(err)
	}
	if doc.Digest != Sum(raw) || doc.Size != int64(len(raw)) || doc.MediaType != TypeManifest || !bytes.Equal(doc.Raw, raw) {
		t.Errorf("descriptor %+v", doc.Descriptor)
	}
	if len(doc.Blobs) != 2 || doc.Blobs[0].Digest != hexA || doc.Config.Digest != hexA || doc.Subject.Size != 9 || doc.IsIndex() {
		t.Errorf("blobs %v, config %v, subject %v", doc.Blobs, doc.Config, doc.Subject)
	}
}

func TestParseTellsTheTypeFromWhatIsAnnouncedSaidAndThere(t *testing.T) {
	index := `{"manifests":[]}`
	typed := `{"mediaType":"` + TypeDockerList + `","manifests":[]}`
	for _, tt := range []struct{ announced, raw, want string }{
		{"", index, TypeIndex},                                              // F-45
		{"text/plain; charset=utf-8", index, TypeIndex},                     // F-46
		{"application/octet-stream", typed, TypeDockerList},                 // F-46
		{TypeDockerList, index, TypeDockerList},                             // F-45
		{"application/x.unknown+json", index, "application/x.unknown+json"}, // F-50
		{"", `{` + config + `}`, TypeManifest},
		{TypeArtifact, `{"mediaType":"` + TypeArtifact + `","blobs":[` + layerB + `]}`, TypeArtifact},
	} {
		doc, err := Parse(Descriptor{MediaType: tt.announced}, []byte(tt.raw))
		if err != nil || doc.MediaType != tt.want {
			t.Errorf("%q %s: %q, %v; want %q", tt.announced, tt.raw, doc.MediaType, err, tt.want)
		}
	}
}

// The digest of a signed manifest of schema 1 is not that of the bytes that are served.
func TestF49Schema1IsRefusedWhateverItsDigestIs(t *testing.T) {
	raw := []byte(`{"schemaVersion":1,"fsLayers":[],"history":[],"signatures":[]}`)
	for announced, raw := range map[string][]byte{
		"":                 raw,
		"application/json": raw,
		"application/vnd.docker.distribution.manifest.v1+prettyjws": raw,
		"application/vnd.docker.distribution.manifest.v1+json":      []byte("{}"),
		"text/plain": []byte(`{"schemaVersion": 1, "history": []}`),
	} {
		_, err := Parse(Descriptor{MediaType: announced, Digest: hexA}, raw)
		if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "schema 1 of 2014") {
			t.Errorf("%q: %v", announced, err)
		}
	}
	if _, err := Parse(Descriptor{Digest: hexA}, []byte(`{"schemaVersion":2}`)); !fault.Is(err, fault.Corrupt) {
		t.Errorf("%v", err)
	}
}

func TestParseRefusesWhatTwoReadersCouldUnderstandDifferently(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 70) + `1` + strings.Repeat(`}`, 70)
	for name, raw := range map[string]string{
		"F-43 layers and manifests (CVE-2021-41190)": `{` + config + `,"layers":[],"manifests":[]}`,
		"F-43 an index that says it is a manifest":   `{"mediaType":"` + TypeManifest + `","manifests":[]}`,
		"F-43 a manifest that says it is an index":   `{"mediaType":"` + TypeIndex + `",` + config + `,"layers":[]}`,
		"F-49 schema 1":                           `{"schemaVersion":1,"fsLayers":[],"history":[]}`,
		"F-51 a key twice":                        `{"manifests":[],"manifests":[]}`,
		"F-51 a key in another case":              `{"Manifests":[]}`,
		"F-51 a descriptor's key in another case": `{"manifests":[{"mediaType":"x","digest":"` + hexA + `","Size":1,"size":2}]}`,
		"F-51 text after the document":            `{"manifests":[]} {}`,
		"F-51 too deep":                           `{"manifests":[],"annotations":` + deep + `}`,
		"F-51 a negative size":                    `{"manifests":[{"mediaType":"x","digest":"` + hexA + `","size":-1}]}`,
		"F-51 a size that not all read alike":     `{"manifests":[{"mediaType":"x","digest":"` + hexA + `","size":9007199254740993}]}`,
		"F-51 a size that is no whole number":     `{"manifests":[{"mediaType":"x","digest":"` + hexA + `","size":1.5}]}`,
		"F-53 data of another digest":             `{"manifests":[{"mediaType":"x","digest":"` + hexA + `","size":1,"data":"YQ=="}]}`,
		"F-55 one digest with two sizes":          `{` + config + `,"layers":[` + layerB + `,{"mediaType":"x","digest":"` + hexB + `","size":4}]}`,
		"F-60 a digest that is a path":            `{"manifests":[{"mediaType":"x","digest":"sha256:../../../../v2/other/blobs/x","size":1}]}`,
		"F-60 upper-case hex":                     `{"manifests":[{"mediaType":"x","digest":"` + strings.ToUpper(hexA) + `","size":1}]}`,
		"no size":                                 `{"manifests":[{"mediaType":"x","digest":"` + hexA + `"}]}`,
		"a manifest without a config":             `{"mediaType":"` + TypeManifest + `","layers":[]}`,
		"not an object":                           `[]`,
		"not JSON":                                `{"manifests":[`,
		"empty":                                   ``,
	} {
		if doc, err := Parse(Descriptor{}, []byte(raw)); !fault.Is(err, fault.Refused) {
			t.Errorf("%s: got %+v, %v", name, doc.Descriptor, err)
		}
	}
}

func TestParseHoldsBytesAgainstTheirDescriptor(t *testing.T) {
	raw := []byte(`{"manifests":[]}`)
	good := Descriptor{MediaType: TypeIndex, Digest: Sum(raw), Size: int64(len(raw))}
	if _, err := Parse(good, raw); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*Descriptor)
		want   fault.Kind
	}{
		"another digest":     {func(d *Descriptor) { d.Digest = hexA }, fault.Corrupt},
		"another size":       {func(d *Descriptor) { d.Size++ }, fault.Corrupt},
		"an unknown digest":  {func(d *Descriptor) { d.Digest = "md5:00" }, fault.Refused},
		"another media type": {func(d *Descriptor) { d.MediaType = TypeManifest }, fault.Refused},
	} {
		d := good
		tt.change(&d)
		if d.MediaType == TypeManifest {
			raw = []byte(`{"mediaType":"` + TypeIndex + `","manifests":[]}`)
			d.Digest, d.Size = "", 0
		}
		if _, err := Parse(d, raw); !fault.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Parse(Descriptor{}, make([]byte, MaxDocument+1)); !fault.Is(err, fault.TooLarge) {
		t.Errorf("F-48: %v", err)
	}
}

func TestForeignLayersAndCachedLayersAreToldApart(t *testing.T) {
	foreign := `{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"` + hexB + `","size":3,"urls":["https://x"]}`
	doc, err := Parse(Descriptor{}, []byte(`{`+config+`,"layers":[`+foreign+`]}`))
	if err != nil || len(doc.Foreign) != 1 || len(doc.Blobs) != 1 {
		t.Errorf("%+v, %v", doc, err)
	}
	// Without URLs nobody else has it.
	kept, err := Parse(Descriptor{}, []byte(`{`+config+`,"layers":[`+strings.Replace(foreign, `,"urls":["https://x"]`, "", 1)+`]}`))
	if err != nil || len(kept.Foreign) != 0 || len(kept.Blobs) != 2 {
		t.Errorf("without URLs: %+v %v", kept, err)
	}
	cache := `{"mediaType":"` + TypeIndex + `","manifests":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"` + hexB + `","size":3},
		{"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"` + hexA + `","size":2}]}`
	doc, err = Parse(Descriptor{}, []byte(cache))
	if err != nil || len(doc.Documents) != 0 || len(doc.Blobs) != 2 || !doc.IsIndex() {
		t.Errorf("a build cache: %+v, %v", doc, err)
	}
}

func TestPlatformsReadAsPeopleWriteThem(t *testing.T) {
	for want, p := range map[string]*Platform{
		"":                              nil,
		"linux/amd64":                   {OS: "linux", Architecture: "amd64"},
		"linux/arm/v7":                  {OS: "linux", Architecture: "arm", Variant: "v7"},
		"windows/amd64:10.0.17763.1999": {OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.1999"},
	} {
		if got := PlatformString(p); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// If Parse accepts a document, its bytes are unchanged and the digest of every child is safe in a path.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"` + TypeManifest + `",` + config + `,"layers":[` + layerB + `]}`))
	f.Add([]byte(`{"manifests":[` + layerB + `],"subject":null,"annotations":{"a":"b"}}`))
	f.Add([]byte(fmt.Sprintf(`{"mediaType":%q,"blobs":[]}`, TypeArtifact)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := Parse(Descriptor{}, raw)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Refused && k != fault.TooLarge {
				t.Fatalf("kind %s: %v", k, err)
			}
			return
		}
		if !bytes.Equal(doc.Raw, raw) || !json.Valid(raw) {
			t.Fatal("the document was accepted, but Raw differs from the input or is not JSON")
		}
		for _, d := range append(append(doc.Blobs, doc.Documents...), doc.Foreign...) {
			if strings.ContainsAny(string(d.Digest), "/.\\ ") || d.Size < 0 {
				t.Fatalf("descriptor %+v", d)
			}
		}
		if again, err := Parse(doc.Descriptor, raw); err != nil || again.MediaType != doc.MediaType {
			t.Fatalf("Parse does not read the accepted document again: %v", err)
		}
	})
}
