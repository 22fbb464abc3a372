package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the storage of dist
	"github.com/sirupsen/logrus"

	"github.com/drayage/dray/internal/registry"
)

// counts holds what one registry counted in one run.
type counts struct {
	Requests    int64            `json:"requests"`
	Kinds       map[string]int64 `json:"kinds"` // by method and kind, as "GET blob"
	Connections int64            `json:"connections"`
	In          int64            `json:"bytesIn"` // of all connections, with headers and TLS framing
	Out         int64            `json:"bytesOut"`
	Uploaded    int64            `json:"uploaded"` // bytes of upload bodies that arrived
	Served      int64            `json:"served"`   // bytes of blob bodies that were sent
}

func (c *counts) add(more counts) {
	if c.Kinds == nil {
		c.Kinds = map[string]int64{}
	}
	for k, n := range more.Kinds {
		c.Kinds[k] += n
	}
	c.Requests += more.Requests
	c.Connections += more.Connections
	c.In, c.Out = c.In+more.In, c.Out+more.Out
	c.Uploaded, c.Served = c.Uploaded+more.Uploaded, c.Served+more.Served
}

// since returns what was counted after before was.
func (c counts) since(before counts) counts {
	kinds := map[string]int64{}
	for k, n := range c.Kinds {
		if n -= before.Kinds[k]; n > 0 {
			kinds[k] = n
		}
	}
	return counts{
		c.Requests - before.Requests, kinds, c.Connections - before.Connections,
		c.In - before.In, c.Out - before.Out, c.Uploaded - before.Uploaded, c.Served - before.Served,
	}
}

// side is a registry that listens during one run.
type side struct {
	addr   string
	server *http.Server
	front  *front
	in     atomic.Int64
	out    atomic.Int64
	conns  atomic.Int64
}

// front is in front of the registry. It counts requests and causes the faults.
type front struct {
	next   http.Handler
	faults faults
	mu     sync.Mutex
	kinds  map[string]int64
	seen   map[string]bool // blobs whose first GET was cut
	cuts   int             // uploads cut so far
	total  int64
	up     atomic.Int64
	down   atomic.Int64
}

// faults are deterministic: they depend on the count of requests. The zero value has none.
type faults struct {
	CutGets    bool // the first GET of each blob breaks off after three quarters
	CutUploads int  // this many uploads of 1 MiB or more break off in the middle; the session keeps what arrived
	Every429   int  // every n-th request gets 429 with Retry-After: 1
	Every500   int  // every n-th request gets 500
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := parse(r.URL.Path)
	f.mu.Lock()
	f.total++
	f.kinds[r.Method+" "+e.kind]++
	n := int(f.total)
	f.mu.Unlock()
	switch {
	case f.faults.Every429 > 0 && n%f.faults.Every429 == 0:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS")
		return
	case f.faults.Every500 > 0 && n%f.faults.Every500 == 0:
		refuse(w, http.StatusInternalServerError, "UNKNOWN")
		return
	}
	if e.kind == "upload" && r.Body != nil {
		f.upload(w, r)
		return
	}
	if e.kind == "blob" && r.Method == http.MethodGet {
		c := &cutWriter{ResponseWriter: w, n: &f.down}
		f.mu.Lock()
		if f.faults.CutGets && !f.seen[e.ref] {
			f.seen[e.ref], c.cut = true, true
		}
		f.mu.Unlock()
		w = c
	}
	f.next.ServeHTTP(w, r)
}

func (f *front) upload(w http.ResponseWriter, r *http.Request) {
	body := &counted{ReadCloser: r.Body, n: &f.up}
	f.mu.Lock()
	if f.cuts < f.faults.CutUploads && (r.ContentLength >= 1<<20 || r.ContentLength < 0) {
		f.cuts++
		body.left = max(r.ContentLength/2, 512<<10)
	}
	f.mu.Unlock()
	r.Body = body
	f.next.ServeHTTP(w, r)
	if body.broke {
		panic(http.ErrAbortHandler)
	}
}

// counted is a request body. If left is set, it breaks off after that many bytes.
type counted struct {
	io.ReadCloser
	n     *atomic.Int64
	left  int64
	broke bool
}

func (c *counted) Read(p []byte) (int, error) {
	if c.broke {
		return 0, io.ErrUnexpectedEOF
	}
	if c.left > 0 && int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	if c.left > 0 {
		if c.left -= int64(n); c.left == 0 {
			c.broke = true
			return n, io.ErrUnexpectedEOF
		}
	}
	return n, err
}

// cutWriter counts the bytes of a blob. If cut is set, it breaks off after three quarters.
type cutWriter struct {
	http.ResponseWriter
	n    *atomic.Int64
	cut  bool
	left int64
}

func (c *cutWriter) WriteHeader(code int) {
	if c.cut {
		var size int64
		_, _ = fmt.Sscan(c.Header().Get("Content-Length"), &size)
		c.left = max(size*3/4, 1)
	}
	c.ResponseWriter.WriteHeader(code)
}

func (c *cutWriter) Write(p []byte) (int, error) {
	if !c.cut || int64(len(p)) < c.left {
		n, err := c.ResponseWriter.Write(p)
		c.n.Add(int64(n))
		c.left -= int64(n)
		return n, err
	}
	n, _ := c.ResponseWriter.Write(p[:c.left])
	c.n.Add(int64(n))
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

// listen serves h on loopback, through a link.
func listen(h http.Handler, l link, f faults, cert *tls.Certificate) (*side, error) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &side{
		addr:  tcp.Addr().String(),
		front: &front{next: h, faults: f, kinds: map[string]int64{}, seen: map[string]bool{}},
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(l.H2 == offerH2)
	s.server = &http.Server{Handler: s.front, Protocols: &protocols, ErrorLog: log.New(io.Discard, "", 0)}
	ln := net.Listener(metered{tcp, s})
	if !l.loopback() {
		ln = metered{delayed{tcp, l}, s}
	}
	if l.TLS == tls13 {
		s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS13}
		go func() { _ = s.server.ServeTLS(ln, "", "") }()
	} else {
		go func() { _ = s.server.Serve(ln) }()
	}
	return s, nil
}

func (s *side) close() { s.server.Close() }

func (s *side) counts() counts {
	s.front.mu.Lock()
	defer s.front.mu.Unlock()
	kinds := map[string]int64{}
	maps.Copy(kinds, s.front.kinds)
	return counts{s.front.total, kinds, s.conns.Load(), s.in.Load(), s.out.Load(), s.front.up.Load(), s.front.down.Load()}
}

// metered counts connections and their bytes.
type metered struct {
	net.Listener
	side *side
}

func (m metered) Accept() (net.Conn, error) {
	c, err := m.Listener.Accept()
	if err != nil {
		return nil, err
	}
	m.side.conns.Add(1)
	return &meter{c, m.side}, nil
}

type meter struct {
	net.Conn
	side *side
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.side.in.Add(int64(n))
	return n, err
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.side.out.Add(int64(n))
	return n, err
}

// certificate returns a certificate that no tool trusts. The tools are told not to verify it.
func certificate() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "bench"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// open creates an empty registry of a kind, in dir if it stores files.
func open(ctx context.Context, kind, dir string) (http.Handler, func(), error) {
	switch kind {
	case "dist":
		config, err := configuration.Parse(strings.NewReader(fmt.Sprintf(`version: 0.1
storage:
  filesystem: {rootdirectory: %q}
  maintenance:
    uploadpurging: {enabled: false}
http: {secret: bench}
`, dir)))
		if err != nil {
			return nil, nil, err
		}
		logrus.SetOutput(io.Discard) // distribution logs every 404 as an error
		ctx, cancel := context.WithCancel(ctx)
		app := handlers.NewApp(ctx, config)
		return app, func() { cancel(); _ = app.Shutdown() }, nil
	case "dray":
		r, err := registry.Open(ctx, registry.Options{Dir: dir})
		if err != nil {
			return nil, nil, err
		}
		return r, func() { _ = r.Close() }, nil
	}
	return newStore(keeping(kind)), func() {}, nil
}
