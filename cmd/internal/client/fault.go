package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// peer is the server, and the facts about this client that explain its errors.
type peer struct {
	name    string // the address of the server
	from    string // where the token comes from; "" if none is sent
	version string // of this dray
}

// faultOf returns the error of an answer as a fault, with the Kind, text and hint of the problem in
// body. If body is no problem of a dray server, the error says what answered instead.
func (s peer) faultOf(resp *http.Response, body []byte) error {
	var p wire.Problem
	if json.Unmarshal(body, &p) != nil || p.Kind == "" {
		return s.stranger(resp, body)
	}
	if resp.StatusCode == http.StatusUnauthorized && s.from != "" {
		p.Detail += "; the token is from " + s.from
		p.Hint = cmp.Or(p.Hint, "correct the token there, or ask an admin of the server for a new one")
	}
	theirs := wire.OneLine(resp.Header.Get(wire.VersionHeader))
	unknown := p.Kind == fault.Invalid && (p.Hint == "" || resp.StatusCode == http.StatusNotFound)
	if unknown && theirs != "" && theirs != s.version {
		p.Hint = "the server is dray " + theirs + ", and this is dray " + s.version + ": use one version for both"
	}
	told := &plan.Problem{Kind: p.Kind, Side: p.Side, Message: wire.OneLine(p.Detail), Hint: wire.OneLine(p.Hint)}
	return &fault.Fault{
		Kind:       p.Kind,
		Side:       p.Side,
		Hint:       told.Hint,
		Err:        told.Err(),
		RetryAfter: retryAfter(resp.Header),
	}
}

func retryAfter(h http.Header) time.Duration {
	n, err := strconv.ParseUint(h.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// stranger returns the error of an answer that is not of a dray server's API. It says who answered.
func (s peer) stranger(resp *http.Response, body []byte) error {
	f := &fault.Fault{
		Kind: wire.KindOf(resp.StatusCode),
		Op:   "ask",
		Name: s.name,
		Hint: "check the address of the server in --server, DRAY_SERVER or client.server; " +
			"the server prints it when it starts",
		RetryAfter: retryAfter(resp.Header),
	}
	switch {
	case resp.StatusCode >= http.StatusInternalServerError:
		f.Kind, f.Hint = fault.Unavailable, "check that the dray server is running, and the proxy before it"
	case f.Kind == "", f.Kind == fault.NotFound: // what was asked for was not looked for
		f.Kind = fault.Invalid
	}
	status := strings.TrimSpace(strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode))
	switch {
	case resp.Header.Get(wire.VersionHeader) != "":
		f.Err = fmt.Errorf("this port of a dray server is for health and metrics, and has no API: it answers %s", status)
	case wantsTLS(body):
		f.Err = errors.New("it speaks TLS, and was asked by plain http")
		f.Hint = "write https:// in the address of the server"
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		to := wire.OneLine(resp.Header.Get("Location"))
		f.Err = fmt.Errorf("it redirects to %s, which dray does not follow with a token", to)
		f.Hint = "use that address if it is the server's, and check the proxy before it"
	default:
		f.Err = fmt.Errorf("%s answers %s, and no dray server", whose(resp, body), status)
	}
	return f
}

// wantsTLS reports whether an answer says that a port speaks TLS. Go and nginx say so in the body.
func wantsTLS(body []byte) bool {
	return bytes.Contains(body, []byte("HTTP request to an HTTPS server")) ||
		bytes.Contains(body, []byte("plain HTTP request was sent to HTTPS port"))
}

// whose says in words what kind of program sent an answer.
func whose(resp *http.Response, body []byte) string {
	var registry struct{ Errors []struct{ Code string } } // distribution-spec v1.1.1 §Error Codes
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.Header.Get("Docker-Distribution-Api-Version") != "",
		json.Unmarshal(body, &registry) == nil && len(registry.Errors) > 0:
		return "a registry"
	case kind == "text/html":
		return "a web page" + titleOf(body)
	}
	return "something"
}

// titleOf returns ` "TITLE"` for a web page; "" if it has no title.
func titleOf(page []byte) string {
	found := regexp.MustCompile(`(?is)<title[^>]*>\s*([^<]{1,80})`).FindSubmatch(page)
	if found == nil {
		return ""
	}
	return " " + strconv.Quote(strings.TrimSpace(wire.OneLine(string(found[1]))))
}

// networkFault returns the fault for a failed exchange: Canceled if ctx has ended, Refused if the server does
// not speak TLS or its certificate is not trusted, else Unavailable.
func (s peer) networkFault(ctx context.Context, err error) error {
	f := &fault.Fault{Kind: fault.Unavailable, Op: "ask", Name: s.name, Err: err}
	if asked, ok := errors.AsType[*url.Error](err); ok {
		f.Err = asked.Err // Name has the address already
	}
	switch dns, _ := errors.AsType[*net.DNSError](err); {
	case ctx.Err() != nil:
		f.Kind, f.Err = fault.Canceled, context.Cause(ctx)
	case errors.Is(err, http.ErrSchemeMismatch):
		f.Kind, f.Err = fault.Refused, errors.New("it does not speak TLS")
		f.Hint = "check the port; http:// is for a server on this machine only"
	case dns != nil && dns.IsNotFound:
		f.Hint = "check the spelling of the host in --server, DRAY_SERVER or client.server"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Hint = "check that a dray server is running there, and its port"
	case strings.HasPrefix(s.name, "http://") && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)):
		f.Hint = "write https:// if it speaks TLS, and check that a dray server is running there"
	default:
		f.Hint = "check that a dray server is running there"
		if hint, cause := untrusted(err); cause != nil {
			f.Kind, f.Err, f.Hint = fault.Refused, cause, hint
		}
	}
	return f
}

// untrusted says what is wrong with the certificate of a server, and what to do; nil if err is about something
// else.
func untrusted(err error) (hint string, cause error) {
	const (
		useless = "; ca-file does not help"
		layout  = "2006-01-02 15:04 UTC"
	)
	var (
		unknown x509.UnknownAuthorityError
		other   x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &unknown):
		issuer := "that it does not name"
		if unknown.Cert != nil {
			issuer = cmp.Or(wire.OneLine(unknown.Cert.Issuer.String()), issuer)
		}
		return "give the certificate of that authority with --ca-file, or set client.ca-file in the configuration",
			fmt.Errorf("its certificate is signed by an unknown authority, %s", issuer)
	case errors.As(err, &other):
		return "use a name that the certificate is for" + useless, fmt.Errorf("its certificate is not for %s", other.Host)
	case !errors.As(err, &invalid):
		return "", nil
	case invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		return "set the clock of this machine, which says " + time.Now().UTC().Format(time.DateOnly) + ", or wait" + useless,
			fmt.Errorf("its certificate is not valid before %s", invalid.Cert.NotBefore.UTC().Format(layout))
	case invalid.Reason == x509.Expired:
		today := time.Now().UTC().Format(time.DateOnly)
		return "renew the certificate of the server, or set the clock of this machine, which says " + today + useless,
			fmt.Errorf("its certificate expired on %s", invalid.Cert.NotAfter.UTC().Format(layout))
	}
	return "give the server a valid certificate" + useless, err
}
