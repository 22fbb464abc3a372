package remote_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
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
		wantKind(b, err, fault.Corrupt)
		if f := new(fault.Fault); !errors.As(err, &f) || f.Side != fault.Target || !strings.Contains(err.Error(), "does not have it") {
			b.Errorf("%v", err)
		}
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

// docker-registry 2.8.2 answers like this if two clients put one manifest at the same time.
const raced = `{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"},
	{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":{}}]}`

func TestF77ARefusalThatARaceExplainsIsTriedOnceMore(t *testing.T) {
	json := http.Header{"Content-Type": {"application/json"}}
	for name, f := range map[string]*hostile.Fault{
		"by tag":           hostile.Status(400, json, raced),
		"by digest":        hostile.Status(400, json, raced),
		"a wrong digest":   hostile.Error(400, "DIGEST_INVALID", "no"),
		"digest, conflict": hostile.Error(409, "CONFLICT", "it is being written"),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{f.On("PUT", testbed.Manifest).Once()}, func(b *bench) {
				doc := b.document()
				var tags []string
				if name == "by tag" || name == "a wrong digest" {
					tags = []string{"v1"}
				}
				_, err := b.repo.PutDocument(b.Context(), doc, tags...)
				must(b, err)
				b.count("PUT", testbed.Manifest, 2)
				if len(b.events.of(event.Retried)) != 1 {
					b.Errorf("%v", b.events.of(event.Retried))
				}
			})
		})
	}
}

func TestF77EveryErrorInAnAnswerIsRead(t *testing.T) {
	json := http.Header{"Content-Type": {"application/json"}}
	f := hostile.Status(400, json, raced).On("PUT", testbed.Manifest)
	bubble(t, []*hostile.Fault{f}, func(b *bench) {
		doc := b.document()
		missing, err := b.repo.Missing(b.Context(), doc.Blobs)
		if err != nil || len(missing) != 0 {
			b.Fatal(missing, err)
		}
		_, err = b.repo.PutDocument(b.Context(), doc, "v1")
		wantKind(b, err, fault.NotFound)
		for _, part := range []string{"400 DIGEST_INVALID: provided digest", "; MANIFEST_BLOB_UNKNOWN: blob unknown"} {
			if !strings.Contains(err.Error(), part) {
				b.Errorf("%v lacks %q", err, part)
			}
		}
		b.count("PUT", testbed.Manifest, 2)
		if missing, err = b.repo.Missing(b.Context(), doc.Blobs); err != nil || len(missing) != len(doc.Blobs) {
			b.Errorf("%v %v", missing, err)
		}
	})
	many := `{"errors":[{"code":"UNKNOWN"},{"code":"UNKNOWN"},{"code":"DENIED","message":"quota exceeded"},` +
		`{"code":"A"},{"code":"B"},{"code":"C"}]}`
	bubble(t, []*hostile.Fault{hostile.Status(403, json, many)}, func(b *bench) {
		_, err := b.repo.Document(b.Context(), "v1")
		wantKind(b, err, fault.Denied) // a read fills no quota of storage
		if !strings.Contains(err.Error(), "403 UNKNOWN: DENIED: quota exceeded; A; and 2 more errors") {
			b.Error(err)
		}
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

func TestARefusalByStatus405SaysWhatItsBodySays(t *testing.T) {
	for text, want := range map[string]struct {
		kind  fault.Kind
		cause string
	}{
		"tag v1 is locked":                  {fault.Conflict, "the tag is immutable or locked: "},
		"The operation is unsupported.":     {fault.Conflict, "the tag is immutable or locked, or the registry is read-only: "},
		"the registry is in read-only mode": {fault.Refused, "405 UNSUPPORTED: the registry is in read-only mode"},
	} {
		bubble(t, []*hostile.Fault{hostile.Error(405, "UNSUPPORTED", text).On("PUT", testbed.Manifest).At("v1")}, func(b *bench) {
			doc := b.document()
			b.another("v1")
			_, err := b.repo.PutDocument(b.Context(), doc, "v1")
			wantKind(b, err, want.kind)
			immutable := strings.Contains(err.Error(), "immutable")
			if !strings.Contains(err.Error(), want.cause) || immutable != (want.kind == fault.Conflict) || fault.HintOf(err) == "" {
				b.Errorf("%q became %v", text, err)
			}
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
	bubble(t, []*hostile.Fault{listOf(string(index(child)))}, func(b *bench) {
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

// listOf answers a request for referrers as a registry with the referrers API does.
func listOf(body string) *hostile.Fault {
	return hostile.Status(200, http.Header{"Content-Type": {oci.TypeIndex}}, body).On("GET", testbed.Referrer)
}

func TestF57WhatIsNoListOfReferrersIsNotBelieved(t *testing.T) {
	index := func(list ...oci.Descriptor) string {
		raw, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": oci.TypeIndex, "manifests": list})
		must(t, err)
		return string(raw)
	}
	_, other := noise(t, 5, 5)
	other.MediaType = oci.TypeManifest
	typed := func(contentType, body string) *hostile.Fault {
		return hostile.Status(200, http.Header{"Content-Type": {contentType}}, body).On("GET", testbed.Referrer)
	}
	for name, f := range map[string]*hostile.Fault{
		"a web page":              typed("text/html", signInPage),
		"a page called an index":  typed(oci.TypeIndex, signInPage),
		"another type":            typed("application/json", index(other)),
		"an error":                typed(oci.TypeIndex, `{"errors":[{"code":"UNSUPPORTED","message":"no"}]}`),
		"nothing":                 typed(oci.TypeIndex, "{}"),
		"another type in it":      typed(oci.TypeIndex, strings.Replace(index(other), oci.TypeIndex, oci.TypeDockerList, 1)),
		"a strange redirect":      hostile.RedirectTo("ftp://elsewhere.example/", 0).On("GET", testbed.Referrer),
		"a redirect to itself":    hostile.RedirectTo("?again", 0).On("GET", testbed.Referrer),
		"the manifest of another": hostile.OtherManifest(oci.TypeManifest, []byte(`{"schemaVersion":2}`)).On("GET", testbed.Referrer),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{f}, func(b *bench) {
				img := testbed.Index(b, b.r, "app", "v1", 2)
				sig := testbed.Artifact(b, b.r, "app", "", img.Root) // listed under the fallback tag
				list, err := b.repo.Referrers(b.Context(), described(img))
				must(b, err)
				if len(list) != 1 || string(list[0].Digest) != sig.Digest() {
					b.Errorf("%v", list)
				}
				has, known, err := b.repo.HasReferrers(b.Context(), described(img))
				if has || !known || err != nil {
					b.Errorf("%v %v %v", has, known, err)
				}
			})
		})
	}
}

func described(img testbed.Image) oci.Descriptor {
	return oci.Descriptor{MediaType: img.Root.MediaType, Digest: img.Root.Digest, Size: img.Root.Size}
}

// GitLab takes the tag sha256-HEX for the digest sha256:HEX.
func TestF57AnImageAndItsChildrenAreNotItsReferrers(t *testing.T) {
	for name, change := range map[string]func(raw string) string{
		"the image":    func(raw string) string { return raw },
		"its children": func(raw string) string { return strings.Replace(raw, "{", "{ ", 1) },
	} {
		for of, kind := range map[string]testbed.Kind{"api": testbed.Referrer, "tag": testbed.Manifest} {
			t.Run(name+" by "+of, func(t *testing.T) {
				body := ""
				front := func(s *testbed.Options, _ *remote.Options) {
					s.Front = func(next http.Handler) http.Handler {
						return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
							e := testbed.Parse(q.URL.Path)
							if e.Kind != kind || kind == testbed.Manifest && !strings.HasPrefix(e.Ref, "sha256-") {
								next.ServeHTTP(w, q)
								return
							}
							w.Header().Set("Content-Type", oci.TypeIndex)
							_, _ = io.WriteString(w, body)
						})
					}
				}
				bubble(t, nil, func(b *bench) {
					img := testbed.Index(b, b.r, "app", "v1", 2)
					doc, err := b.repo.Document(b.Context(), "v1")
					must(b, err)
					body = change(string(doc.Raw))
					list, err := b.repo.Referrers(b.Context(), described(img))
					if err != nil || len(list) != 0 {
						b.Errorf("%v %v", list, err)
					}
					if has, known, err := b.repo.HasReferrers(b.Context(), described(img)); has || !known || err != nil {
						b.Errorf("%v %v %v", has, known, err)
					}
				}, front)
			})
		}
	}
}

func TestAFurtherPageOfReferrersThatIsNoneIsAnError(t *testing.T) {
	_, other := noise(t, 5, 5)
	first := listOf(`{"schemaVersion":2,"manifests":[{"mediaType":"` + oci.TypeManifest + `","digest":"` +
		string(other.Digest) + `","size":5}]}`)
	second := hostile.Status(200, http.Header{"Content-Type": {"application/json"}}, "{}").On("GET", testbed.Referrer)
	second.When(func(r *http.Request) bool { return r.URL.RawQuery != "" })
	link := hostile.Header("Link", `<?page=2>; rel="next"`).On("GET", testbed.Referrer)
	bubble(t, []*hostile.Fault{second, link, first}, func(b *bench) {
		_, err := b.repo.Referrers(b.Context(), oci.Descriptor{Digest: oci.Sum([]byte("x"))})
		wantKind(b, err, fault.Refused)
	})
}

// Distribution refuses layers by URL unless its configuration allows them. It does so with a 500, which is no trouble
// that passes.
func TestF87ARegistryThatTakesNoLayersByURLSaysSoAtOnce(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	testbed.Foreign(t, source, "app", "v1")
	from := client(t).Open(repo(source, "app"), remote.Use{})
	doc, err := from.Document(t.Context(), "v1")
	must(t, err)
	old := hostile.Error(500, "UNKNOWN", "unknown error").On("PUT", testbed.Manifest) // version 2.8.2
	for name, tt := range map[string]struct {
		faults []*hostile.Fault
		puts   int
	}{"version 3": {nil, 1}, "version 2": {[]*hostile.Fault{old}, 2}} {
		bubble(t, tt.faults, func(b *bench) {
			for _, d := range doc.Blobs {
				var data bytes.Buffer
				source.Direct(b, "GET", "/v2/app/blobs/"+string(d.Digest), nil, nil, &data)
				b.r.Blob(b, "app", d.MediaType, data.Bytes())
			}
			b.r.Reset()
			begin := time.Now()
			_, err := b.repo.PutDocument(b.Context(), doc, "v1")
			wantKind(b, err, fault.Invalid)
			if !strings.Contains(err.Error(), "this registry takes no layers by URL, and the image has 1") || !strings.Contains(fault.HintOf(err), "urls.allow") {
				b.Errorf("%s: %v (hint: %s)", name, err, fault.HintOf(err))
			}
			b.count("PUT", testbed.Manifest, tt.puts)
			if took := time.Since(begin); took > time.Second {
				b.Errorf("%s: took %v", name, took)
			}
		})
	}
	once := hostile.Error(500, "UNKNOWN", "unknown error").On("PUT", testbed.Manifest).Once()
	accepted := hostile.Status(201, http.Header{"Docker-Content-Digest": {string(doc.Digest)}}, "").On("PUT", testbed.Manifest)
	bubble(t, []*hostile.Fault{once, accepted}, func(b *bench) {
		_, err := b.repo.PutDocument(b.Context(), doc, "v1")
		must(b, err)
		b.count("PUT", testbed.Manifest, 2)
	})
}
