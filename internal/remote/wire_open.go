package remote

import (
	"cmp"
	"crypto/tls"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/ref"
)

// newLine makes the connection to a host with a canonical name. pieces holds memory of bytes
// on their way.
func newLine(name string, set credential.Settings, o *lineOptions, pieces *sync.Pool) *line {
	h := &line{name: name, api: name, set: set, options: o, pieces: pieces}
	if name == ref.DockerHub {
		h.api = "registry-1.docker.io"
	}
	h.dialect = dialectOf(name, set)
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
	h.asking, h.down, h.up = newCrowd(asks/2, asks, false), newCrowd(start, top, true), newCrowd(start, top, true)
	h.budgets = newBudgets(name, productOf(name, set), set.RequestsPerSecond)
	h.bytes.perSecond = float64(set.BytesPerSecond)
	h.probing = make(gate, 1)
	h.pulls = newPulls(name, h.dialect.Kind)
	h.broken = h.connect()
	return h
}

func (h *line) close() {
	h.spares.close()
	for _, t := range []*http.Transport{h.meta, h.blobs, h.away} {
		if t != nil {
			t.CloseIdleConnections()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.spare != nil {
		h.spare.Close()
		h.spare = nil
	}
}

// idle lets go of connections that nobody uses.
func (h *line) idle() {
	for _, t := range []*http.Transport{h.meta, h.blobs} {
		t.CloseIdleConnections()
	}
}

// connect builds the host's transports.
func (h *line) connect() error {
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

func (h *line) transport(config *tls.Config, dial dialer) *http.Transport {
	t := &http.Transport{
		Proxy:                  h.proxy,
		DialContext:            dial,
		TLSClientConfig:        config.Clone(),
		TLSHandshakeTimeout:    handshake,
		DisableCompression:     true, // bytes arrive as they were stored
		MaxIdleConnsPerHost:    2 * max(h.down.top, asks),
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// proxy is that of the environment, where Options.Proxied agrees to what it is to dial.
func (h *line) proxy(req *http.Request) (*url.URL, error) {
	p, err := http.ProxyFromEnvironment(req)
	if err == nil && p != nil && h.options.Proxied != nil {
		err = h.options.Proxied(withPort(req.URL.Host, map[string]string{"http": "80", "https": "443"}[req.URL.Scheme]))
	}
	return p, err
}
