package remote_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
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

const sbomType = "application/vnd.example.sbom"

// referrers returns n documents with the subject, whose blobs are in app.
func referrers(tb testing.TB, r *testbed.Registry, subject oci.Descriptor, n int) (all []oci.Document) {
	tb.Helper()
	empty := r.Blob(tb, "app", "application/vnd.oci.empty.v1+json", []byte("{}"))
	about, err := json.Marshal(oci.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size})
	must(tb, err)
	for i := range n {
		raw := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":%q,"config":{"mediaType":%q,"digest":%q,"size":2},`+
			`"layers":[],"subject":%s,"annotations":{"n":"%d"}}`, oci.TypeManifest, sbomType, empty.MediaType, empty.Digest, about, i)
		doc, err := oci.Parse(oci.Descriptor{}, []byte(raw))
		must(tb, err)
		all = append(all, doc)
	}
	return all
}

// listed returns the list under the tag of subject's referrers.
func listed(b *bench, subject oci.Descriptor) (all []oci.Descriptor) {
	b.Helper()
	var index struct{ Manifests []oci.Descriptor }
	must(b, json.Unmarshal(list(b, subject), &index))
	return index.Manifests
}

// list returns the bytes of that list.
func list(b *bench, subject oci.Descriptor) []byte {
	b.Helper()
	var raw bytes.Buffer
	b.r.Direct(b, "GET", "/v2/app/manifests/"+oci.FallbackTag(subject.Digest), nil, nil, &raw)
	return raw.Bytes()
}

func TestF57ARegistryWithoutTheAPIListsAReferrerUnderATag(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		docs := referrers(b, b.r, img.Root, 2)
		b.r.Reset()
		begin := time.Now()
		for _, doc := range docs {
			accepted, err := b.repo.PutDocument(b.Context(), doc)
			must(b, err)
			if accepted.Subject != img.Root.Digest {
				b.Errorf("%+v", accepted)
			}
		}
		if took := time.Since(begin); took > time.Second {
			b.Errorf("took %v", took)
		}
		all := listed(b, img.Root)
		if len(all) != 2 {
			b.Fatalf("%v\n%s", all, b.r.Story())
		}
		for i, d := range all {
			if d.Digest != docs[i].Digest || d.Size != docs[i].Size || d.MediaType != oci.TypeManifest ||
				d.ArtifactType != sbomType || d.Annotations["n"] != strconv.Itoa(i) {
				b.Errorf("%+v", d)
			}
		}
		b.count("GET", testbed.Referrer, 1) // that there is no API is learned once
		b.count("PUT", testbed.Manifest, 4)
		b.count("GET", testbed.Manifest, 1) // the list that was there
		b.r.Reset()
		_, err := b.repo.PutDocument(b.Context(), docs[0])
		must(b, err)
		b.count("PUT", testbed.Manifest, 1) // it is in the list already
		list, err := b.repo.Referrers(b.Context(), img.Root)
		if err != nil || len(list) != 2 {
			b.Errorf("%v %v", list, err)
		}
	})
}

func TestWithoutAnArtifactTypeTheListHasTheTypeOfTheConfig(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		raw := string(referrers(b, b.r, img.Root, 1)[0].Raw)
		doc, err := oci.Parse(oci.Descriptor{}, []byte(strings.Replace(raw, `"artifactType":"`+sbomType+`",`, "", 1)))
		must(b, err)
		_, err = b.repo.PutDocument(b.Context(), doc, "tagged")
		must(b, err)
		if all := listed(b, img.Root); len(all) != 1 || all[0].ArtifactType != "application/vnd.oci.empty.v1+json" {
			b.Errorf("%+v", all)
		}
	})
}

func TestWhatOthersWroteInTheListStaysAsItIs(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		docs := referrers(b, b.r, img.Root, 2)
		b.r.Manifest(b, "app", "", oci.TypeManifest, docs[0].Raw)
		entry := fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d,"x-own":[1.50]}`, oci.TypeManifest, docs[0].Digest, docs[0].Size)
		b.r.Manifest(b, "app", oci.FallbackTag(img.Root.Digest), oci.TypeIndex,
			[]byte(`{"schemaVersion":2,"mediaType":"`+oci.TypeIndex+`","manifests":[`+entry+`],"annotations":{"by":"somebody"}}`))
		_, err := b.repo.PutDocument(b.Context(), docs[1])
		must(b, err)
		var raw map[string]json.RawMessage
		must(b, json.Unmarshal(list(b, img.Root), &raw))
		if !strings.HasPrefix(string(raw["manifests"]), "["+entry+",{") || string(raw["annotations"]) != `{"by":"somebody"}` {
			b.Errorf("%s", raw)
		}
	})
}

func TestARegistryThatAcknowledgesTheSubjectGetsNoTag(t *testing.T) {
	for name, front := range map[string]func(http.Handler) http.Handler{
		"it says so": nil,
		"it says nothing, and its API lists it": func(next http.Handler) http.Handler {
			return hostile.Wrap(next, hostile.Header("OCI-Subject", "").On("PUT", testbed.Manifest))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := ours(t, testbed.Options{Front: front})
			c := client(t, withHost(r, credential.Settings{PlainHTTP: true}))
			to := c.Open(repo(r, "app"), remote.Use{Actions: remote.Push})
			img := testbed.Random(t, r, "app", "v1", testbed.RandomOptions{})
			for _, doc := range referrers(t, r, img.Root, 2) {
				_, err := to.PutDocument(t.Context(), doc)
				must(t, err)
			}
			if n := r.Count("PUT", testbed.Manifest); n != 2 {
				t.Errorf("%d PUTs\n%s", n, r.Story())
			}
		})
	}
}

func TestAnAPIThatLeavesAReferrerOutIsAnError(t *testing.T) {
	none := listOf(`{"schemaVersion":2,"manifests":[]}`)
	bubble(t, []*hostile.Fault{none}, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		doc := referrers(b, b.r, img.Root, 1)[0]
		_, err := b.repo.PutDocument(b.Context(), doc)
		wantKind(b, err, fault.Refused)
		if !strings.Contains(err.Error(), "list referrer 127.0.0.1:5000/app@"+string(doc.Digest)+": refused: the registry stored it, but does not list it as a referrer of "+string(img.Root.Digest)) {
			b.Error(err)
		}
		if len(listed(b, img.Root)) != 1 {
			b.Error("the tag does not list it either")
		}
	})
}

func TestAnAPIThatListsAReferrerLateIsWaitedFor(t *testing.T) {
	once := listOf(`{"schemaVersion":2,"manifests":[]}`).Times(2)
	bubble(t, nil, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		doc := referrers(b, b.r, img.Root, 1)[0]
		_, err := b.repo.PutDocument(b.Context(), doc)
		must(b, err)
	}, func(o *testbed.Options, _ *remote.Options) {
		o.Front = func(next http.Handler) http.Handler {
			return hostile.Wrap(lists(next), once)
		}
	})
}

// lists answers the referrers API with what the referrers tag lists.
func lists(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if e := testbed.Parse(q.URL.Path); e.Kind == testbed.Referrer {
			q.URL.Path = "/v2/" + e.Repo + "/manifests/" + oci.FallbackTag(oci.Digest(e.Ref))
		}
		next.ServeHTTP(w, q)
	})
}

func TestF57TwoClientsThatAddReferrersAtOnceLoseNone(t *testing.T) {
	const each = 20
	bubble(t, nil, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		docs := referrers(b, b.r, img.Root, 2*each)
		second, err := remote.New(remote.Options{CertDirs: []string{}, Dial: b.r.Dial, Default: credential.Settings{PlainHTTP: true}})
		must(b, err)
		defer second.Close()
		var wg sync.WaitGroup
		for i, doc := range docs {
			to := b.repo
			if i%2 == 1 {
				to = second.Open(repo(b.r, "app"), remote.Use{Actions: remote.Push})
			}
			wg.Go(func() {
				time.Sleep(time.Duration(i/8) * 30 * time.Millisecond)
				_, err := to.PutDocument(b.Context(), doc)
				must(b, err)
			})
		}
		wg.Wait()
		if all := listed(b, img.Root); len(all) != len(docs) {
			b.Errorf("%d are listed, want %d\n%s", len(all), len(docs), b.r.Story())
		}
	}, func(o *testbed.Options, _ *remote.Options) {
		n := 0
		var mu sync.Mutex
		o.Front = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				mu.Lock()
				n++
				wait := time.Duration(n*7919%40) * time.Millisecond
				mu.Unlock()
				time.Sleep(wait) // answers take 0 to 40 ms, so that reads and writes of both interleave
				next.ServeHTTP(w, q)
			})
		}
	})
}

func TestThoseOfOneProcessChangeAListTogether(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		docs := referrers(b, b.r, img.Root, 30)
		var wg sync.WaitGroup
		for _, doc := range docs {
			wg.Go(func() {
				_, err := b.repo.PutDocument(b.Context(), doc)
				must(b, err)
			})
		}
		wg.Wait()
		if all := listed(b, img.Root); len(all) != len(docs) {
			b.Errorf("%d are listed", len(all))
		}
		if n := b.r.Count("PUT", testbed.Manifest) - len(docs); n > 4 {
			b.Errorf("the list was put %d times", n)
		}
	})
}

func TestAClientThatAlwaysReplacesTheListIsGivenUp(t *testing.T) {
	var other []byte
	bubble(t, nil, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		docs := referrers(b, b.r, img.Root, 2)
		b.r.Manifest(b, "app", "", oci.TypeManifest, docs[0].Raw)
		entry, err := json.Marshal(docs[0].AsReferrer())
		must(b, err)
		other = []byte(`{"schemaVersion":2,"mediaType":"` + oci.TypeIndex + `","manifests":[` + string(entry) + `]}`)
		_, err = b.repo.PutDocument(b.Context(), docs[1])
		wantKind(b, err, fault.Conflict)
		if !strings.Contains(err.Error(), "other clients replaced the list under "+oci.FallbackTag(img.Root.Digest)+" 20 times") {
			b.Error(err)
		}
	}, func(o *testbed.Options, _ *remote.Options) {
		o.Front = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				next.ServeHTTP(w, q)
				if q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/manifests/sha256-") {
					again, _ := http.NewRequestWithContext(q.Context(), http.MethodPut, q.URL.Path, strings.NewReader(string(other)))
					again.Header.Set("Content-Type", oci.TypeIndex)
					next.ServeHTTP(discard{}, again)
				}
			})
		}
	})
}

// discard is an answer that nobody reads.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

func TestAListThatCannotBeChangedIsAnErrorThatNamesTheReferrer(t *testing.T) {
	onTag := func(f *hostile.Fault) *hostile.Fault {
		f = f.On("PUT", testbed.Manifest)
		f.When(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/sha256-") })
		return f
	}
	for name, tt := range map[string]struct {
		f    *hostile.Fault
		kind fault.Kind
		says string
	}{
		"immutable": {onTag(hostile.Error(400, "TAG_INVALID", "The image tag already exists and is immutable")), fault.Conflict,
			"the tag is immutable or locked"},
		"harbor": {onTag(hostile.Error(412, "PRECONDITION", "immutable")), fault.Conflict, "the tag is immutable or locked"},
		"denied": {onTag(hostile.Error(403, "DENIED", "no tags here")), fault.Denied, "no tags here"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{tt.f}, func(b *bench) {
				img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
				doc := referrers(b, b.r, img.Root, 1)[0]
				_, err := b.repo.PutDocument(b.Context(), doc)
				wantKind(b, err, tt.kind)
				for _, want := range []string{"list referrer 127.0.0.1:5000/app@" + string(doc.Digest), tt.says, oci.FallbackTag(img.Root.Digest)} {
					if !strings.Contains(err.Error(), want) {
						b.Errorf("%v; want %q", err, want)
					}
				}
				if _, err := b.repo.Resolve(b.Context(), string(doc.Digest)); err != nil {
					b.Errorf("the referrer itself is not there: %v", err)
				}
			})
		})
	}
}

// ECR takes some manifests with a subject and not others.
func TestAReferrerThatTheRegistryDoesNotTakeIsNamedWithItsSubject(t *testing.T) {
	for name, tt := range map[string]struct {
		f    *hostile.Fault
		tags []string
		want string
	}{
		"ecr":          {hostile.Error(405, "UNSUPPORTED", "Invalid JSON syntax"), nil, "takes no referrer of this form"},
		"ecr by tag":   {hostile.Error(405, "UNSUPPORTED", "Invalid JSON syntax"), []string{"sha256-abc.sig"}, "takes no referrer of this form"},
		"old":          {hostile.Error(400, "MANIFEST_INVALID", "manifest invalid"), nil, "takes no referrer of this form"},
		"bare":         {hostile.Status(501, nil, ""), nil, "takes no referrer of this form"},
		"read-only":    {hostile.Error(405, "UNSUPPORTED_", "the registry is read-only"), nil, "read-only"},
		"another name": {hostile.Error(400, "NAME_INVALID", "no such name"), nil, "no such name"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{tt.f.On("PUT", testbed.Manifest)}, func(b *bench) {
				img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
				doc := referrers(b, b.r, img.Root, 1)[0]
				_, err := b.repo.PutDocument(b.Context(), doc, tt.tags...)
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					b.Fatalf("%v; want %q", err, tt.want)
				}
				if !strings.HasPrefix(tt.want, "takes") {
					return
				}
				wantKind(b, err, fault.Refused)
				if !strings.Contains(err.Error(), sbomType+", of "+string(img.Root.Digest)) || !strings.Contains(fault.HintOf(err), "--referrers=false") {
					b.Errorf("%v (hint: %s)", err, fault.HintOf(err))
				}
				b.count("PUT", testbed.Manifest, 1)
			})
		})
	}
}

func TestATagOfTheReferrersThatIsSomethingElseIsNotReplaced(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		img := testbed.Index(b, b.r, "app", "v1", 2)
		doc := referrers(b, b.r, img.Root, 1)[0]
		tag := oci.FallbackTag(img.Root.Digest)
		other := testbed.Random(b, b.r, "app", tag, testbed.RandomOptions{Seed: 7})
		_, err := b.repo.PutDocument(b.Context(), doc)
		wantKind(b, err, fault.Conflict)
		if d, err := b.repo.Resolve(b.Context(), tag); err != nil || d.Digest != other.Root.Digest {
			b.Errorf("%v %v", d, err)
		}
	})
	takesTagForDigest := func(o *testbed.Options, _ *remote.Options) { // as GitLab does
		o.Front = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if q.Method != http.MethodPut {
					q.URL.Path = strings.Replace(q.URL.Path, "/manifests/sha256-", "/manifests/sha256:", 1)
				}
				next.ServeHTTP(w, q)
			})
		}
	}
	bubble(t, nil, func(b *bench) {
		img := testbed.Index(b, b.r, "app", "v1", 2)
		_, err := b.repo.PutDocument(b.Context(), referrers(b, b.r, img.Root, 1)[0])
		wantKind(b, err, fault.Conflict)
		b.count("PUT", testbed.Manifest, 1)
	}, takesTagForDigest)
}

func TestEntriesOfTheListThatAreGoneDoNotPreventNewOnes(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		docs := referrers(b, b.r, img.Root, 3)
		for _, doc := range docs[:2] {
			_, err := b.repo.PutDocument(b.Context(), doc)
			must(b, err)
		}
		b.r.Direct(b, "DELETE", "/v2/app/manifests/"+string(docs[0].Digest), nil, nil, nil)
		_, err := b.repo.PutDocument(b.Context(), docs[2])
		must(b, err)
		var have []oci.Digest
		for _, d := range listed(b, img.Root) {
			have = append(have, d.Digest)
		}
		if want := []oci.Digest{docs[1].Digest, docs[2].Digest}; !slices.Equal(have, want) {
			b.Errorf("%v, want %v", have, want)
		}
		if noted := b.events.of(event.Noted); len(noted) != 1 || noted[0].Count != 1 {
			b.Errorf("noted %v", noted)
		}
	})
}

func TestF57ALostAnswerToAListIsReadAgain(t *testing.T) {
	for name, f := range map[string]*hostile.Fault{"lost": hostile.LoseAnswer(), "503": hostile.Status(503, nil, ""), "429": hostile.TooMany("1")} {
		t.Run(name, func(t *testing.T) {
			f.On("PUT", testbed.Manifest).Once()
			f.When(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/sha256-") })
			bubble(t, []*hostile.Fault{f}, func(b *bench) {
				img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
				_, err := b.repo.PutDocument(b.Context(), referrers(b, b.r, img.Root, 1)[0])
				must(b, err)
				if len(listed(b, img.Root)) != 1 || f.Fired() != 1 {
					b.Errorf("%v\n%s", listed(b, img.Root), b.r.Story())
				}
			})
		})
	}
}

func TestThatThereIsNoReferrersAPIIsLearnedOnce(t *testing.T) {
	for name, f := range map[string]*hostile.Fault{
		"404":             hostile.Status(404, nil, ""),
		"404 UNSUPPORTED": hostile.Error(404, "UNSUPPORTED", "no"),
		"405":             hostile.Status(405, nil, ""),
		"501":             hostile.Error(501, "UNSUPPORTED", "no"),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{f.On("GET", testbed.Referrer)}, func(b *bench) {
				img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
				b.r.Reset()
				for range 3 {
					_, err := b.repo.Referrers(b.Context(), img.Root)
					must(b, err)
				}
				b.count("GET", testbed.Referrer, 1)
			})
		})
	}
	one := hostile.Error(404, "MANIFEST_UNKNOWN", "this one").On("GET", testbed.Referrer)
	bubble(t, []*hostile.Fault{one}, func(b *bench) { // says nothing of others
		for range 3 {
			_, err := b.repo.Referrers(b.Context(), oci.Descriptor{MediaType: oci.TypeManifest, Digest: oci.Sum([]byte("x"))})
			must(b, err)
		}
		b.count("GET", testbed.Referrer, 3)
	})
}

func TestMoreReferrersThanAreListedAreRefusedByTagToo(t *testing.T) {
	entries := make([]string, 10_001)
	for i := range entries {
		entries[i] = fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%064x","size":1}`, oci.TypeManifest, i)
	}
	many := hostile.OtherManifest(oci.TypeIndex, []byte(`{"schemaVersion":2,"manifests":[`+strings.Join(entries, ",")+`]}`))
	bubble(t, []*hostile.Fault{many}, func(b *bench) {
		_, err := b.repo.Referrers(b.Context(), oci.Descriptor{MediaType: oci.TypeManifest, Digest: oci.Sum([]byte("x"))})
		wantKind(b, err, fault.TooLarge)
		if !strings.Contains(fault.HintOf(err), "--referrers=false") {
			b.Error(fault.HintOf(err))
		}
	})
}

func TestDigestsOfAnotherAlgorithmHaveAReferrersTagToo(t *testing.T) {
	d := oci.Digest("sha512:" + strings.Repeat("0123456789abcdef", 8))
	if got, want := oci.FallbackTag(d), "sha512-"+strings.Repeat("0123456789abcdef", 4); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What a login may not ask is not the same as nothing. A registry without the API may answer so to a path that it does
// not know, and then the tag tells.
func TestARefusalToListReferrersIsToldUnlessTheTagAnswers(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.Error(403, "DENIED", "ask somebody else").On("GET", testbed.Referrer)}, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		list, err := b.repo.Referrers(b.Context(), img.Root)
		wantKind(b, err, fault.Denied)
		if len(list) != 0 || !strings.Contains(fmt.Sprint(err), "ask somebody else") {
			b.Errorf("%v %v", list, err)
		}
		sig := testbed.Artifact(b, b.r, "app", "", img.Root) // listed under the fallback tag
		list, err = b.repo.Referrers(b.Context(), img.Root)
		if err != nil || len(list) != 1 || string(list[0].Digest) != sig.Digest() {
			b.Errorf("%v %v", list, err)
		}
	})
}
