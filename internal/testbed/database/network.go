//go:build unix

package database

import (
	"bytes"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Network is a path to a database, or another server, through a proxy that can misbehave.
type Network struct {
	URL string // address of the server through this network

	to       string
	listener net.Listener
	served   sync.WaitGroup

	mu     sync.Mutex
	silent bool
	cut    string
	open   map[net.Conn]bool // whether something was lost on the way to it
}

// NewNetwork returns a network before the server at address, such as a PostgreSQL database. It ends with the test.
func NewNetwork(tb testing.TB, address string) *Network {
	tb.Helper()
	u, err := url.Parse(address)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	n := &Network{to: u.Host, listener: l, open: map[net.Conn]bool{}}
	u.Host = l.Addr().String()
	n.URL = u.String()
	n.served.Go(n.serve)
	tb.Cleanup(n.end)
	return n
}

// Silence makes the network swallow everything, in both directions and on new connections too. The
// connections stay open. false lets through what arrives from then on, and breaks connections that have lost something.
func (n *Network) Silence(silent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = silent
	for c, lost := range n.open {
		if lost && !silent {
			c.Close()
		}
	}
}

// CutAfter makes the network break each connection on which a client sends text: the database receives the text
// and answers, and the answer is lost. "" ends this.
func (n *Network) CutAfter(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = strings.ToLower(text)
}

func (n *Network) end() {
	n.listener.Close()
	n.mu.Lock()
	n.silent = false
	for c := range n.open {
		c.Close()
	}
	n.mu.Unlock()
	n.served.Wait()
}

func (n *Network) serve() {
	for {
		client, err := n.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", n.to)
		if err != nil {
			client.Close()
			continue
		}
		n.mu.Lock()
		n.open[client], n.open[server] = false, false
		n.mu.Unlock()
		var lost atomic.Bool
		n.served.Go(func() {
			defer n.close(client, server)
			n.pass(server, client, func(sent []byte, cut string) bool {
				if cut != "" && bytes.Contains(bytes.ToLower(sent), []byte(cut)) {
					lost.Store(true)
				}
				return true
			})
		})
		n.served.Go(func() {
			defer n.close(client, server)
			n.pass(client, server, func([]byte, string) bool { return !lost.Load() })
		})
	}
}

func (n *Network) close(conns ...net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range conns {
		delete(n.open, c)
		c.Close()
	}
}

// pass copies what arrives on one connection to the other, until one of them ends or goesOn is false. While the
// network is silent, nobody hears of the end.
func (n *Network) pass(to, from net.Conn, goesOn func(some []byte, cut string) bool) {
	buf := make([]byte, 64<<10)
	for {
		size, err := from.Read(buf)
		lost, cut := n.loses(to, size)
		for silent := lost; err != nil && silent; {
			time.Sleep(10 * time.Millisecond)
			n.mu.Lock()
			silent = n.silent
			n.mu.Unlock()
		}
		if err != nil {
			return
		}
		if lost {
			continue
		}
		if !goesOn(buf[:size], cut) {
			return
		}
		if _, err := to.Write(buf[:size]); err != nil {
			return
		}
	}
}

// loses reports whether so many bytes are lost on the way to a connection. None follow any that were lost.
func (n *Network) loses(to net.Conn, size int) (lost bool, cut string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, open := n.open[to]; open && n.silent && size > 0 {
		n.open[to] = true
	}
	return n.silent || n.open[to], n.cut
}
