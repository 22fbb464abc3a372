package server_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/pool"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/database"
	"github.com/drayage/dray/internal/testbed/stores"
)

// bucket returns a directory of a bucket in an object store.
func bucket(t *testing.T) registry.Storage {
	t.Helper()
	s := registry.Storage{Driver: "s3"}
	if _, err := s.Open(t.Context(), ""); err != nil && strings.Contains(err.Error(), "no storage driver") {
		t.Skip("SKIPPED: the tests were not built with -tags s3")
	}
	s.Parameters = stores.S3(t).Parameters
	return s
}

// Two servers of one bucket are pushed to, and run imports, while gc runs again and again and removes what has just
// lost its tag. What was accepted can be pulled from both.
func TestTwoServersOnOneBucketGoOnWhileItIsCollected(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	image := testbed.Random(t, source, "app", "v1", testbed.RandomOptions{Layers: 2, Size: 1 << 10})
	c := server.Config{
		Storage:  bucket(t),
		Database: database.Postgres(t),
		Engine:   engines.Namespace(t),
		Key:      access.KeySource{File: filepath.Join(t.TempDir(), "key")},
		Pools:    pool.Pools{},
		Dray:     dray.Config{Registries: map[string]dray.Registry{"src": plainHTTP(source)}},
	}
	var both [2]*running
	for i := range both {
		of := c
		of.Data = t.TempDir()
		both[i] = run(t, of)
	}
	stop := make(chan struct{})
	var pushing sync.WaitGroup
	var accepted [2][]string // marks, which are also tags
	for w := range accepted {
		pushing.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				r, mark := both[(i+w)%2], fmt.Sprintf("w%d-%d", w, i)
				// Between the two, gc may remove the blob.
				if r.pushBlob("", "app", "{}") == 201 && r.pushManifest("", "app", mark, mark) == 201 {
					accepted[w] = append(accepted[w], mark)
				}
				r.pushManifest("", "app", fmt.Sprint("lost-", w), mark+" will lose its tag")
			}
		})
	}
	const keep = 8 * time.Second // longer than the longest push
	var ids []string
	removed, began := 0, time.Now()
	for i := 0; i < 3 || removed == 0 && time.Since(began) < 6*keep; i++ {
		j, err := both[i%2].remoteAs(credential.Secret{}).Submit(t.Context(), importing("src/app:v1", "", fmt.Sprintf("imported-%d:v1", i)), client.How{})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, j.ID)
		time.Sleep(time.Second)
		of := c
		of.Data = t.TempDir()
		sum, err := server.Collect(t.Context(), of, registry.CollectOptions{Untagged: true, Keep: keep})
		if err != nil {
			t.Fatal(err)
		}
		removed += sum.Removed.Manifests
	}
	for i, id := range ids {
		done(t, both[(i+1)%2].remoteAs(credential.Secret{}), id)
	}
	close(stop)
	pushing.Wait()
	for _, r := range both {
		for _, mark := range append(accepted[0], accepted[1]...) {
			resp := r.as("", "GET", "/v2/app/manifests/"+mark, nil)
			if raw, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(raw) != manifestOf(mark) {
				t.Errorf("%s: %s", mark, resp.Status)
			}
		}
		if got := r.as("", "GET", "/v2/app/blobs/"+digest.FromString("{}").String(), nil).StatusCode; got != 200 {
			t.Errorf("the blob of all images: %d", got)
		}
		for i := range ids {
			resp := r.as("", "GET", fmt.Sprintf("/v2/imported-%d/manifests/v1", i), nil)
			if resp.Header.Get("Docker-Content-Digest") != image.Digest() {
				t.Errorf("import %d: %s", i, resp.Status)
			}
		}
	}
	t.Logf("%d and %d images were pushed, and %d manifests removed", len(accepted[0]), len(accepted[1]), removed)
	if removed == 0 || len(accepted[0]) == 0 || len(accepted[1]) == 0 {
		t.Error("nothing was tested")
	}
}

// A registry redirects pulls to its bucket on a private network. A job of another server follows if that server uses
// the same object store, or is allowed to.
func TestAJobFollowsARedirectToTheObjectStore(t *testing.T) {
	storage := bucket(t)
	storage.Redirect = true
	r := run(t, server.Config{Data: t.TempDir(), Storage: storage})
	content := rand.Text()
	for _, got := range []int{r.pushBlob("", "app", "{}"), r.pushBlob("", "app", content), r.pushManifest("", "app", "v1", "x")} {
		if got != 201 {
			t.Fatal(got)
		}
	}
	none := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := none.Get(r.base + "/v2/app/blobs/" + digest.FromString("{}").String())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusTemporaryRedirect {
		t.Fatal(resp.Status)
	}
	neighbor := storage
	neighbor.Parameters = maps.Clone(storage.Parameters)
	neighbor.Parameters["rootdirectory"] = "/" + rand.Text()
	from := dray.Registry{Host: strings.TrimPrefix(r.base, "http://"), Settings: dray.Settings{PlainHTTP: true}}
	for name, c := range map[string]server.Config{
		"stranger": {},
		"allowed":  {Egress: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		"neighbor": {Storage: neighbor},
	} {
		c.Data, c.Dray.Registries = t.TempDir(), map[string]dray.Registry{"src": from}
		other := run(t, c)
		j := other.finish(other.remoteAs(credential.Secret{}), importing("src/app:v1", "", "app:v1"))
		switch {
		case name == "stranger":
			if j.State != job.Failed || !strings.Contains(j.Failure.Text+j.Failure.Hint, "egress.allow") {
				t.Errorf("%s: %s %+v", name, j.State, j.Failure)
			}
		case j.State != job.Done:
			t.Errorf("%s: %s %+v", name, j.State, j.Failure)
		default:
			if got := other.as("", "GET", "/v2/app/manifests/v1", nil).StatusCode; got != 200 {
				t.Errorf("%s: %d", name, got)
			}
		}
	}
}
