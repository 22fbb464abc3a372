package hostile

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// reset breaks the connection with RST (with HTTP/2: the stream) after the written bytes have been
// sent. It does not return.
func reset(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.Flush()
	if conn, _, err := c.Hijack(); err == nil {
		sever(conn)
	}
	panic(http.ErrAbortHandler)
}

func sever(conn net.Conn) {
	raw := conn
	if t, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = t.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		settle(tcp)
		_ = tcp.SetLinger(0)
	}
	_ = raw.Close()
}

// pause waits for d, or without limit if d is 0. It ends with the request. It reports whether d has
// passed.
func pause(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		<-ctx.Done()
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// tap lets a fault see and change a response while it is streamed. It forwards only what head and
// body pass on, and never returns an error to the handler.
type tap struct {
	http.ResponseWriter
	head func(code int, h http.Header) int // may change both; nil changes nothing
	body func(p []byte, at int64)          // writes what it wants to ResponseWriter; nil writes p
	at   int64
	sent bool
}

func (t *tap) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *tap) WriteHeader(code int) {
	if t.sent || code < http.StatusOK {
		return
	}
	t.sent = true
	if t.head != nil {
		code = t.head(code, t.Header())
	}
	t.ResponseWriter.WriteHeader(code)
}

func (t *tap) Write(p []byte) (int, error) {
	t.WriteHeader(http.StatusOK)
	if t.body == nil {
		_, err := t.ResponseWriter.Write(p)
		return len(p), err
	}
	t.body(p, t.at)
	t.at += int64(len(p))
	return len(p), nil
}

// Flush is for handlers that use a type assertion for it.
func (t *tap) Flush() {
	t.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(t.ResponseWriter).Flush()
}

// finish sends the header of a response without a body.
func (t *tap) finish() { t.WriteHeader(http.StatusOK) }

// discardedResponse discards a response.
type discardedResponse struct {
	header http.Header
	status int
}

func (u *discardedResponse) Header() http.Header { return u.header }

func (u *discardedResponse) Write(p []byte) (int, error) {
	u.WriteHeader(http.StatusOK)
	return len(p), nil
}

func (u *discardedResponse) WriteHeader(code int) {
	if u.status == 0 {
		u.status = code
	}
}

// brokenBody is the body of an upload whose sender disconnects after left more bytes.
type brokenBody struct {
	io.ReadCloser
	left int64
}

func (b *brokenBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}
