package stores

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The account that Azurite has, whose key is public.
const (
	account    = "devstoreaccount1"
	accountKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Azure returns a directory of a container in Azurite, which has TLS.
func (s *Stores) Azure(tb testing.TB) Bucket {
	tb.Helper()
	azurite := find(tb, "Azurite", "npm/node_modules/.bin/azurite-blob")
	at := s.started(tb, &s.azure, "https", func(port string) []string {
		return []string{azurite, "--blobHost", "127.0.0.1", "--blobPort", port, "--location", filepath.Join(s.dir, "azurite"),
			"--cert", s.certFile(), "--key", s.keyFile(), "--skipApiVersionCheck", "--silent", "--disableTelemetry"}
	})
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPut, at+"/"+account+"/images?restype=container", nil)
	if err != nil {
		tb.Fatal(err)
	}
	signForAzure(tb, req)
	createBucket(tb, req)
	return Bucket{Driver: "azure", Server: s.azure.process, Parameters: map[string]any{
		"accountname": account, "accountkey": accountKey, "container": "images", "serviceurl": at + "/" + account,
		"credentials": map[string]any{"type": "shared_key"}, "rootdirectory": "/" + rand.Text(),
	}}
}

// signForAzure signs the request that creates a container (Azure Storage, "Authorize with Shared Key").
func signForAzure(tb testing.TB, req *http.Request) {
	tb.Helper()
	date := time.Now().UTC().Format(http.TimeFormat)
	req.Header.Set("X-Ms-Date", date)
	req.Header.Set("X-Ms-Version", "2021-12-02")
	text := req.Method + strings.Repeat("\n", 12) + "x-ms-date:" + date + "\nx-ms-version:2021-12-02\n" +
		"/" + account + req.URL.Path + "\nrestype:container"
	key, err := base64.StdEncoding.DecodeString(accountKey)
	if err != nil {
		tb.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	req.Header.Set("Authorization", "SharedKey "+account+":"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
