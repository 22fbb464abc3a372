package backing_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/registry/backing"
	"github.com/drayage/dray/oci"
)

// pair starts two servers with one bucket.
func pair(t *testing.T, s backing.Storage, secrets ...string) (urls [2]string, regs [2]*registry.Registry) {
	t.Helper()
	for i := range 2 {
		regs[i] = open(t, registry.Options{Storage: s, Secret: secrets[i]})
		srv := httptest.NewServer(regs[i])
		t.Cleanup(srv.Close)
		urls[i] = srv.URL
	}
	return urls, regs
}

// send sends a request without following redirects, and returns the response and its body.
func send(t *testing.T, method, url string, body []byte, headers ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, got
}

// upload sends content in two chunks. Each request goes to the other one of two servers, as behind a balancer.
func upload(t *testing.T, urls [2]string, repo string, content []byte) (status int, answer string) {
	t.Helper()
	resp, body := send(t, "POST", urls[0]+"/v2/"+repo+"/blobs/uploads/", nil)
	half := len(content) / 2
	for i, chunk := range [][]byte{content[:half], content[half:]} {
		if resp.StatusCode != http.StatusAccepted {
			return resp.StatusCode, string(body)
		}
		begin := i * half
		resp, body = send(t, "PATCH", urls[(i+1)%2]+resp.Header.Get("Location"), chunk, "Content-Type", "application/octet-stream",
			"Content-Range", fmt.Sprintf("%d-%d", begin, begin+len(chunk)-1))
	}
	if resp.StatusCode != http.StatusAccepted {
		return resp.StatusCode, string(body)
	}
	resp, body = send(t, "PUT", urls[1]+resp.Header.Get("Location")+"&digest="+string(oci.Sum(content)), nil)
	return resp.StatusCode, string(body)
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func TestAnUploadContinuesAtAnotherServerWithTheSameSecret(t *testing.T) {
	onEach(t, func(t *testing.T, s backing.Storage) {
		t.Helper()
		urls, _ := pair(t, s, "one secret", "one secret")
		for _, size := range []int{100, 12 << 20} { // S3 joins small chunks, and keeps those of 5 MiB apart
			content := random(size)
			if status, answer := upload(t, urls, "app", content); status != http.StatusCreated {
				t.Fatalf("%d bytes: %d %s", size, status, answer)
			}
			for _, url := range urls {
				if resp, got := send(t, "GET", url+"/v2/app/blobs/"+string(oci.Sum(content)), nil); resp.StatusCode != 200 || !bytes.Equal(got, content) {
					t.Errorf("%d bytes: %s, %d bytes returned", size, resp.Status, len(got))
				}
			}
		}
		urls, _ = pair(t, s, "one secret", "another")
		if status, answer := upload(t, urls, "app", random(100)); status == http.StatusCreated || !strings.Contains(answer, "invalid secret") {
			t.Errorf("with two secrets: %d %s", status, answer)
		}
	})
}

func TestPullsAreRedirectedOnlyIfThatIsConfigured(t *testing.T) {
	onEach(t, func(t *testing.T, s backing.Storage) {
		t.Helper()
		content := random(1000)
		for _, redirect := range []bool{false, true} {
			s.Redirect = redirect
			urls, _ := pair(t, s, "x", "x")
			if status, answer := upload(t, urls, "app", content); status != http.StatusCreated {
				t.Fatal(status, answer)
			}
			at := urls[1] + "/v2/app/blobs/" + string(oci.Sum(content))
			resp, got := send(t, "GET", at, nil)
			if redirect && resp.StatusCode != http.StatusTemporaryRedirect || !redirect && (resp.StatusCode != 200 || !bytes.Equal(got, content)) {
				t.Fatalf("redirect %t: %s", redirect, resp.Status)
			}
			if !redirect {
				continue
			}
			to, err := resp.Location()
			if err != nil {
				t.Fatal(err)
			}
			if resp, got := send(t, "GET", to.String(), nil, "Range", "bytes=10-19"); resp.StatusCode != http.StatusPartialContent || !bytes.Equal(got, content[10:20]) {
				t.Errorf("%s answers %s with %d bytes", to.Host, resp.Status, len(got))
			}
		}
	})
}

// image stores an image with one layer of its own through s and returns its document.
func image(ctx context.Context, s *registry.Store, layer []byte, tags ...string) (oci.Document, error) {
	config := []byte("{}")
	m := v1.Manifest{MediaType: v1.MediaTypeImageManifest,
		Config: v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: oci.Sum(config), Size: int64(len(config))},
		Layers: []v1.Descriptor{{MediaType: v1.MediaTypeImageLayer, Digest: oci.Sum(layer), Size: int64(len(layer))}}}
	m.SchemaVersion = 2
	raw, err := json.Marshal(m)
	if err != nil {
		return oci.Document{}, err
	}
	doc, err := oci.Parse(oci.Descriptor{}, raw)
	if err != nil {
		return doc, err
	}
	for _, blob := range [][]byte{config, layer} {
		d := oci.Descriptor{Digest: oci.Sum(blob), Size: int64(len(blob))}
		_, err := s.Put(ctx, d, nil, func(_ context.Context, at int64) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(blob[at:])), nil
		})
		if err != nil {
			return doc, err
		}
	}
	acc, err := s.PutDocument(ctx, doc, tags...)
	if err == nil && len(acc.Tags) != len(tags) {
		err = fmt.Errorf("accepted %+v", acc)
	}
	return doc, err
}

// Each of eight writers stores images through both servers in turn, in a repository that all share. It reads them at
// the other server, and deletes every second one.
func TestTwoServersOnOneBucketLoseNothing(t *testing.T) {
	onEach(t, func(t *testing.T, s backing.Storage) {
		t.Helper()
		_, regs := pair(t, s, "x", "x")
		shared := random(100_000)
		const writers, rounds = 8, 4
		kept := make([]map[string]oci.Digest, writers)
		var wg sync.WaitGroup
		for w := range writers {
			kept[w] = map[string]oci.Digest{}
			wg.Go(func() {
				for i := range rounds {
					here, there := store(t, regs[(w+i)%2], "team/app"), store(t, regs[(w+i+1)%2], "team/app")
					layer := random(10_000)
					if i == 0 {
						layer = shared // all writers store this one, and its image, at the same time
					}
					tag := fmt.Sprintf("w%d-%d", w, i)
					doc, err := image(t.Context(), here, layer, tag)
					if err != nil {
						t.Errorf("%s: %v", tag, err)
						return
					}
					if d, err := there.Resolve(t.Context(), tag); err != nil || d.Digest != doc.Digest {
						t.Errorf("%s at the other server: %v %v", tag, d.Digest, err)
					}
					if i%2 == 0 {
						kept[w][tag] = doc.Digest
						continue
					}
					if err := there.Delete(t.Context(), string(doc.Digest)); err != nil {
						t.Errorf("delete %s: %v", tag, err)
					}
					if _, err := here.Resolve(t.Context(), tag); !fault.Is(err, fault.NotFound) {
						t.Errorf("%s is still at the first server: %v", tag, err)
					}
				}
			})
		}
		wg.Wait()
		tags := map[string]oci.Digest{}
		for _, of := range regs {
			clear(tags)
			if err := store(t, of, "team/app").List(t.Context(), func(l oci.Listed) error { tags[l.Tag] = l.Descriptor.Digest; return nil }); err != nil {
				t.Fatal(err)
			}
			want := 0
			for w := range writers {
				for tag, digest := range kept[w] {
					want++
					if tags[tag] != digest {
						t.Errorf("%s leads to %q, want %s", tag, tags[tag], digest)
					}
				}
			}
			if len(tags) != want {
				t.Errorf("%d tags, want %d", len(tags), want)
			}
		}
	})
}

func TestCollectRemovesFromABucketWhatNothingNeeds(t *testing.T) {
	onEach(t, func(t *testing.T, s backing.Storage) {
		t.Helper()
		r := open(t, registry.Options{Storage: s})
		of := store(t, r, "app")
		kept, err := image(t.Context(), of, random(1000), "v1")
		if err != nil {
			t.Fatal(err)
		}
		lost, err := image(t.Context(), of, random(2000))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(1100 * time.Millisecond) // object stores keep times in seconds
		sum, err := registry.Collect(t.Context(), t.TempDir(), registry.CollectOptions{Storage: s, Untagged: true, Keep: -1})
		if err != nil || sum.Removed.Manifests != 1 || sum.Removed.Blobs != 2 || sum.Kept.Manifests != 1 || sum.Kept.Blobs != 3 {
			t.Fatalf("%+v %v", sum, err)
		}
		if _, err := of.Document(t.Context(), "v1"); err != nil {
			t.Error(err)
		}
		if missing, err := of.Missing(t.Context(), kept.Blobs); err != nil || len(missing) != 0 {
			t.Errorf("%v %v", missing, err)
		}
		if _, err := of.Document(t.Context(), string(lost.Digest)); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}
