package remote_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

// document returns a manifest whose blobs are in app.
func (b *bench) document() oci.Document {
	b.Helper()
	img := testbed.Random(b, b.r, "app", "", testbed.RandomOptions{})
	doc, err := b.repo.Document(b.Context(), img.Digest())
	must(b, err)
	b.r.Reset()
	return doc
}

// another puts another manifest under a tag.
func (b *bench) another(tag string) oci.Descriptor {
	b.Helper()
	return testbed.Random(b, b.r, "app", tag, testbed.RandomOptions{Seed: 9}).Root
}

func TestADocumentIsOnePutForEachTag(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		doc := b.document()
		accepted, err := b.repo.PutDocument(b.Context(), doc, "c", "a", "b")
		must(b, err)
		if !slices.Equal(accepted.Tags, []string{"a", "b", "c"}) {
			b.Errorf("%+v", accepted)
		}
		b.count("PUT", testbed.Manifest, 3)
		b.count("", "", 3)
		if q := b.r.Log()[0]; q.Ref != "c" || q.Header.Get("Content-Type") != doc.MediaType {
			b.Errorf("first %s as %s", q.Ref, q.Header.Get("Content-Type"))
		}
		b.r.Reset()
		_, err = b.repo.PutDocument(b.Context(), doc)
		must(b, err)
		b.count("", "", 1)
	})
}

func TestF73F18ADocumentWhoseAnswerIsLostIsLookedUp(t *testing.T) {
	for name, f := range map[string]*hostile.Fault{"lost": hostile.LoseAnswer(), "500": hostile.Status(500, nil, ""), "429": hostile.TooMany("1")} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{f.On("PUT", testbed.Manifest).Once()}, func(b *bench) {
				doc := b.document()
				accepted, err := b.repo.PutDocument(b.Context(), doc, "v1")
				must(b, err)
				d, err := b.repo.Resolve(b.Context(), "v1")
				must(b, err)
				if d.Digest != doc.Digest || len(accepted.Tags) != 1 {
					b.Errorf("%+v", accepted)
				}
			})
		})
	}
}

func TestF74ALieAboutADocumentIsFoundByReadingBack(t *testing.T) {
	other := string(oci.Sum([]byte("other")))
	bubble(t, []*hostile.Fault{hostile.Lying201(other)}, func(b *bench) {
		_, err := b.repo.PutDocument(b.Context(), b.document(), "v1")
		wantKind(b, err, fault.NotFound)
	})
	bubble(t, []*hostile.Fault{hostile.Lying201(other)}, func(b *bench) {
		doc := b.document()
		b.another("v1")
		_, err := b.repo.PutDocument(b.Context(), doc, "v1")
		wantKind(b, err, fault.Corrupt)
	})
	bubble(t, []*hostile.Fault{hostile.NoDigestHeader().On("PUT", testbed.Manifest)}, func(b *bench) {
		_, err := b.repo.PutDocument(b.Context(), b.document(), "v1")
		must(b, err)
		b.count("HEAD", testbed.Manifest, 1)
	})
}

func TestF77AMissingBlobIsNotFoundAndClaimsAreDropped(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.LyingHead(10).Once()}, func(b *bench) {
		doc := b.document()
		data, d := noise(b, 77, 10)
		raw := strings.Replace(string(doc.Raw), `"layers":[`, `"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"`+string(d.Digest)+`","size":10},`, 1)
		bad, err := oci.Parse(oci.Descriptor{}, []byte(raw))
		must(b, err)
		missing, err := b.repo.Missing(b.Context(), []oci.Descriptor{d})
		must(b, err)
		if len(missing) != 0 {
			b.Fatal("the registry did not report the missing blob as existing")
		}
		_, err = b.repo.PutDocument(b.Context(), bad, "v1")
		wantKind(b, err, fault.NotFound)
		if !strings.Contains(err.Error(), "lacks content that the manifest refers to") {
			b.Error(err)
		}
		missing, err = b.repo.Missing(b.Context(), bad.Blobs)
		must(b, err)
		if len(missing) != len(bad.Blobs) {
			b.Errorf("%d blobs must be proved, want %d", len(missing), len(bad.Blobs))
		}
		_, err = b.send(data, d)
		must(b, err)
		_, err = b.repo.PutDocument(b.Context(), bad, "v1")
		must(b, err)
	})
}

func TestF78AnImmutableTagIsAConflictUnlessItHoldsTheSame(t *testing.T) {
	for name, f := range map[string]func() *hostile.Fault{
		"harbor": func() *hostile.Fault { return hostile.Error(412, "PRECONDITION", "configured as immutable") },
		"ecr": func() *hostile.Fault {
			return hostile.Error(400, "TAG_INVALID", "The image tag 'v1' already exists in the 'app' repository and cannot be overwritten because the tag is immutable.")
		},
		"acr":  func() *hostile.Fault { return hostile.Error(405, "UNSUPPORTED", "The operation is unsupported.") },
		"quay": func() *hostile.Fault { return hostile.Error(409, "TAG_IMMUTABLE", "tag is immutable") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{f().On("PUT", testbed.Manifest).At("v1")}, func(b *bench) {
				doc := b.document()
				b.another("v1")
				accepted, err := b.repo.PutDocument(b.Context(), doc, "v1")
				wantKind(b, err, fault.Conflict)
				wantKind(b, accepted.Failed["v1"], fault.Conflict)
				accepted, err = b.repo.PutDocument(b.Context(), doc, "v1", "v2")
				must(b, err)
				if !slices.Equal(accepted.Tags, []string{"v2"}) || accepted.Failed["v1"] == nil {
					b.Errorf("%+v", accepted)
				}
				b.r.Manifest(b, "app", "v1", doc.MediaType, doc.Raw)
				accepted, err = b.repo.PutDocument(b.Context(), doc, "v1")
				must(b, err)
				if !slices.Equal(accepted.Tags, []string{"v1"}) {
					b.Errorf("%+v", accepted)
				}
			})
		})
	}
}

func TestSeveralTagsGoInOnePutWhereTheRegistryTakesThat(t *testing.T) {
	zot := func(s *testbed.Options, o *remote.Options) {
		o.Hosts = map[string]credential.Settings{"127.0.0.1:5000": {Kind: "zot", PlainHTTP: true}}
		s.Front = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for _, tag := range r.URL.Query()["tag"] {
					if tag != "odd" {
						w.Header().Add("OCI-Tag", tag)
					}
				}
				next.ServeHTTP(w, r)
			})
		}
	}
	bubble(t, nil, func(b *bench) {
		doc := b.document()
		accepted, err := b.repo.PutDocument(b.Context(), doc, "a", "b", "c", "odd")
		must(b, err)
		if !slices.Equal(accepted.Tags, []string{"a", "b", "c", "odd"}) {
			b.Errorf("%+v", accepted)
		}
		b.count("PUT", testbed.Manifest, 2) // the registry did not name "odd" in OCI-Tag, so it is put again
		b.r.Reset()
		_, err = b.repo.PutDocument(b.Context(), doc, "a", "b")
		must(b, err)
		b.count("PUT", testbed.Manifest, 2)
	}, zot)
}

func TestTheSubjectThatTheRegistryIndexedIsTold(t *testing.T) {
	subject := string(oci.Sum([]byte("subject")))
	bubble(t, []*hostile.Fault{hostile.Header("OCI-Subject", subject).On("PUT", testbed.Manifest)}, func(b *bench) {
		accepted, err := b.repo.PutDocument(b.Context(), b.document(), "v1")
		must(b, err)
		if string(accepted.Subject) != subject {
			b.Errorf("%+v", accepted)
		}
	})
}

func TestF57ReferrersComeFromTheApiOrFromTheTag(t *testing.T) {
	index := func(d oci.Descriptor) []byte {
		return []byte(`{"schemaVersion":2,"mediaType":"` + oci.TypeIndex + `","manifests":[{"mediaType":"` + oci.TypeManifest + `","digest":"` + string(d.Digest) + `","size":5,"artifactType":"a/b"}]}`)
	}
	_, child := noise(t, 5, 5)
	bubble(t, []*hostile.Fault{hostile.Status(200, nil, string(index(child))).On("GET", testbed.Referrer)}, func(b *bench) {
		list, err := b.repo.Referrers(b.Context(), oci.Descriptor{Digest: oci.Sum([]byte("x"))})
		must(b, err)
		if len(list) != 1 || list[0].Digest != child.Digest || list[0].ArtifactType != "a/b" {
			b.Errorf("%v", list)
		}
	})
	bubble(t, []*hostile.Fault{hostile.OtherManifest(oci.TypeIndex, index(child))}, func(b *bench) {
		list, err := b.repo.Referrers(b.Context(), oci.Descriptor{Digest: oci.Sum([]byte("x"))})
		must(b, err)
		if len(list) != 1 || list[0].Digest != child.Digest {
			b.Errorf("%v", list)
		}
	})
	bubble(t, nil, func(b *bench) {
		list, err := b.repo.Referrers(b.Context(), oci.Descriptor{Digest: oci.Sum([]byte("x"))})
		if err != nil || len(list) != 0 {
			b.Errorf("%v, %v", list, err)
		}
	})
}
