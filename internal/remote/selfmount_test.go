package remote_test

import (
	"fmt"
	"testing"

	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

func always() bool { return true }

// fresh pushes n blobs and their manifest to a repository, as an engine does after it has checked
// whether the tag exists.
func fresh(t *testing.T, to *remote.Repository, n int, size int64) oci.Document {
	t.Helper()
	config := []byte(`{"architecture":"amd64","os":"linux"}`)
	raw := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[`, oci.TypeManifest, oci.Sum(config), len(config))
	blobs := map[oci.Digest][]byte{oci.Sum(config): config}
	for i := range n - 1 {
		data, d := noise(t, uint64(i+1), size)
		blobs[d.Digest] = data
		if i > 0 {
			raw += ","
		}
		raw += fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}`, d.Digest, d.Size)
	}
	doc, err := oci.Parse(oci.Descriptor{}, []byte(raw+"]}"))
	must(t, err)
	_, err = to.Resolve(t.Context(), "v1")
	if err == nil {
		t.Fatal("the tag exists")
	}
	missing, err := to.Missing(t.Context(), doc.Blobs)
	must(t, err)
	done := make(chan error)
	for _, d := range missing {
		go func() {
			_, err := to.Put(t.Context(), d, nil, opener(blobs[d.Digest]))
			done <- err
		}()
	}
	for range missing {
		must(t, <-done)
	}
	_, err = to.PutDocument(t.Context(), doc, "v1")
	must(t, err)
	return doc
}

func TestAFreshCopyOfNBlobsIsTwoRequestsAndTwoForEachBlob(t *testing.T) {
	for name, serve := range map[string]func(testing.TB, testbed.Options) *testbed.Registry{"distribution": testbed.Distribution, "docker-registry 2.8": testbed.DockerRegistry} {
		for _, n := range []int{2, 21} {
			r := serve(t, testbed.Options{})
			c := client(t)
			fresh(t, c.Open(repo(r, "app"), remote.Use{Actions: remote.Push, Writing: always}), n, 100<<10)
			if got := r.Requests(); got != 2+2*n {
				t.Errorf("%s: %d requests for %d blobs, want %d\n%s", name, got, n, 2+2*n, r.Story())
			}
		}
	}
}

func TestWhereAMountTellsABlobThatIsThereCostsOneRequestAndTheFirstOneMore(t *testing.T) {
	r := testbed.Distribution(t, testbed.Options{})
	fresh(t, client(t).Open(repo(r, "app"), remote.Use{Actions: remote.Push, Writing: always}), 5, 100<<10)
	r.Reset()
	to := client(t).Open(repo(r, "app"), remote.Use{Actions: remote.Push, Writing: always})
	for _, step := range []struct {
		seed     uint64
		way      oci.Way
		requests int
	}{{2, oci.Present, 2}, {99, oci.Sent, 2}, {3, oci.Present, 2}, {4, oci.Present, 1}} {
		r.Reset()
		data, d := noise(t, step.seed, 100<<10)
		a, err := to.Put(t.Context(), d, nil, opener(data))
		must(t, err)
		if a.Way != step.way || r.Requests() != step.requests {
			t.Errorf("%d: %+v\n%s", step.seed, a, r.Story())
		}
	}
}

func TestWhereAMountDoesNotTellTheRepositoryIsAsked(t *testing.T) {
	r := testbed.Sloppy(t, testbed.Options{})
	fresh(t, client(t).Open(repo(r, "app"), remote.Use{Actions: remote.Push, Writing: always}), 21, 100<<10)
	if got := r.Requests(); got > 3+2*21 {
		t.Errorf("%d requests\n%s", got, r.Story())
	}
	r.Reset()
	to := client(t).Open(repo(r, "app"), remote.Use{Actions: remote.Push, Writing: always})
	for seed := range uint64(3) {
		data, d := noise(t, seed+1, 100<<10)
		a, err := to.Put(t.Context(), d, nil, opener(data))
		must(t, err)
		if a.Way != oci.Present {
			t.Errorf("blob %d: %+v\n%s", seed, a, r.Story())
		}
	}
	if in := r.Count("PUT", testbed.Upload); in != 0 {
		t.Errorf("%d blobs were sent again", in)
	}
}

func TestASmallBlobIsSentInTheSessionThatAMountWhichDoesNotTellOpened(t *testing.T) {
	r := testbed.Sloppy(t, testbed.Options{})
	to := client(t).Open(repo(r, "app"), remote.Use{Actions: remote.Push, Writing: always})
	data, d := noise(t, 1, 100)
	missing, err := to.Missing(t.Context(), []oci.Descriptor{d})
	must(t, err)
	if len(missing) != 1 {
		t.Fatal(missing)
	}
	a, err := to.Put(t.Context(), d, nil, opener(data))
	must(t, err)
	if a.Way != oci.Sent || r.Requests() != 2 {
		t.Errorf("%+v\n%s", a, r.Story())
	}
}

func TestWhatIsOnlyLookedAtOpensNoUpload(t *testing.T) {
	r := testbed.Distribution(t, testbed.Options{})
	to := client(t).Open(repo(r, "app"), remote.Use{Actions: remote.Push, Writing: func() bool { return false }})
	var list []oci.Descriptor
	for i := range 4 {
		_, d := noise(t, uint64(i), 10)
		list = append(list, d)
	}
	missing, err := to.Missing(t.Context(), list)
	must(t, err)
	if len(missing) != 4 || r.Count("POST", "") != 0 {
		t.Errorf("%d are missing\n%s", len(missing), r.Story())
	}
}
