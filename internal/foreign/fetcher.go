package foreign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
)

const (
	maxRedirects = 5
	stall        = 60 * time.Second // how long a response may send no byte
)

// Dial opens a network connection.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// Fetcher reads layers from URLs. Its methods are safe for concurrent use.
type Fetcher struct{ client *http.Client }

// New returns a Fetcher. dial opens its connections to addresses that were checked; nil means the network of the
// system.
func New(dial Dial) *Fetcher {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 30 * time.Second}).DialContext
	}
	return Unchecked(func(ctx context.Context, network, addr string) (net.Conn, error) {
		return dialPublic(ctx, dial, network, addr)
	})
}

// Unchecked returns a Fetcher whose connections dial opens, without a check of their addresses. It is for tests, whose
// publishers are on this machine.
func Unchecked(dial Dial) *Fetcher {
	return &Fetcher{&http.Client{
		// A proxy would resolve the names itself, so that their addresses could not be checked: there is none.
		Transport: &http.Transport{
			DialContext:           dial,
			TLSHandshakeTimeout:   30 * time.Second,
			ResponseHeaderTimeout: stall,
			ForceAttemptHTTP2:     true,
		},
		CheckRedirect: func(q *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return refused("it redirects too often")
			}
			if via[0].URL.Scheme == "https" && q.URL.Scheme != "https" {
				return refused("it redirects to an address without TLS")
			}
			q.URL.User = nil
			q.Header.Del("Referer")
			return nil
		},
	}}
}

// Close closes idle connections.
func (f *Fetcher) Close() { f.client.CloseIdleConnections() }

// dialPublic dials addr if all addresses of its host are public. It dials the address that it checked, so that a name
// cannot mean another one later.
func dialPublic(ctx context.Context, dial Dial, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	for _, ip := range ips {
		if !remote.IsPublic(ip) {
			return nil, refused("its host has an address that is not public: " + ip.Unmap().String())
		}
	}
	err = errors.New("the host has no address")
	for _, ip := range ips {
		var conn net.Conn
		if conn, err = dial(ctx, network, net.JoinHostPort(ip.Unmap().String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

func refused(why string) error { return &fault.Fault{Kind: fault.Refused, Err: errors.New(why)} }

// open reads n bytes of d from address, beginning at byte at, or at an earlier byte that it returns. If n is negative,
// it reads to the end.
func (f *Fetcher) open(
	ctx context.Context, d oci.Descriptor, address string, at, n int64,
) (io.ReadCloser, int64, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, 0, problem(d, "", fault.Refused, errors.New("one of its URLs is not that of a web server"))
	}
	u.User = nil
	ctx, cancel := context.WithCancelCause(ctx)
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, 0, problem(d, u.Host, fault.Refused, errors.New("one of its URLs is not that of a web server"))
	}
	q.Header.Set("User-Agent", "dray")
	q.Header.Set("Accept-Encoding", "identity") // the digest is that of the bytes as they are
	last := d.Size - 1
	if n >= 0 {
		last = min(last, at+n-1)
	}
	if ranged := at > 0 || n >= 0 && last < d.Size-1; ranged && last >= at {
		q.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", at, last))
	}
	a, err := f.client.Do(q)
	if err != nil {
		err = problem(d, u.Host, kindOf(ctx, err), causeOf(err))
		cancel(nil)
		return nil, 0, err
	}
	from := int64(0)
	switch a.StatusCode {
	case http.StatusOK:
	case http.StatusPartialContent:
		if _, err := fmt.Sscanf(a.Header.Get("Content-Range"), "bytes %d-", &from); err != nil || from > at {
			err = errors.New("the server sent another part than it was asked for")
			a.Body.Close()
			cancel(nil)
			return nil, 0, problem(d, u.Host, fault.Unavailable, err)
		}
	default:
		a.Body.Close()
		cancel(nil)
		return nil, 0, problem(d, u.Host, kindOfStatus(a.StatusCode), fmt.Errorf("the server answers %d", a.StatusCode))
	}
	errStall := problem(d, u.Host, fault.Unavailable, fmt.Errorf("no byte arrived for %s", stall))
	timer := time.AfterFunc(stall, func() { cancel(errStall) })
	return &body{a.Body, timer, func() { timer.Stop(); cancel(nil) }, func(err error) error {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return problem(d, u.Host, fault.Unavailable, err)
	}}, from, nil
}

// body is the body of a response. Reading it fails if no byte arrives for a while.
type body struct {
	io.ReadCloser
	timer  *time.Timer
	stop   func()
	failed func(error) error
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.timer.Reset(stall)
	}
	if err != nil && err != io.EOF {
		err = b.failed(err)
	}
	return n, err
}

func (b *body) Close() error {
	defer b.stop()
	return b.ReadCloser.Close()
}

// problem returns the error of a request for d at host. It does not show the URL, which may hold a login.
func problem(d oci.Descriptor, host string, kind fault.Kind, err error) error {
	f := &fault.Fault{Kind: kind, Op: "read foreign layer", Name: string(d.Digest), Err: err}
	if host != "" {
		f.Err = fmt.Errorf("its publisher %s: %w", host, err)
	}
	if kind == fault.Refused || kind == fault.NotFound || kind == fault.Denied {
		f.Hint = "leave out --include-foreign, which copies the image without this layer"
	}
	return f
}

func kindOf(ctx context.Context, err error) fault.Kind {
	if ctx.Err() != nil {
		return fault.Canceled
	}
	if fault.Is(err, fault.Refused) {
		return fault.Refused
	}
	return fault.Unavailable
}

// causeOf returns err without the URL.
func causeOf(err error) error {
	if at, ok := errors.AsType[*url.Error](err); ok {
		err = at.Err
	}
	if f, ok := errors.AsType[*fault.Fault](err); ok {
		return f.Err
	}
	return err
}

func kindOfStatus(code int) fault.Kind {
	switch {
	case code == http.StatusNotFound, code == http.StatusGone:
		return fault.NotFound
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fault.Denied
	case code == http.StatusTooManyRequests:
		return fault.Throttled
	case code >= 500:
		return fault.Unavailable
	}
	return fault.Refused
}
