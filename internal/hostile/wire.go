package hostile

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// reset breaks the connection off with RST (HTTP/2: the stream) after what was
// written has left. It does not return.
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

// pause waits for d, for ever when d is 0. It ends with the request and says
// whether the time has passed.
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

// tap lets a fault see and change an answer while it streams by. It does not
// forward what head or body swallow, and never fails towards the handler.
type tap struct {
	http.ResponseWriter
	head func(code int, h http.Header) int // may change both; nil leaves them
	body func(p []byte, at int64)          // writes what it likes to ResponseWriter; nil writes p
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

// Flush keeps handlers that assert for it working.
func (t *tap) Flush() {
	t.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(t.ResponseWriter).Flush()
}

// finish sends the header of an answer without a body.
func (t *tap) finish() { t.WriteHeader(http.StatusOK) }

// unheard takes an answer that nobody will get.
type unheard struct {
	header http.Header
	status int
}

func (u *unheard) Header() http.Header { return u.header }

func (u *unheard) Write(p []byte) (int, error) {
	u.WriteHeader(http.StatusOK)
	return len(p), nil
}

func (u *unheard) WriteHeader(code int) {
	if u.status == 0 {
		u.status = code
	}
}

// brokenBody is the body of an upload whose sender goes away after n bytes.
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
