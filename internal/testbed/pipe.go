package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Pipe serves h over connections inside this process: each dial is a net.Pipe, whatever the
// address. Inside a testing/synctest bubble such a server takes part in virtual time, which sockets
// do not. Call stop before the bubble ends. It closes every connection.
func Pipe(h http.Handler) (dial Dial, stop func()) {
	return pipe(context.Background(), h)
}

func pipe(ctx context.Context, h http.Handler) (dial Dial, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	s := &http.Server{
		Handler:     h,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    silent(),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l)
	}()
	return l.dial, func() {
		cancel()
		_ = s.Close()
		<-ended
	}
}

type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *pipeListener) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.done:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Addr: pipeAddr(addr), Err: errors.New("connection refused")}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr("pipe") }

type pipeAddr string

func (pipeAddr) Network() string { return "pipe" }

func (a pipeAddr) String() string { return string(a) }

// Dialer reaches several registries on Pipes by their Host. It refuses any other address.
func Dialer(all ...*Registry) Dial {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		for _, r := range all {
			if r.Host == addr {
				return r.Dial(ctx, network, addr)
			}
		}
		return nil, fmt.Errorf("dial %s: no such registry in this test", addr)
	}
}

// servePipe is the part of Serve for Pipes.
func servePipe(ctx context.Context, tb testing.TB, r *Registry, h http.Handler, o Options) (stop func()) {
	tb.Helper()
	if o.Scheme != HTTP || o.Protocol != HTTP1 {
		tb.Fatal("pipes speak plain HTTP/1.1 only")
	}
	r.Host = o.Host
	if r.Host == "" {
		r.Host = "127.0.0.1:5000"
	}
	r.URL = "http://" + r.Host
	r.Dial, stop = pipe(ctx, h)
	r.Client = &http.Client{
		Transport:     &http.Transport{DialContext: r.Dial, DisableCompression: true},
		CheckRedirect: keepRedirect,
	}
	return stop
}

func keepRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func silent() *log.Logger { return log.New(io.Discard, "", 0) }
