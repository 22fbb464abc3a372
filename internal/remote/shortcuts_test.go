package remote_test

import (
	"bytes"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

func TestRangesOfABlobAskTheRegistryOnceWhereItsStorageIs(t *testing.T) {
	data, d := noise(t, 1, 100_000)
	var expired atomic.Bool
	var logins atomic.Int32
	storage := testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			logins.Add(1)
		}
		if expired.Load() && r.URL.RawQuery == "sig=1-canary-7f3a91" {
			http.Error(w, "expired", http.StatusForbidden)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}), testbed.Options{})
	var asked atomic.Int32
	registry := testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			http.Redirect(w, r, storage.URL+"/blob?sig=1-canary-7f3a91", http.StatusTemporaryRedirect)
			return
		}
		http.Redirect(w, r, storage.URL+"/blob?sig=2-canary-7f3a91", http.StatusTemporaryRedirect)
	}), testbed.Options{})
	from := client(t).Open(repo(registry, "app"), remote.Use{})
	part := func(at int64) {
		t.Helper()
		body, begins, err := from.Blob(t.Context(), oci.Descriptor{Digest: d.Digest, Size: d.Size}, at, 1000)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		got, err := io.ReadAll(body)
		if err != nil || begins != at || !bytes.Equal(got, data[at:at+1000]) {
			t.Errorf("%d bytes from %d: %v", len(got), begins, err)
		}
	}
	for at := range int64(5) {
		part(at * 10_000)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the registry was asked %d times for 5 ranges", n)
	}
	expired.Store(true)
	part(50_000)
	part(60_000)
	if n := asked.Load(); n != 2 || logins.Load() != 0 {
		t.Errorf("the registry was asked %d times in all; the storage saw %d logins", n, logins.Load())
	}
}
