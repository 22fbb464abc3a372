package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/database"
)

// together returns the sum of a metric over processes.
func together(t *testing.T, metric string, at []string) (sum int) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(metric) + ` ([0-9.e+]+)$`)
	for _, addr := range at {
		resp, err := http.Get("http://" + addr + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range line.FindAllStringSubmatch(string(raw), -1) {
			n, err := strconv.ParseFloat(found[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += int(n)
		}
	}
	return sum
}

// A job that workers divide is one job in their metrics and traces, also if it is canceled.
func TestADividedJobIsCountedAndTracedOnce(t *testing.T) {
	spans := &collector{}
	receiver := httptest.NewServer(spans)
	defer receiver.Close()
	source := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	stuck, reached, release := blocking(t)
	target := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	const repositories = 4
	for i := range repositories {
		testbed.Random(t, source, fmt.Sprintf("app-%d", i), "v1", testbed.RandomOptions{Layers: 1, Size: 1 << 10, Seed: uint64(i + 1)})
		testbed.Random(t, stuck, fmt.Sprintf("app-%d", i), "v1", testbed.RandomOptions{Layers: 1, Size: 1 << 10, Seed: uint64(i + 1)})
	}
	c := server.Config{
		Database: database.Postgres(t),
		Engine:   engines.Namespace(t),
		Key:      access.KeySource{File: filepath.Join(t.TempDir(), "key")},
		Slots:    -1,
		Env: func(name string) string {
			return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL}[name]
		},
		Dray: dray.Config{Registries: map[string]dray.Registry{
			"src": plainHTTP(source), "stuck": plainHTTP(stuck), "dst": plainHTTP(target)}},
	}
	of := c
	of.Data, of.Ops = t.TempDir(), freeAddr(t)
	r, all := run(t, of), []string{of.Ops}
	var stops []func()
	for range 2 {
		w := c
		w.Slots, w.Ops = 1, freeAddr(t)
		stops, all = append(stops, work(t, w)), append(all, w.Ops)
	}
	user := r.remoteAs(credential.Secret{})
	submit := func(from string) job.Job {
		t.Helper()
		j, err := user.Submit(t.Context(), wire.Request{Kind: wire.KindTransfer,
			Transfer: &wire.Transfer{Ends: wire.Ends{Sources: []string{from}, Target: "dst/" + from + "/"}}}, client.How{})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	done(t, user, submit("src").ID)
	if n := together(t, fmt.Sprintf(`dray_registry_bytes_total{direction="received",registry=%q}`, source.Host), all); n < repositories<<10 {
		t.Errorf("%d bytes were counted", n)
	}

	defer release()
	j := submit("stuck")
	<-reached
	<-reached
	if _, err := user.Cancel(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	j, err := user.Wait(t.Context(), j.ID)
	if err != nil || j.State != job.Canceled ||
		!strings.HasSuffix(j.Failure.Text, "; 2 of 4 parts were not carried out, and 2 were interrupted") {
		t.Errorf("%+v %+v %v", j, j.Failure, err)
	}
	for metric, want := range map[string]int{
		`dray_job_runs_total{kind="transfer",state="done"}`:               1,
		`dray_job_runs_total{kind="transfer",state="canceled"}`:           1,
		`dray_job_run_duration_seconds_count{kind="transfer"}`:            2,
		`dray_job_run_duration_seconds_bucket{kind="transfer",le="+Inf"}`: 2,
		`dray_jobs_running`: 0,
	} {
		got := together(t, metric, all) // a process counts what it has stored
		for end := time.Now().Add(30 * time.Second); got != want && time.Now().Before(end); got = together(t, metric, all) {
			time.Sleep(20 * time.Millisecond)
		}
		if got != want {
			t.Errorf("%s is %d, want %d", metric, got, want)
		}
	}
	for _, stop := range stops { // and send their spans
		stop()
	}
	spans.mu.Lock()
	defer spans.mu.Unlock()
	for name, want := range map[string]int{"job transfer": 2, "divide transfer": 2, "part transfer": repositories + 2} {
		if got := strings.Count(spans.seen.String(), name); got != want {
			t.Errorf("%d spans %q, want %d", got, name, want)
		}
	}
}
