package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/echo"
)

// Config says to which server a Client sends requests, and with which credentials.
type Config struct {
	URL   string            // "https://dray.example"; the client appends wire.Prefix and the path of each request
	Token credential.Secret // sent as a Bearer token; zero means none
	From  string            // where the token comes from: "DRAY_TOKEN"

	CAs       []string // files of PEM certificates that are trusted in addition to the system's
	Cert, Key string   // files of a client certificate and its key; "" means none
	Version   string   // of this dray, for the header User-Agent and for errors; "" means not known

	// Requests receives each request to the server. Nil means nobody.
	Requests event.Requests

	// Dial opens connections; nil means the system's network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Client sends requests to a server. Its errors are faults with the Kind that the server reported, so
// a command ends with the same exit code with and without a server. A Client is safe for concurrent use.
type Client struct {
	peer
	base  string
	token credential.Secret
	http  *http.Client
	tell  event.Requests
	sent  echo.Sent // the token: no error may repeat it
}

const (
	answerTime = 30 * time.Second // how long an answer may take to begin, in addition to wire.MaxWait
	maxBody    = 64 << 20         // bytes of an answer that is read into memory
	maxTries   = 4                // attempts at a request that may be repeated
	pageItems  = 1000             // items or log lines that one request asks for
)

// New checks c and returns a client for it. It reads the files that c names and does no other I/O.
// The error is Invalid.
func New(c Config) (*Client, error) {
	bad := func(err error, hint string) (*Client, error) {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "use server", Name: c.URL, Err: err, Hint: hint}
	}
	if err := credential.CheckProxies(os.Getenv); err != nil {
		return nil, err
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return bad(errors.New("not the address of a server"), "write "+likely(c.URL))
	}
	if u.User != nil {
		c.URL = u.Redacted()
		return bad(errors.New("the address contains a login"), "remove it, and set DRAY_TOKEN instead")
	}
	if u.Scheme == "http" && !c.Token.IsZero() && !loopback(u.Hostname()) {
		return bad(errors.New("the token would be sent without TLS"), "write https://")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(c.CAs) > 0 {
		if config.RootCAs, err = pool(c.CAs); err != nil {
			return bad(err, "give a PEM file with the certificate of the authority as --ca-file or client.ca-file")
		}
	}
	if c.Cert != "" || c.Key != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return bad(err, "give the file of the client certificate and the file of its key")
		}
		config.Certificates = []tls.Certificate{pair}
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig, t.ResponseHeaderTimeout = config, answerTime+wire.MaxWait
	if c.Dial != nil {
		t.DialContext = c.Dial
	}
	base := strings.TrimSuffix(strings.TrimSuffix(u.String(), "/"), wire.Prefix) + wire.Prefix
	// Following a redirect could send the token to another host. A dray server sends no redirects.
	follow := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		peer: peer{strings.TrimSuffix(base, wire.Prefix), c.From, c.Version},
		base: base, token: c.Token, tell: c.Requests,
		http: &http.Client{Transport: t, CheckRedirect: follow},
	}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// likely returns the address that text, which has no scheme, probably means.
func likely(text string) string {
	u, err := url.Parse("http://" + text)
	switch {
	case err != nil || strings.Contains(text, "://") || u.Host == "" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "https://HOST"
	case loopback(u.Hostname()):
		return "http://" + u.Host + ", or https:// if it uses TLS"
	}
	return "https://" + u.Host
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

func pool(paths []string) (*x509.CertPool, error) {
	all, err := x509.SystemCertPool()
	if err != nil {
		all = x509.NewCertPool()
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if !all.AppendCertsFromPEM(raw) {
			return nil, errors.New(path + " contains no PEM certificate")
		}
	}
	return all, nil
}

// call is one request.
type call struct {
	method, path string
	query        url.Values
	header       http.Header
	body         any    // sent as JSON; a []byte is sent unchanged
	kind         string // media type of a []byte body
	repeatable   bool   // whether the request may be repeated if no answer arrived
}

// do sends q and decodes the JSON answer into out. If out is nil, the answer's body is ignored.
func (c *Client) do(ctx context.Context, q call, out any) error {
	resp, err := c.send(ctx, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return c.sent.Error(c.networkFault(ctx, err))
	case len(raw) > maxBody:
		return &fault.Fault{Kind: fault.TooLarge, Op: "read answer of", Name: c.name, Err: errors.New("longer than 64 MiB")}
	case json.Unmarshal(raw, out) != nil:
		return c.sent.Error(c.stranger(resp, raw))
	}
	return nil
}

// send sends q and returns its answer if that is a success. The caller must close the body. A request
// that may be repeated is sent up to maxTries times, as long as the error is Unavailable: the network
// failed, or the server is starting or stopping.
func (c *Client) send(ctx context.Context, q call) (*http.Response, error) {
	for n := 1; ; n++ {
		resp, err := c.once(ctx, q)
		if err == nil || !q.repeatable || n == maxTries || !fault.Is(err, fault.Unavailable) || ctx.Err() != nil {
			return resp, err
		}
		t := time.NewTimer(time.Duration(n*n) * 200 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

func (c *Client) once(ctx context.Context, q call) (*http.Response, error) {
	var body io.Reader
	kind := "application/json"
	switch b := q.body.(type) {
	case nil:
	case []byte:
		body, kind = bytes.NewReader(b), q.kind
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return nil, &fault.Fault{Kind: fault.Internal, Op: "write request", Err: err}
		}
		body = bytes.NewReader(raw)
	}
	address := c.base + q.path
	if len(q.query) > 0 {
		address += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, address, body)
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Internal, Op: "write request", Err: err}
	}
	maps.Copy(req.Header, q.header)
	req.Header.Set("User-Agent", strings.TrimSuffix("dray/"+c.version, "/"))
	req.Header.Set(wire.WordsHeader, wire.FlagWords)
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	if !c.token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
		c.sent.Header(req.Header.Get("Authorization"))
	}
	resp, err := c.exchange(req)
	if err != nil {
		return nil, c.sent.Error(c.networkFault(ctx, err))
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // an incomplete body is used as it is
	return nil, c.sent.Error(c.faultOf(resp, raw))
}

// exchange sends req and tells c.tell about it. The bytes received are those that the header of the answer
// announces: a stream of events has no end yet.
func (c *Client) exchange(req *http.Request) (*http.Response, error) {
	begun := time.Now()
	resp, err := c.http.Do(req)
	plain := *req.URL
	plain.RawQuery = ""
	said := event.Request{
		Host: req.URL.Host, Method: req.Method, URL: plain.String(), Sent: max(req.ContentLength, 0),
		Took: time.Since(begun), Err: err,
	}
	if asked, ok := errors.AsType[*url.Error](err); ok {
		said.Err = asked.Err
	}
	if resp != nil {
		said.Status, said.Received = resp.StatusCode, max(resp.ContentLength, 0)
	}
	c.tell.Tell(said)
	return resp, err
}
