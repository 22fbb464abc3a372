//go:build unix

package api_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed/database"
)

// The database commits the submission, and its answer is lost each time.
func TestASubmissionThatTheDatabaseDidNotConfirmIsToldAsSuch(t *testing.T) {
	n := database.NewNetwork(t, database.Postgres(t))
	y := newYard(t, settings{database: n.URL, idle: true})
	submit := func() (int, string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, y.server.URL+"/api/v1/imports",
			strings.NewReader(`{"source":"src/app:v1","images":["app:v1"],"target":"dst"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+y.tokens["ann"])
		req.Header.Set("Idempotency-Key", "once")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(raw)
	}
	n.CutAfter("commit")
	status, said := submit()
	n.CutAfter("")
	if status != http.StatusServiceUnavailable || !strings.Contains(said, "may have taken effect") || !strings.Contains(said, "dray jobs list") ||
		!strings.Contains(said, "idempotency key") || !strings.Contains(said, string(fault.Unavailable)) {
		t.Error(status, said)
	}
	jobs, _, err := y.queue.List(t.Context(), job.Filter{})
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	// What the answer advises: the same key finds the job.
	if status, said = submit(); status/100 != 2 || !strings.Contains(said, jobs[0].ID) {
		t.Error(status, said)
	}
	if jobs, _, err := y.queue.List(t.Context(), job.Filter{}); err != nil || len(jobs) != 1 || jobs[0].State != wire.Queued {
		t.Error(jobs, err)
	}
}
