package access

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"sync"

	"github.com/drayage/dray/fault"
)

// caFile holds the certificates of a file, which it reads again when the file has changed.
type caFile struct {
	path string
	mu   sync.Mutex
	was  fs.FileInfo
	kept *x509.CertPool
}

// pool returns the certificates of the file as it is now.
func (c *caFile) pool() (*x509.CertPool, error) {
	bad := func(err error) (*x509.CertPool, error) {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read certificates", Name: c.path, Err: err,
			Hint: "give a PEM file with the certificates of the authorities as --client-ca or server.tls.client-ca"}
	}
	info, err := os.Stat(c.path)
	if err != nil {
		return bad(errors.Unwrap(err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if unchanged(c.was, info) {
		return c.kept, nil
	}
	raw, err := os.ReadFile(c.path)
	if err != nil {
		return bad(errors.Unwrap(err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return bad(errors.New("the file contains no certificate"))
	}
	c.kept, c.was = pool, info
	return pool, nil
}
