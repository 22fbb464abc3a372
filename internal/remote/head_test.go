package remote_test

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

func TestF19AHeadOfAManifestThatIsRefusedIsAskedAgainByGet(t *testing.T) {
	for _, code := range []int{403, 405, 501} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			bubble(t, []*hostile.Fault{hostile.Status(code, nil, "").On("HEAD", testbed.Manifest)}, func(b *bench) {
				img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
				for range 2 {
					d, err := b.repo.Resolve(b.Context(), "v1")
					must(b, err)
					if d.Digest != img.Root.Digest {
						b.Errorf("%v", d)
					}
				}
				b.count("HEAD", testbed.Manifest, 1)
				b.count("GET", testbed.Manifest, 2)
			})
			bubble(t, []*hostile.Fault{hostile.Status(403, nil, "").On("", testbed.Manifest)}, func(b *bench) {
				for range 2 {
					_, err := b.repo.Resolve(b.Context(), "v1")
					wantKind(b, err, fault.Denied)
				}
				b.count("HEAD", testbed.Manifest, 2) // GET is refused too, so HEAD is not to blame
			})
		})
	}
}

func TestF19AHeadOfABlobThatIsRefusedIsAskedAgainByOneByte(t *testing.T) {
	for _, code := range []int{403, 405, 501} {
		for name, more := range map[string][]*hostile.Fault{"ranges": nil, "no ranges": {hostile.IgnoreRange()}} {
			t.Run(fmt.Sprint(code, " ", name), func(t *testing.T) {
				refused := hostile.Status(code, nil, "").On("HEAD", testbed.Blob)
				bubble(t, append(more, refused), func(b *bench) {
					testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
					_, there := b.store(1, mib)
					_, small := b.store(2, 100)
					_, empty := b.store(3, 0)
					_, lacking := noise(b, 4, 100)
					other := small
					other.Size++
					got, err := b.repo.Missing(b.Context(), []oci.Descriptor{there, small, empty, lacking})
					must(b, err)
					if len(got) != 1 || got[0].Digest != lacking.Digest {
						b.Errorf("%v", got)
					}
					got, err = b.repo.Prove(b.Context(), []oci.Descriptor{there, empty, lacking, other})
					must(b, err)
					if len(got) != 2 || got[0].Digest != lacking.Digest || got[1].Digest != other.Digest {
						b.Errorf("%v", got)
					}
					if n := b.r.Count("HEAD", testbed.Blob); n > 4 {
						b.Errorf("%d HEADs: the refusal is not remembered", n)
					}
					b.r.Reset()
					must(b, lookAgain(b, there))
					b.count("HEAD", testbed.Blob, 0)
				})
			})
		}
	}
}

// lookAgain proves a blob with a new handle on the repository, which shares what the host taught.
func lookAgain(b *bench, d oci.Descriptor) error {
	_, err := b.client.Open(repo(b.r, "app"), remote.Use{Actions: remote.Push}).Prove(b.Context(), []oci.Descriptor{d})
	return err
}

func TestF19WhereABlobMayNotBeAskedForTheUploadFindsOut(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.Error(403, "DENIED", "no").On("", testbed.Blob)}, func(b *bench) {
		_, there := b.store(1, 100)
		got, err := b.repo.Missing(b.Context(), []oci.Descriptor{there})
		if err != nil || len(got) != 1 {
			b.Errorf("%v %v", got, err)
		}
		_, err = b.repo.Prove(b.Context(), []oci.Descriptor{there})
		wantKind(b, err, fault.Denied)
	})
}

// signed serves next's manifests and blobs behind a redirect whose signature is valid for GET only.
func signed(t *testing.T, refuse int) (*testbed.Registry, *testbed.Registry) {
	t.Helper()
	origin := testbed.NewDistribution(t, testbed.Options{})
	storage := testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead || refuse == 0 {
			w.WriteHeader(cmp.Or(refuse, http.StatusForbidden))
			_, _ = io.WriteString(w, "<Error><Code>SignatureDoesNotMatch</Code></Error>")
			return
		}
		origin.ServeHTTP(w, r)
	}), testbed.Options{})
	return testbed.Serve(t, origin, testbed.Options{Front: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			kind := testbed.Parse(r.URL.Path).Kind
			if (kind == testbed.Blob || kind == testbed.Manifest) && r.Header.Get("X-Direct") == "" {
				http.Redirect(w, r, storage.URL+r.URL.Path, http.StatusTemporaryRedirect)
				return
			}
			next.ServeHTTP(w, r)
		})
	}}), storage
}

func TestF19ARedirectThatIsSignedForGetIsAskedByGet(t *testing.T) {
	for _, code := range []int{400, 401, 403} {
		r, _ := signed(t, code)
		img := testbed.Random(t, r, "app", "v1", testbed.RandomOptions{})
		at := client(t).Open(repo(r, "app"), remote.Use{Actions: remote.Push})
		d, err := at.Resolve(t.Context(), "v1")
		if err != nil || d.Digest != img.Root.Digest {
			t.Errorf("%d: %v %v", code, d, err)
		}
		var blobs []oci.Descriptor
		for _, l := range img.Layers {
			blobs = append(blobs, oci.Descriptor{Digest: l.Digest, Size: l.Size})
		}
		lack, err := at.Prove(t.Context(), blobs)
		if err != nil || len(lack) != 0 {
			t.Errorf("%d: %v %v", code, lack, err)
		}
	}
}

func TestAnotherHostsRefusalNeverBlamesTheLogin(t *testing.T) {
	r, storage := signed(t, 0)
	_, d := noise(t, 1, 100)
	at := client(t).Open(repo(r, "app"), remote.Use{}).Once()
	_, err := at.Resolve(t.Context(), "v1")
	_, docErr := at.Document(t.Context(), "v1")
	_, _, blobErr := at.Blob(t.Context(), d, 0, -1)
	for of, err := range map[string]error{"resolve": err, "document": docErr, "blob": blobErr} {
		wantKind(t, err, fault.Unavailable)
		said := err.Error() + fault.HintOf(err)
		if !strings.Contains(said, storage.Host+", to which the registry redirects, answers 403") ||
			!strings.Contains(said, "a login does not help") || strings.Contains(said, "sign in") {
			t.Errorf("%s: %s", of, said)
		}
	}
}

func TestANotFoundToAHeadIsAskedAgainOfASourceOnly(t *testing.T) {
	absent := hostile.Status(404, nil, "").On("HEAD", testbed.Manifest)
	bubble(t, []*hostile.Fault{absent}, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		source := b.client.Open(repo(b.r, "app"), remote.Use{})
		d, err := source.Resolve(b.Context(), "v1")
		must(b, err)
		if d.Digest != img.Root.Digest {
			b.Error(d)
		}
		_, err = source.Resolve(b.Context(), "v2")
		wantKind(b, err, fault.NotFound)
		b.count("GET", testbed.Manifest, 2)
		b.r.Reset()
		for _, use := range []remote.Use{{Actions: remote.Push}, {Target: true}} {
			_, err = b.client.Open(repo(b.r, "app"), use).Resolve(b.Context(), "v1")
			wantKind(b, err, fault.NotFound)
		}
		b.count("GET", testbed.Manifest, 0)
	})
	bubble(t, []*hostile.Fault{hostile.Status(404, nil, "").On("GET", testbed.Blob).Once()}, func(b *bench) {
		data, d := b.store(1, 100)
		body, _, err := b.client.Open(repo(b.r, "app"), remote.Use{}).Blob(b.Context(), d, 0, -1)
		must(b, err)
		got, err := io.ReadAll(body)
		if err != nil || string(got) != string(data) || body.Close() != nil {
			b.Error(err)
		}
	})
}
