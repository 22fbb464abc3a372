package remote

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/drayage/dray/fault"
)

// certDirs are where docker and podman keep certificates by host.
func certDirs() []string {
	dirs := []string{"/etc/containers/certs.d", "/etc/docker/certs.d"}
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append([]string{filepath.Join(home, ".config/containers/certs.d")}, dirs...)
	}
	return dirs
}

// tlsConfigs returns the configuration for the registry itself, and the roots
// that are also trusted for its storage elsewhere.
func (h *line) tlsConfigs() (*tls.Config, *x509.CertPool, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: h.set.Insecure, ClientSessionCache: tls.NewLRUClientSessionCache(0)} //nolint:gosec // by configuration, for this host
	var files []string
	if h.set.CAFile != "" {
		files = append(files, h.set.CAFile)
	}
	pairs := [][2]string{}
	if h.set.ClientCert != "" || h.set.ClientKey != "" {
		pairs = append(pairs, [2]string{h.set.ClientCert, h.set.ClientKey})
	}
	for _, dir := range h.options.CertDirs {
		found, _ := filepath.Glob(filepath.Join(dir, h.name, "*.crt"))
		files = append(files, found...)
		certs, _ := filepath.Glob(filepath.Join(dir, h.name, "*.cert"))
		for _, cert := range certs {
			pairs = append(pairs, [2]string{cert, strings.TrimSuffix(cert, ".cert") + ".key"})
		}
	}
	if len(files) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		for _, name := range files {
			pem, err := os.ReadFile(name)
			if err == nil && !pool.AppendCertsFromPEM(pem) {
				err = errors.New("no certificate in it")
			}
			if err != nil {
				return nil, nil, h.badFile(name, err)
			}
		}
		config.RootCAs = pool
	}
	for _, p := range pairs {
		pair, err := tls.LoadX509KeyPair(p[0], p[1])
		if err != nil {
			return nil, nil, h.badFile(p[0], err)
		}
		config.Certificates = append(config.Certificates, pair)
	}
	return config, config.RootCAs, nil
}

func (h *line) badFile(name string, err error) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read certificates for", Name: h.name, Err: fmt.Errorf("%s: %w", name, err)}
}
