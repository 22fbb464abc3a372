package server_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/server"
)

// A principal that may only create tags must not move a tag because the storage could not read it.
func TestATagOfWhichNothingCanBeToldIsNotMade(t *testing.T) {
	data := t.TempDir()
	r := run(t, server.Config{Data: data, PublicURL: "https://dray.example", Htpasswd: users(t, "admin", "maker"),
		Roles: map[string]access.Role{"admin": access.Admin, "maker": access.Submitter},
		Rules: []access.Rule{{Principals: []string{"maker"}, Verbs: []string{"push"}, Targets: []string{"dray.example/**"}, Rights: []string{"create"}}}})
	r.pushBlob("admin", "app", "{}")
	if got := r.pushManifest("admin", "app", "v1", "first"); got != 201 {
		t.Fatal(got)
	}
	link := filepath.Join(data, "storage/docker/registry/v2/repositories/app/_manifests/tags/v1/current/link")
	if err := os.WriteFile(link, []byte("no digest"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := r.pushManifest("maker", "app", "v1", "second"); got != 503 {
		t.Errorf("put over a tag that cannot be read: %d", got)
	}
	if got := r.pushManifest("maker", "app", "v2", "second"); got != 201 {
		t.Errorf("put of a new tag: %d", got)
	}
}

func TestMetricsAreNobodysWhereSomeRepositoriesAre(t *testing.T) {
	r := guarded(t, access.Rule{Principals: []string{access.Anonymous}, Verbs: []string{"pull"}, Sources: []string{"dray.example/team/**"}})
	if got := r.as("", "GET", "/metrics", nil).StatusCode; got != 401 {
		t.Errorf("without credentials: %d", got)
	}
	if got := r.as("reader", "GET", "/metrics", nil).StatusCode; got != 200 {
		t.Errorf("a reader: %d", got)
	}
}
