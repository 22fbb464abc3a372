package reason

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Certificate says what is wrong with the certificate of the host of at, and what to do about it.
// The cause is nil if err is about something else. trusted names the files of authorities that are
// trusted for the registry in addition to those of the system.
func Certificate(at *url.URL, err error, trusted []string) (hint string, cause error) {
	var (
		unknown x509.UnknownAuthorityError
		other   x509.HostnameError
		invalid x509.CertificateInvalidError
		verify  *tls.CertificateVerificationError
	)
	renew := "renew the certificate of " + at.Host + "; ca-file does not help"
	const layout = "2006-01-02 15:04 UTC"
	switch {
	case errors.As(err, &other):
		return "use a name that the certificate is for, or give the registry a certificate for " + at.Hostname() +
				"; ca-file does not help", fmt.Errorf("the certificate of %s is for %s, and not for %s",
				at.Host, namesOf(other.Certificate), at.Hostname())
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		return "set the clock of this machine, which says " + time.Now().UTC().Format(time.DateOnly) +
				", or wait; ca-file does not help",
			fmt.Errorf("the certificate of %s is not valid before %s", at.Host, invalid.Cert.NotBefore.UTC().Format(layout))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the certificate of " + at.Host + ", or set the clock of this machine, which says " +
				time.Now().UTC().Format(time.DateOnly) + "; ca-file does not help",
			fmt.Errorf("the certificate of %s expired on %s", at.Host, invalid.Cert.NotAfter.UTC().Format(layout))
	case errors.As(err, &unknown):
		return authorityHint(at, unknown.Cert, trusted), fmt.Errorf(
			"the certificate of %s is signed by an unknown authority, %s", at.Host, issuerOf(unknown.Cert))
	case errors.As(err, &invalid), errors.As(err, &verify):
		return renew, err
	case strings.Contains(err.Error(), "tls: certificate required"):
		return "set client-cert and client-key for this registry", fmt.Errorf("%s requires a client certificate", at.Host)
	}
	return "", nil
}

// authorityHint is the hint for a certificate whose authority is not trusted.
func authorityHint(at *url.URL, cert *x509.Certificate, trusted []string) string {
	if len(trusted) > 0 {
		return "add the certificate of the authority " + issuerOf(cert) + " to " + trusted[0] +
			", which does not contain it"
	}
	return "set ca-file for " + at.Host + ", or put the certificate of its authority into certs.d"
}

func issuerOf(cert *x509.Certificate) string {
	if cert == nil {
		return "that it does not name"
	}
	return cmp.Or(Clean(cert.Issuer.String()), "that it does not name")
}

// namesOf lists the names and addresses that a certificate is for.
func namesOf(cert *x509.Certificate) string {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return "no host"
	case len(names) > 5:
		names = append(names[:5], "others")
	}
	return Clean(strings.Join(names, ", "))
}
