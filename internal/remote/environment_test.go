package remote_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
)

func TestAProxyThatWouldBeIgnoredIsAnErrorOfNew(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "127.0.0.1:9x")
	if _, err := remote.New(remote.Options{CertDirs: []string{}}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "HTTPS_PROXY") {
		t.Errorf("%v", err)
	}
}

func TestAClientKeyWithoutItsCertificateIsRefused(t *testing.T) {
	r := testbed.Distribution(t, testbed.Options{})
	certs := t.TempDir()
	dir := filepath.Join(certs, r.Host)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Skip(err) // a colon is no letter of a file name everywhere
	}
	if err := os.WriteFile(filepath.Join(dir, "client.key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := remote.New(remote.Options{CertDirs: []string{certs}, Hosts: map[string]credential.Settings{r.Host: {PlainHTTP: true}}})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "its certificate client.cert is missing") {
		t.Errorf("%v", err)
	}
}
