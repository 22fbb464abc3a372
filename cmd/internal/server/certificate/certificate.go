// Package certificate keeps the certificate of a server, and reads it again when its files change.
package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/fault"
)

const certPoll = 10 * time.Second // how often the certificate files are checked for a change

// Files holds the server's certificate. It reads the certificate again when its files change or on
// SIGHUP. If the new files cannot be read, it logs the error and keeps the old certificate.
type Files struct {
	cert, key string
	access    atomic.Pointer[access.Access] // nil until the database is open
	log       *slog.Logger
	current   atomic.Pointer[tls.Certificate]
	seen      [2]fs.FileInfo
}

// Load reads the PEM files of a certificate and its key. The error is Invalid or Denied.
func Load(cert, key string, log *slog.Logger) (*Files, error) {
	k := &Files{cert: cert, key: key, log: log}
	if err := k.load(); err != nil {
		return nil, err
	}
	return k, nil
}

// Covers returns an error if the certificate is not valid for the names of registries below domain, a host that may
// have a port. "" has no names.
func (k *Files) Covers(domain string) error {
	leaf := k.current.Load().Leaf
	if domain == "" || leaf == nil {
		return nil
	}
	host, _, _ := strings.Cut(domain, ":")
	if err := leaf.VerifyHostname("name." + host); err != nil {
		return &fault.Fault{Kind: fault.Invalid, Op: "read certificate", Name: k.cert, Err: err,
			Hint: "use a certificate that is valid for *." + host + ", or leave registry-domain out"}
	}
	return nil
}

// Use makes k accept the client certificates of a's authorities. It does nothing without TLS.
func (k *Files) Use(a *access.Access) {
	if k != nil {
		k.access.Store(a)
	}
}

func (k *Files) load() error {
	seen := [2]fs.FileInfo{}
	for i, name := range []string{k.cert, k.key} {
		info, err := os.Stat(name)
		if err != nil {
			return badCert(name, err)
		}
		seen[i] = info
	}
	pair, err := tls.LoadX509KeyPair(k.cert, k.key)
	if err != nil {
		return badCert(k.cert, err)
	}
	k.current.Store(&pair)
	k.seen = seen
	return nil
}

func badCert(name string, err error) error {
	kind := fault.Invalid
	if errors.Is(err, fs.ErrPermission) {
		kind = fault.Denied
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err // the Fault names the file
	}
	return &fault.Fault{Kind: kind, Op: "read certificate", Name: name, Err: err,
		Hint: "give PEM files with the certificate and its key as --tls-cert and --tls-key"}
}

// changed reports whether a file has another time or size than when it was read.
func (k *Files) changed() bool {
	for i, name := range []string{k.cert, k.key} {
		info, err := os.Stat(name)
		if err == nil && (info.ModTime() != k.seen[i].ModTime() || info.Size() != k.seen[i].Size()) {
			return true
		}
	}
	return false
}

// Follow reads the files again when they change, until ctx ends. k is nil without TLS: then Follow
// only catches SIGHUP, which would otherwise end the process.
func (k *Files) Follow(ctx context.Context) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	look := time.NewTicker(certPoll)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			if k == nil || !k.changed() {
				continue
			}
		case <-hup:
			if k == nil {
				continue
			}
		}
		if err := k.load(); err != nil {
			k.log.LogAttrs(ctx, slog.LevelError, "certificate not read", slog.Any("err", err))
			continue
		}
		k.log.LogAttrs(ctx, slog.LevelInfo, "certificate read", slog.String("until", k.expires()))
	}
}

// expires returns the end of the certificate's validity.
func (k *Files) expires() string {
	pair := k.current.Load()
	leaf := pair.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return ""
		}
	}
	return leaf.NotAfter.UTC().Format(time.RFC3339)
}

// Config returns a tls.Config that takes the current certificate and the current client CAs for each
// connection.
func (k *Files) Config() *tls.Config {
	base := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.current.Load(), nil },
		NextProtos:     []string{"h2", "http/1.1"},
	}
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		a := k.access.Load()
		if a == nil {
			return nil, nil // the process only answers that it starts
		}
		pool, err := a.ClientCAs()
		if err != nil || pool == nil {
			return nil, err // an error ends the handshake, because the client CAs are not known
		}
		c := base.Clone()
		c.GetConfigForClient = nil
		c.ClientCAs, c.ClientAuth = pool, tls.VerifyClientCertIfGiven
		return c, nil
	}
	return base
}

// Expiry returns the text of a finding about the certificate. soon reports whether the certificate
// expires within 14 days.
func (k *Files) Expiry(now time.Time) (text string, soon bool) {
	pair := k.current.Load()
	if pair.Leaf == nil {
		return "", false
	}
	left := pair.Leaf.NotAfter.Sub(now)
	return fmt.Sprintf("certificate until %s", pair.Leaf.NotAfter.UTC().Format(time.DateOnly)), left < 14*24*time.Hour
}
