//go:build linux

package limits

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/hollow"
)

const small = 128 << 20

func TestLimitMemoryOfTheCommandLine(t *testing.T) {
	t.Run("a layer of 1 GiB", func(t *testing.T) {
		source, image := hollow.Sparse(t, size[int64](1<<30, 1<<28), testbed.Options{})
		target := hollow.NewSink(t)
		to := testbed.Serve(t, target, testbed.Options{})
		dray(t, box{memory: small}, 0, "copy", source.Host+"/sparse:v1", to.Host+"/app:v1").figures("a layer of 1 GiB")
		if target.Bytes() != image.Bytes {
			t.Error(target.Bytes())
		}
	})
	source, target := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	t.Run("300 tags", func(t *testing.T) {
		for i := range size(300, 30) {
			testbed.Random(t, source, "tags/app", fmt.Sprint("v", i), testbed.RandomOptions{Layers: 2, Size: 1 << 20, Seed: uint64(i)})
		}
		dray(t, box{memory: small}, 0, "transfer", source.Host+"/tags/app", target.Host).figures("300 tags")
	})
	t.Run("an index", func(t *testing.T) {
		testbed.Index(t, source, "index/app", "v1", 60)
		dray(t, box{memory: small}, 0, "copy", source.Host+"/index/app:v1", target.Host+"/index/app:v1").figures("an index of 60 platforms")
	})
	t.Run("repositories", func(t *testing.T) {
		for i := range size(200, 10) {
			testbed.Random(t, source, fmt.Sprint("many/app", i), "v1", testbed.RandomOptions{Size: 1 << 18, Seed: uint64(i)})
		}
		dray(t, box{memory: small}, 0, "transfer", source.Host+"/many/", target.Host).figures("200 repositories")
	})
	t.Run("a bundle", func(t *testing.T) {
		p := dray(t, box{memory: small}, 0, "bundle", "create", "--transfer", source.Host+"/tags/", "-o", "all.tar")
		p.figures("a bundle of 300 tags")
		p = dray(t, box{memory: small, dir: p.cmd.Dir}, 0, "bundle", "load", "all.tar", target.Host+"/loaded/")
		p.figures("its load")
	})
}

// push stores a blob in the repository app of a server.
func push(t *testing.T, addr string, content []byte) (status int) {
	t.Helper()
	resp, err := http.Post(fmt.Sprintf("http://%s/v2/app/blobs/uploads/", addr), "", http.NoBody)
	if err != nil {
		t.Error(err)
		return 0
	}
	resp.Body.Close()
	at := resp.Header.Get("Location")
	if strings.HasPrefix(at, "/") {
		at = "http://" + addr + at
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, at+"&digest="+digest.FromBytes(content).String(), bytes.NewReader(content))
	if err == nil {
		resp, err = http.DefaultClient.Do(req)
	}
	if err != nil {
		t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusCreated {
		t.Logf("push: %s %.300s", resp.Status, text)
	}
	return resp.StatusCode
}

func noise(t *testing.T, seed uint64, n int64) []byte {
	t.Helper()
	raw, err := io.ReadAll(testbed.Noise(seed, n))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestLimitMemoryOfAServer(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{})
	for i := range size(100, 6) {
		testbed.Random(t, source, fmt.Sprint("many/app", i), "v1", testbed.RandomOptions{Layers: 3, Size: 1 << 20, Seed: uint64(i)})
	}
	p, addr := serve(t, box{memory: small}, map[string]string{"src": source.Host})
	url := "http://" + addr
	p.figures("a server at rest")
	t.Run("pushes", func(t *testing.T) {
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				for n := range size(8, 2) {
					if got := push(t, addr, noise(t, uint64(i*100+n), 8<<20)); got != 201 {
						t.Error(got)
					}
				}
			})
		}
		all.Wait()
		p.alive(addr)
		p.figures("16 clients push 8 MiB each")
	})
	t.Run("plans", func(t *testing.T) {
		var plan strings.Builder
		plan.WriteString(`{"plan":1,"verb":"copy","overwrite":"update"}` + "\n")
		for i := 0; plan.Len() < 4<<20; i++ {
			fmt.Fprintf(&plan, `{"action":"copy","from":"a.example/app:v%d@sha256:%064x","to":"b.example/app:v%d"}`+"\n", i, i, i)
		}
		plan.WriteString(`{"end":true}` + "\n")
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				resp, err := http.Post(url+"/api/v1/plans/upload", "application/jsonl", strings.NewReader(plan.String()))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 202 && resp.StatusCode != 503 {
					t.Errorf("%s %s", resp.Status, text)
				}
			})
		}
		all.Wait()
		p.alive(addr)
		p.figures("16 plans of 4 MiB")
	})
	t.Run("hostile", func(t *testing.T) { hostile(t, p, addr) })
	t.Run("imports", func(t *testing.T) {
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				dray(t, box{}, 0, "transfer", "src/many/", fmt.Sprintf("dray/copy%d/", i), "--server", url)
			})
		}
		all.Wait()
		p.alive(addr)
		p.figures("4 transfers at once")
	})
	t.Run("lists", func(t *testing.T) {
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				for _, path := range []string{"/v2/_catalog?n=1000", "/api/v1/jobs", "/v2/copy0/many/app1/tags/list", "/metrics"} {
					resp, err := http.Get(url + path)
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if resp.StatusCode != 200 {
						t.Error(path, resp.Status)
					}
				}
			})
		}
		all.Wait()
		p.figures("lists")
	})
	p.stop()
}

// hostile sends sixteen times at once what takes much memory. The server may refuse it, and must stay.
func hostile(t *testing.T, p *process, addr string) {
	t.Helper()
	for _, tt := range []struct{ name, method, path, kind, body string }{
		{"31 MiB of one letter", "POST", "/api/v1/plans/upload", "application/jsonl", strings.Repeat("a", 31<<20)},
		{"many numbers", "POST", "/api/v1/batches", "application/json", `{"target":"b.example","entries":[` + strings.Repeat("1,", 200_000) + "1]}"},
		{"many objects", "POST", "/api/v1/batches", "application/json", `{"target":"b.example","entries":[` + strings.Repeat("{},", 50_000) + "{}]}"},
		{"a manifest of 4 MiB", "PUT", "/v2/app/manifests/v1", "application/vnd.oci.image.manifest.v1+json", `{"schemaVersion":2,"layers":[` + strings.Repeat("{},", 1_300_000) + "{}]}"},
		{"a large form", "POST", "/oauth2/token", "application/x-www-form-urlencoded", strings.Repeat("a&", 1<<19-1)},
	} {
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+addr+tt.path, strings.NewReader(tt.body))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Content-Type", tt.kind)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Errorf("%s: %v", tt.name, err)
					return
				}
				defer resp.Body.Close()
				if _, _ = io.Copy(io.Discard, resp.Body); resp.StatusCode < 400 || resp.StatusCode == 500 {
					t.Errorf("%s: %s", tt.name, resp.Status)
				}
			})
		}
		all.Wait()
		p.figures("16 times " + tt.name)
	}
	p.alive(addr)
}
