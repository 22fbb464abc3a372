package wire

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/ref"
)

// New returns the host with the canonical name. It makes no request. Its connections also trust the
// certificates of the registries in serves, whose tokens it issues. pieces pools the buffers that
// bodies are copied through.
func New(
	name string, set credential.Settings, serves map[string]credential.Settings, o *Options, pieces *sync.Pool,
) *Host {
	h := &Host{Name: name, api: name, Set: set, serves: serves, Options: o, pieces: pieces}
	if name == ref.DockerHub {
		h.api = "registry-1.docker.io"
	}
	h.Dialect = product.DialectOf(name, set)
	switch {
	case set.PlainHTTP:
		h.scheme = "http"
	case !ref.IsLoopback(name):
		h.scheme = "https"
	}
	start, top := bodies, 2*bodies
	if wide := cmp.Or(max(set.Connections, 0), o.Connections); wide > 0 {
		start, top = min(start, wide), wide
	}
	most := cmp.Or(o.Asks, asks)
	h.asking, h.down, h.Up = limit.NewCrowd((most+1)/2, most), limit.NewBodies(start, top), limit.NewBodies(start, top)
	h.Budgets = limit.NewBudgets(name, product.Of(name, set), set.RequestsPerSecond)
	h.bytes.PerSecond = float64(set.BytesPerSecond)
	h.probing = make(limit.Gate, 1)
	h.Pulls = limit.NewPulls(name, h.Dialect.Kind)
	h.Broken = h.connect()
	return h
}

// Close closes idle connections, including those dialed early.
func (h *Host) Close() {
	h.spares.close()
	for _, t := range []*http.Transport{h.meta, h.blobs, h.away} {
		if t != nil {
			t.CloseIdleConnections()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.spare != nil {
		_ = h.spare.Close()
		h.spare = nil
	}
}

// Idle closes the idle connections to the registry, so that the next request dials a new one.
func (h *Host) Idle() {
	for _, t := range []*http.Transport{h.meta, h.blobs, h.away} {
		if t == nil {
			continue
		}
		t.CloseIdleConnections()
	}
}

// connect creates the host's transports.
func (h *Host) connect() error {
	own, roots, err := h.tlsConfigs()
	if err != nil {
		return err
	}
	h.meta = h.transport(own, h.dialHome)
	h.meta.Protocols.SetHTTP2(true)
	h.meta.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second}
	if h.scheme == "" {
		h.meta.DialTLSContext = h.dialSpare
	}
	h.blobs = h.transport(own, widened(h.dialHome, h.pieces))
	h.blobs.DialTLSContext = h.dialBody
	h.away = h.transport(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, widened(h.dialAway, h.pieces))
	return nil
}

func (h *Host) transport(config *tls.Config, dial dialer) *http.Transport {
	idle := 2 * max(h.down.Top, asks)
	if h.Options.Asks > 0 {
		idle = max(1, h.Options.Asks/2)
	}
	t := &http.Transport{
		Proxy:                  h.proxy,
		OnProxyConnectResponse: connected,
		DialContext:            dial,
		TLSClientConfig:        config.Clone(),
		TLSHandshakeTimeout:    handshake,
		DisableCompression:     true, // bytes arrive as they are stored
		MaxIdleConnsPerHost:    idle,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// proxy returns the proxy of the environment for req, if Options.Proxied accepts the address that
// the proxy would dial.
func (h *Host) proxy(req *http.Request) (*url.URL, error) {
	p, err := http.ProxyFromEnvironment(req)
	if err == nil && p != nil && h.Options.Proxied != nil {
		err = h.Options.Proxied(withPort(req.URL.Host, map[string]string{"http": "80", "https": "443"}[req.URL.Scheme]))
	}
	return p, err
}

// CertDirs returns the directories in which docker and podman keep certificates by host.
func CertDirs() []string {
	dirs := []string{"/etc/containers/certs.d", "/etc/docker/certs.d"}
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append([]string{filepath.Join(home, ".config/containers/certs.d")}, dirs...)
	}
	return dirs
}

// tlsConfigs returns the TLS configuration for the registry itself, and the root certificates that
// are also trusted for its storage at other hosts.
func (h *Host) tlsConfigs() (*tls.Config, *x509.CertPool, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: h.Set.Insecure, //nolint:gosec // the configuration of this host asks for it
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	files := h.authorities(h.Name, h.Set)
	for name, set := range h.serves {
		files = append(files, h.authorities(name, set)...)
	}
	pairs := [][2]string{}
	if h.Set.ClientCert != "" || h.Set.ClientKey != "" {
		pairs = append(pairs, [2]string{h.Set.ClientCert, h.Set.ClientKey})
	}
	for _, dir := range h.Options.CertDirs {
		certs, _ := filepath.Glob(filepath.Join(dir, h.Name, "*.cert"))
		for _, cert := range certs {
			pairs = append(pairs, [2]string{cert, strings.TrimSuffix(cert, ".cert") + ".key"})
		}
		keys, _ := filepath.Glob(filepath.Join(dir, h.Name, "*.key"))
		for _, key := range keys {
			if cert := strings.TrimSuffix(key, ".key") + ".cert"; !slices.Contains(certs, cert) {
				return nil, nil, h.badFile(key, fmt.Errorf("its certificate %s is missing", filepath.Base(cert)))
			}
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
				err = errors.New("the file contains no certificate")
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

// authorities returns the files of the certificates that are trusted for a registry in addition to
// those of the system.
func (h *Host) authorities(name string, set credential.Settings) (files []string) {
	if set.CAFile != "" {
		files = append(files, set.CAFile)
	}
	for _, dir := range h.Options.CertDirs {
		found, _ := filepath.Glob(filepath.Join(dir, name, "*.crt"))
		files = append(files, found...)
	}
	return files
}

func (h *Host) badFile(name string, err error) error {
	return &fault.Fault{
		Kind: fault.Invalid,
		Op:   "read certificates for",
		Name: h.Name,
		Hint: "correct the path or the file: see ca-file and client-cert of this registry in the configuration",
		Err:  fmt.Errorf("%s: %w", name, err),
	}
}
