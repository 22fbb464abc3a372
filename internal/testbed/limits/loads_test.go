//go:build linux

package limits

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/testbed"
)

// abreast calls do for each number below n, at most at the same time at once.
func abreast(n, at int, do func(i int)) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range min(n, at) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	all.Wait()
}

// wide is a client that keeps its connections.
func wide() *http.Client { return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}} }

// send sends a request with a JSON body and returns the body of an answer with the status want.
func send(t *testing.T, client *http.Client, method, url, kind, body string, want int) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return nil
	}
	req.Header.Set("Content-Type", kind)
	resp, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Errorf("%s %s: %s %v %.300s", method, url, resp.Status, err, raw)
	}
	return raw
}

func TestLimitAThousandPullsOfOneBlob(t *testing.T) {
	p, addr := serve(t, box{}, nil)
	content := noise(t, 1, 1<<20)
	if got := push(t, addr, content); got != 201 {
		t.Fatal(got)
	}
	n, client, at := size(1000, 200), wide(), fmt.Sprintf("http://%s/v2/app/blobs/%s", addr, digest.FromBytes(content))
	abreast(n, n, func(int) {
		if got := send(t, client, "GET", at, "", "", 200); !bytes.Equal(got, content) {
			t.Errorf("%d bytes", len(got))
		}
	})
	p.alive(addr)
	p.figures(fmt.Sprintf("%d pulls of 1 MiB at once", n))
	p.stop()
}

func TestLimitTenThousandTags(t *testing.T) {
	p, addr := serve(t, box{}, nil)
	config := []byte("{}")
	if got := push(t, addr, config); got != 201 {
		t.Fatal(got)
	}
	const kind = "application/vnd.oci.image.manifest.v1+json"
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":2},"layers":[]}`, kind, digest.FromBytes(config))
	n, client, base := size(10_000, 300), wide(), "http://"+addr+"/v2/app/"
	abreast(n, 16, func(i int) { send(t, client, "PUT", fmt.Sprintf("%smanifests/t%d", base, i), kind, manifest, 201) })
	listed := 0
	for last := ""; ; { // a page has at most 1000
		var list struct{ Tags []string }
		if err := json.Unmarshal(send(t, client, "GET", base+"tags/list?n=1000&last="+last, "", "", 200), &list); err != nil {
			t.Fatal(err)
		}
		if len(list.Tags) == 0 {
			break
		}
		listed, last = listed+len(list.Tags), list.Tags[len(list.Tags)-1]
	}
	if listed != n {
		t.Errorf("%d of %d tags", listed, n)
	}
	p.figures(fmt.Sprintf("%d tags pushed by 16 clients and listed", n))
	p.stop()
}

// A server that runs no jobs accepts them, and another start has all of them.
func TestLimitTenThousandQueuedJobs(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{})
	dir := t.TempDir()
	p, addr := serve(t, box{dir: dir}, map[string]string{"src": source.Host}, "--slots", "-1")
	n, client := size(10_000, 300), wide()
	abreast(n, 16, func(i int) {
		send(t, client, "POST", "http://"+addr+"/api/v1/imports", "application/json",
			fmt.Sprintf(`{"source":"src/none:v1","target":"dray","images":["t:v%d"]}`, i), 202)
	})
	p.figures(fmt.Sprintf("%d jobs accepted", n))
	p.stop()
	p, addr = serve(t, box{dir: dir}, map[string]string{"src": source.Host})
	count := jobs(t, client, addr)
	if count != n {
		t.Errorf("%d of %d jobs", count, n)
	}
	p.figures("the next start, all of them listed")
	p.stop()
}

// jobs returns how many jobs a server lists.
func jobs(t *testing.T, client *http.Client, addr string) (count int) {
	t.Helper()
	for after := ""; ; {
		var page struct {
			Jobs []struct{ ID string }
			Next string
		}
		if err := json.Unmarshal(send(t, client, "GET", "http://"+addr+"/api/v1/jobs?limit=500&after="+after, "", "", 200), &page); err != nil {
			t.Fatal(err)
		}
		count += len(page.Jobs)
		if after = page.Next; after == "" {
			return count
		}
	}
}

func TestLimitAThousandSchedulesAtOnce(t *testing.T) {
	if !full() {
		t.Skip("SKIPPED: they are due at the next full minute; make limits waits for it")
	}
	source := testbed.Distribution(t, testbed.Options{})
	p, addr := serve(t, box{}, map[string]string{"src": source.Host}, "--slots", "-1")
	const n = 1000
	client := wide()
	if left := time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)); left < 20*time.Second {
		time.Sleep(left) // all of them must exist before they are due
	}
	abreast(n, 16, func(i int) {
		send(t, client, "POST", "http://"+addr+"/api/v1/schedules", "application/json", fmt.Sprintf(
			`{"name":"s%d","cron":"* * * * *","request":{"kind":"import","import":{"source":"src/none:v1","target":"dray","images":["t:v%d"]}}}`, i, i), 201)
	})
	due := time.Now().Truncate(time.Minute).Add(time.Minute)
	count := 0
	for count < n && time.Since(due) < time.Minute {
		time.Sleep(500 * time.Millisecond)
		count = jobs(t, client, addr)
	}
	if count != n {
		t.Errorf("%d of %d jobs", count, n)
	}
	p.alive(addr)
	p.figures(fmt.Sprintf("%d schedules, whose jobs were there %.1f s after they were due", n, time.Since(due).Seconds()))
	p.stop()
}

func TestLimitFiveHundredWatchers(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{})
	p, addr := serve(t, box{}, map[string]string{"src": source.Host}, "--slots", "-1")
	client := wide()
	var job struct{ ID string }
	if err := json.Unmarshal(send(t, client, "POST", "http://"+addr+"/api/v1/imports", "application/json",
		`{"source":"src/none:v1","target":"dray","images":["t:v1"]}`, 202), &job); err != nil {
		t.Fatal(err)
	}
	url := "http://" + addr + "/api/v1/jobs/" + job.ID
	n := size(500, 100)
	heard := make(chan error, n)
	began := make(chan struct{}, n)
	for range n {
		go func() {
			resp, err := client.Get(url + "/events")
			if err == nil && resp.StatusCode != 200 {
				err = fmt.Errorf("%s", resp.Status)
			}
			began <- struct{}{}
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body) // until the job has ended
				resp.Body.Close()
			}
			heard <- err
		}()
	}
	for range n {
		<-began
	}
	canceled := time.Now()
	send(t, client, "POST", url+"/cancel", "", "", 202)
	for range n {
		if err := <-heard; err != nil {
			t.Error(err)
		}
	}
	p.figures(fmt.Sprintf("%d watchers of one job, all told of its end within %.1f s", n, time.Since(canceled).Seconds()))
	p.stop()
}
