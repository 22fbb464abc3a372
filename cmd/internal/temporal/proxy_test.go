//go:build unix

package temporal_test

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// proxy stands between two processes. While it is silent it swallows what they send, as a network that
// drops packets.
type proxy struct {
	at     string // HOST:PORT
	mu     sync.Mutex
	silent bool
	conns  []net.Conn
}

// through returns the URL of a proxy that stands before the server of a URL.
func through(tb testing.TB, text string) (*proxy, string) {
	tb.Helper()
	u, err := url.Parse(text)
	must(tb, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	p := &proxy{at: l.Addr().String()}
	var going sync.WaitGroup
	going.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("tcp", u.Host)
			if err != nil {
				c.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, c, there)
			p.mu.Unlock()
			going.Go(func() { p.pass(c, there) })
			going.Go(func() { p.pass(there, c) })
		}
	})
	tb.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		going.Wait()
	})
	return p, strings.Replace(text, u.Host, p.at, 1)
}

func (p *proxy) pass(from, to net.Conn) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	lost := false
	for {
		n, err := from.Read(buffer)
		if err != nil && !lost {
			return
		}
		p.mu.Lock()
		lost = lost || p.silent // what was lost once cannot be followed by other bytes
		p.mu.Unlock()
		if lost {
			_, _ = io.Copy(io.Discard, from) // nobody hears of the end, either
			for p.isSilent() {
				time.Sleep(10 * time.Millisecond)
			}
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) isSilent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.silent
}

// silence makes the proxy swallow everything, or nothing more. Connections that lost something are closed
// then.
func (p *proxy) silence(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = on
	if !on {
		for _, c := range p.conns {
			c.Close()
		}
		p.conns = nil
	}
}
