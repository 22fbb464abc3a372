package access

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"sync"

	"github.com/drayage/dray/fault"
)

// caFile is the certificates that sign clients', read again when the file changed.
type caFile struct {
	path string
	mu   sync.Mutex
	was  fs.FileInfo
	kept *x509.CertPool
}

func (c *caFile) pool() (*x509.CertPool, error) {
	bad := func(err error) (*x509.CertPool, error) {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read certificates", Name: c.path, Err: err}
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
		return bad(errors.New("no certificate in it"))
	}
	c.kept, c.was = pool, info
	return pool, nil
}

// ClientCAs are the certificates that sign clients', for tls.Config.ClientCAs with
// tls.VerifyClientCertIfGiven; nil when clients have none. Ask for each connection: the file
// is read again when it changed. The error is Invalid.
func (a *Access) ClientCAs() (*x509.CertPool, error) {
	if a.ca == nil {
		return nil, nil
	}
	return a.ca.pool()
}

// byCertificate takes the name of a certificate that TLS has verified: the first URI of its
// alternative names, else the first e-mail address, else the common name.
func (a *Access) byCertificate(cert *x509.Certificate) (Principal, error) {
	name := cert.Subject.CommonName
	switch {
	case len(cert.URIs) > 0:
		name = cert.URIs[0].String()
	case len(cert.EmailAddresses) > 0:
		name = cert.EmailAddresses[0]
	}
	if err := checkName(name); err != nil {
		return Principal{}, denied("the client certificate names nobody: "+err.Error(), "it needs a URI, an e-mail address or a common name")
	}
	return Principal{Name: name, Role: a.roleOf(name), Via: ViaCertificate, until: cert.NotAfter}, nil
}
