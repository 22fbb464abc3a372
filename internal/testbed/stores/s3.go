package stores

import (
	"crypto/rand"
	"net/http"
	"testing"

	"github.com/drayage/dray/internal/testbed/canary"
)

// S3 starts moto for one test, and returns a directory of a bucket in it. Unlike Main, it does not change the
// environment of the process.
func S3(tb testing.TB) Bucket {
	tb.Helper()
	s := &Stores{dir: tb.TempDir()}
	tb.Cleanup(s.end)
	return s.S3(tb)
}

// S3 returns a directory of a bucket in moto.
func (s *Stores) S3(tb testing.TB) Bucket {
	tb.Helper()
	find(tb, "moto", "python/lib/python*/site-packages/moto/server.py")
	python := find(tb, "python", "python/bin/python3")
	at := s.started(tb, &s.s3, "http", func(port string) []string {
		return []string{python, "-m", "moto.server", "-H", "127.0.0.1", "-p", port}
	})
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPut, at+"/images", nil)
	if err != nil {
		tb.Fatal(err)
	}
	createBucket(tb, req)
	return Bucket{Driver: "s3", Server: s.s3.process, Parameters: map[string]any{
		"bucket": "images", "region": "us-east-1", "regionendpoint": at, "forcepathstyle": true, "secure": false,
		"accesskey": "AKIDEXAMPLE", "secretkey": canary.Word, "rootdirectory": "/" + rand.Text(),
	}}
}
