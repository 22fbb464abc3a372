//go:build linux && !race

package server_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/wire"
)

// most is the largest resident memory of a server whatever clients send to it, in MiB. It has some 60 MiB at rest.
const most = 256

// A server in a process of its own gets what would take much memory, sixteen times at once, and its resident memory
// stays within a bound. Nothing but the server itself limits it.
func TestNothingThatIsSentTakesMuchMemory(t *testing.T) {
	c := &child{t: t, data: t.TempDir(), listen: freeAddr(t), source: "src.example"}
	c.start()
	t.Cleanup(func() { c.kill() })
	api, v2 := wire.Prefix, "/v2/app/manifests/v1"
	head, end := `{"plan":1,"verb":"copy","overwrite":"update"}`+"\n", `{"end":true}`+"\n"
	var plan strings.Builder
	for i := 0; plan.Len() < 2<<20; i++ {
		fmt.Fprintf(&plan, `{"action":"copy","from":"a.example/app:v%d@sha256:%064x","to":"b.example/app:v%d"}`+"\n", i, i, i)
	}
	for _, tt := range []struct {
		name, method, path, kind, body string
		status                         []int
	}{
		{"31 MiB of one letter", "POST", api + "/plans/upload", "application/jsonl", strings.Repeat("a", 31<<20), []int{400}},
		{"31 MiB in one line", "POST", api + "/plans/upload", "application/jsonl", head + `{"action":"` + strings.Repeat("x", 31<<20), []int{400}},
		{"a line of many values", "POST", api + "/plans/upload", "application/jsonl", head + `{"referrers":[` + strings.Repeat("{},", 300_000) + "{}]}\n", []int{413}},
		{"plans", "POST", api + "/plans/upload", "application/jsonl", head + plan.String() + end, []int{202}},
		{"many lists", "POST", api + "/batches", "application/json", `{"target":"b.example","entries":[` + strings.Repeat("[],", 300_000) + "[]]}", []int{413}},
		{"many numbers", "POST", api + "/batches", "application/json", `{"target":"b.example","entries":[` + strings.Repeat("1,", 200_000) + "1]}", []int{422}},
		{"many objects", "POST", api + "/batches", "application/json", `{"target":"b.example","entries":[` + strings.Repeat("{},", 50_000) + "{}]}", []int{422}},
		{"deep lists", "POST", api + "/batches", "application/json", strings.Repeat("[", 1<<20-1), []int{413}},
		{"a manifest of many objects", "PUT", v2, "application/vnd.oci.image.manifest.v1+json", `{"schemaVersion":2,"layers":[` + strings.Repeat("{},", 1_300_000) + "{}]}", []int{413}},
		{"many fields of a form", "POST", "/oauth2/token", "application/x-www-form-urlencoded", strings.Repeat("a&", 1<<19-1), []int{413, 400}},
	} {
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+c.listen+tt.path, strings.NewReader(tt.body))
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
				text, _ := io.ReadAll(resp.Body)
				if !slices.Contains(tt.status, resp.StatusCode) {
					t.Errorf("%s: %s %.200s", tt.name, resp.Status, text)
				}
			})
		}
		all.Wait()
		mib := peakOf(t, c.cmd.Process.Pid)
		t.Logf("%-28s %d MiB", tt.name, mib)
		if mib > most {
			t.Fatalf("%s: the server has taken %d MiB", tt.name, mib)
		}
	}
}

// peakOf returns the largest resident memory that a process has had, in MiB.
func peakOf(t *testing.T, pid int) (mib int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := bytes.Cut(text, []byte("VmHWM:"))
	if !found {
		t.Skip("the system does not say how much memory a process has taken")
	}
	if _, err := fmt.Sscan(string(rest), &mib); err != nil {
		t.Fatal(err)
	}
	return mib >> 10
}

func TestTheBudgetOfMemoryIsInTheMetrics(t *testing.T) {
	r := run(t, server.Config{Data: t.TempDir(), Ops: freeAddr(t)})
	r.want("POST", wire.Prefix+"/batches", strings.NewReader(strings.Repeat("[", 1<<20-1)), 413)
	text, err := io.ReadAll(r.want("GET", "/metrics", nil, 200).Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range memory.Kinds() {
		for _, name := range []string{"bytes", "limit_bytes", "refused_total"} {
			if want := fmt.Sprintf("dray_request_memory_%s{kind=%q} ", name, kind); !strings.Contains(string(text), want) {
				t.Errorf("no %s", want)
			}
		}
	}
	if want := `dray_request_memory_refused_total{kind="decoded"} 1` + "\n"; !strings.Contains(string(text), want) {
		t.Errorf("no %s", want)
	}
}
