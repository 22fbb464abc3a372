// Package server is dray as a process that listens: the embedded registry at
// /v2/ with what an operator expects around it.
//
// There is no authentication, so it listens on loopback and nowhere else.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/registry"
)

// DefaultListen is where Run listens unless told otherwise.
const DefaultListen = "127.0.0.1:5000"

const (
	headerTimeout = 10 * time.Second // for a request's head; bodies take as long as they take
	idleTimeout   = 2 * time.Minute  // of a connection between requests
	defaultGrace  = 10 * time.Second
)

// Config says what to serve and where.
type Config struct {
	Listen string        // HOST:PORT on loopback, port 0 for any free one; "" is DefaultListen
	Data   string        // directory of the registry; required, made when it is not there
	Log    *slog.Logger  // nil is silent
	Grace  time.Duration // how long running requests may take to end after a stop; 0 is 10 s
	// Ready is called once, when connections are accepted, with the real
	// address; the registry is open by then. nil is allowed.
	Ready func(addr net.Addr)
}

// Run serves until ctx ends and then returns nil: it accepts nothing new, lets
// running requests end for c.Grace and cuts the rest. Uploads that were cut go
// on when a client comes back after the next start.
//
// Errors are of Kind Invalid for an address that can not be listened on or is
// not loopback, Conflict when the address or the directory is in use by
// another process, and those of registry.Open.
func Run(ctx context.Context, c Config) (err error) {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Grace == 0 {
		c.Grace = defaultGrace
	}
	l, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	reg, err := registry.Open(ctx, registry.Options{Dir: c.Data, Log: c.Log})
	if err != nil {
		return err
	}
	// Last of all: it waits for the handlers that were cut.
	defer func() { err = errors.Join(err, reg.Close()) }()

	srv := &http.Server{
		Handler:           logged(c.Log, routes(reg)),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		Protocols:         protocols(),
		// net/http tells of clients that misbehave here, which is nobody's to fix.
		ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	c.Log.LogAttrs(ctx, slog.LevelInfo, "serving", slog.String("addr", l.Addr().String()), slog.String("data", c.Data))
	if c.Ready != nil {
		c.Ready(l.Addr())
	}
	select {
	case err := <-served:
		srv.Close()
		return &fault.Fault{Kind: fault.Unavailable, Op: "serve", Name: c.Listen, Err: err}
	case <-ctx.Done():
	}
	stop(ctx, srv, c)
	<-served
	return nil
}

// stop ends srv: gently for c.Grace, then by cutting.
func stop(ctx context.Context, srv *http.Server, c Config) {
	c.Log.LogAttrs(ctx, slog.LevelInfo, "stopping", slog.Duration("grace", c.Grace))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Grace)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		c.Log.LogAttrs(ctx, slog.LevelWarn, "requests cut")
		srv.Close()
	}
}

// routes puts the registry beside two plain answers. A browser may not be used
// to write: pages of other origins are refused, tools send no Origin.
func routes(reg http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v2/", reg)
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, "ok") })
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, "This is dray, a container registry. Its API is at /v2/.")
	})
	return http.NewCrossOriginProtection().Handler(mux)
}

func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, text)
}

// protocols are HTTP/1.1 and, with prior knowledge, HTTP/2 without TLS.
func protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return p
}

// listen opens addr, which must be loopback by its name and by what the name means here.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, cannot(addr, fault.Invalid, "write HOST:PORT, such as "+DefaultListen, err)
	}
	if ip := net.ParseIP(host); !strings.EqualFold(host, "localhost") && (ip == nil || !ip.IsLoopback()) {
		return nil, notLoopback(addr)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, cannot(addr, fault.Canceled, "", context.Cause(ctx))
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, cannot(addr, fault.Conflict, "stop what listens there or choose another address", errors.New("address in use"))
	case errors.Is(err, syscall.EACCES):
		return nil, cannot(addr, fault.Denied, "ports below 1024 need a privilege; choose a higher one", err)
	case err != nil:
		return nil, cannot(addr, fault.Invalid, "write HOST:PORT, such as "+DefaultListen, err)
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		l.Close()
		return nil, notLoopback(addr)
	}
	return l, nil
}

func notLoopback(addr string) error {
	return cannot(addr, fault.Invalid, "there is no authentication yet; use "+DefaultListen+" or [::1]:5000",
		errors.New("not a loopback address"))
}

func cannot(addr string, kind fault.Kind, hint string, err error) error {
	return &fault.Fault{Kind: kind, Op: "listen on", Name: addr, Hint: hint, Err: err}
}
