package azure

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// answerLimit is for one answer: some servers hold it until the state changes.
const answerLimit = time.Minute

// reach opens connections to resource managers. There is one transport for each file of certificates.
type reach struct {
	settings func(host string) credential.Settings
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)

	mu   sync.Mutex
	open map[string]*http.Transport
}

// manager returns the URL of the resource manager for a registry, without a slash at its end. ok is false if none is
// known: then Azure cannot import into it.
func (r *reach) manager(host string) (at string, ok bool) {
	at = cmp.Or(r.settings(host).ResourceManager, credential.ResourceManager(host))
	return strings.TrimRight(at, "/"), at != ""
}

// checked returns the URL of a resource manager, if a token may be sent there: over https, or to this machine.
func checked(manager string) (*url.URL, error) {
	u, err := url.Parse(manager)
	if err == nil && (u.Host == "" || u.User != nil || u.RawQuery != "") {
		err = errors.New("not the URL of a resource manager")
	}
	if err == nil && u.Scheme != "https" && (u.Scheme != "http" || !ref.IsLoopback(u.Host)) {
		err = errors.New("the URL of a resource manager begins with https://")
	}
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "use azure.resource-manager", Name: manager, Err: err}
	}
	return u, nil
}

// authorities returns the file of certificates that are trusted for the resource manager of a registry, in addition to
// those of the system.
func (r *reach) authorities(host string) []string {
	if s := r.settings(host); s.ResourceManager != "" && s.CAFile != "" {
		return []string{s.CAFile}
	}
	return nil
}

// transport returns what reaches the resource manager of a registry.
func (r *reach) transport(host string) (http.RoundTripper, error) {
	file := strings.Join(r.authorities(host), "")
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.open[file]; t != nil {
		return t, nil
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           r.dial,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   8,
		ResponseHeaderTimeout: answerLimit,
	}
	if file != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pem, err := os.ReadFile(file)
		if err == nil && !pool.AppendCertsFromPEM(pem) {
			err = errors.New("the file contains no certificate")
		}
		if err != nil {
			return nil, &fault.Fault{Kind: fault.Invalid, Op: "read ca-file", Name: file, Err: err}
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	if r.open == nil {
		r.open = map[string]*http.Transport{}
	}
	r.open[file] = t
	return t, nil
}

func (r *reach) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.open {
		t.CloseIdleConnections()
	}
}
