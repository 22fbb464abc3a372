package server_test

import (
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/testbed/disk"
)

// said returns the body of an answer.
func (r *running) said(method, path string, status int) string {
	r.t.Helper()
	raw, err := io.ReadAll(r.want(method, path, nil, status).Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(raw)
}

func TestAServerOnAFullDiskSaysSoAndGoesOnWhenThereIsRoom(t *testing.T) {
	dir := disk.Mount(t, 32<<20)
	c := server.Config{Data: filepath.Join(dir, "data"), Storage: registry.Storage{Free: 8 << 20}}
	r := run(t, c)
	content := strings.Repeat("layer", 1000)
	put := func(status int) {
		t.Helper()
		at := r.want("POST", "/v2/app/blobs/uploads/", nil, 202).Header.Get("Location")
		r.want("PUT", at+"&digest="+digest.FromString(content).String(), strings.NewReader(content), status)
	}
	put(201)
	if got := r.said("GET", "/readyz", 200); !strings.Contains(got, "space: ") || !strings.Contains(got, "8 MiB stay free") {
		t.Error(got)
	}

	empty := disk.Fill(t, dir, 4<<20)
	if got := r.said("GET", "/readyz", 503); !strings.Contains(got, "space: pushes are refused: ") || strings.Contains(got, dir) {
		t.Error(got)
	}
	r.said("GET", "/readyz?pulls", 200)
	for _, f := range server.Check(t.Context(), c) {
		if f.OK == (f.What == wire.Space) && f.What != "listen" {
			t.Errorf("%+v", f)
		}
	}
	if got := r.said("POST", "/v2/app/blobs/uploads/", 507); strings.Contains(got, dir) || !strings.Contains(got, "DENIED") {
		t.Error(got)
	}
	r.said("GET", "/v2/app/blobs/"+digest.FromString(content).String(), 200)
	metrics := r.said("GET", "/metrics", 200)
	for _, want := range []string{
		"dray_storage_total_bytes 3.3554432e+07", "dray_storage_reserved_bytes 8.388608e+06", "dray_storage_free_bytes ",
		`dray_pushes_refused_total{reason="space"} 1`, `dray_pushes_refused_total{reason="uploads"} 0`,
		"dray_uploads_unfinished 0", "dray_uploads_unfinished_bytes 0",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
	empty()
	r.said("GET", "/readyz", 200)
	put(201)
}

// A submission is refused with one line, and nothing that was accepted is lost.
func TestJobsOnAFullDiskOfTheDatabaseWaitOrAreRefused(t *testing.T) {
	dir := disk.Mount(t, 32<<20)
	r := run(t, server.Config{Data: filepath.Join(dir, "data"), Storage: registry.Storage{Free: -1}})
	cl, err := client.New(client.Config{URL: r.base})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	host := strings.TrimPrefix(r.base, "http://")
	submit := func(key string) (job.Job, error) {
		return cl.Submit(t.Context(), importing(host+"/none:v1", host, "copy:v1"), client.How{Key: key})
	}
	empty := disk.Fill(t, dir, 0)
	var refused error
	for range 100 { // the database may still have some free pages
		if _, refused = submit(""); refused != nil {
			break
		}
	}
	if !fault.Is(refused, fault.Full) || strings.Contains(refused.Error(), dir) || strings.Contains(refused.Error(), "\n") {
		t.Errorf("refused: %v", refused)
	}
	empty()
	deadline := time.Now().Add(20 * time.Second)
	var j job.Job
	for {
		if j, err = submit("again"); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for id, state := range ended(t, cl) {
		if state != job.Failed { // its source does not exist
			t.Errorf("%s: %s", id, state)
		}
	}
	if j, err = cl.Wait(t.Context(), j.ID); err != nil || j.State != job.Failed {
		t.Errorf("%+v %v", j, err)
	}
}

func TestTheLimitOfUnfinishedUploadsIsOfEachPrincipal(t *testing.T) {
	c := server.Config{Data: filepath.Join(t.TempDir(), "data")}
	c.PerPrincipal.Unfinished = registry.Unfinished{Uploads: 1}
	r := run(t, c)
	at := r.want("POST", "/v2/app/blobs/uploads/", nil, 202).Header.Get("Location")
	if got := r.said("POST", "/v2/app/blobs/uploads/", 429); !strings.Contains(got, "local has as many unfinished uploads as it may have, 1") {
		t.Error(got)
	}
	r.said("DELETE", at, 204)
	r.said("POST", "/v2/app/blobs/uploads/", 202)
}
