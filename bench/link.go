package main

import (
	"io"
	"net"
	"sync"
	"time"
)

// link is the network between a tool and a registry. The zero link is loopback.
//
// The model: each direction of a connection is a delay of half the round trip behind a bottleneck
// of Rate, with at most window bytes on the way. Opening a TCP connection costs one more round
// trip. There is no slow start and no packet loss, so new connections and single streams are faster
// than on a real long line.
type link struct {
	RTT  time.Duration // 0 is no delay
	Rate int64         // bytes/s of one connection in one direction; 0 is no limit
	TLS  tlsMode
	H2   h2Mode
}

type tlsMode string

const (
	plain  tlsMode = ""
	tls13  tlsMode = "TLS 1.3"
	window         = 4 << 20 // bytes on the way in one direction
	packet         = 64 << 10
)

type h2Mode string

const (
	h1      h2Mode = ""
	offerH2 h2Mode = "h2"
)

// far is a region at the edge of another continent: 40 ms and 200 Mbit/s for each connection.
var far = link{RTT: 40 * time.Millisecond, Rate: 200e6 / 8, TLS: tls13}

func (l link) loopback() bool { return l.RTT == 0 && l.Rate == 0 }

// delayed is a listener whose connections go through a link.
type delayed struct {
	net.Listener
	link link
}

func (d delayed) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	server, inner := net.Pipe()
	up := newLane(d.link, time.Now().Add(d.link.RTT)) // the round trip of the handshake
	down := newLane(d.link, time.Time{})
	go up.read(c)
	go down.read(inner)
	go func() { up.write(inner); inner.Close(); up.drop() }()
	go func() { down.write(c); c.Close(); down.drop() }()
	return &piped{Conn: server, tcp: c}, nil
}

// piped is the server's end of a connection. It has the addresses of the real connection.
type piped struct {
	net.Conn
	tcp net.Conn
}

func (p *piped) LocalAddr() net.Addr  { return p.tcp.LocalAddr() }
func (p *piped) RemoteAddr() net.Addr { return p.tcp.RemoteAddr() }

// lane is one direction of a connection: packets in order, each with the time at which it arrives.
type lane struct {
	link link
	mu   sync.Mutex
	more sync.Cond
	free time.Time // when the bottleneck has sent everything so far
	held int       // bytes on the way
	line []pack
	end  bool
}

type pack struct {
	b   []byte
	due time.Time
}

func newLane(l link, begin time.Time) *lane {
	n := &lane{link: l, free: begin}
	n.more.L = &n.mu
	return n
}

// read puts the bytes that c delivers on the lane, until c ends.
func (l *lane) read(c net.Conn) {
	for {
		b := make([]byte, packet)
		n, err := c.Read(b)
		if n > 0 && !l.put(b[:n]) {
			return
		}
		if err != nil {
			l.drop()
			return
		}
	}
}

func (l *lane) put(b []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.held >= window && !l.end {
		l.more.Wait()
	}
	if l.end {
		return false
	}
	if now := time.Now(); l.free.Before(now) {
		l.free = now
	}
	if l.link.Rate > 0 {
		l.free = l.free.Add(time.Duration(int64(len(b)) * int64(time.Second) / l.link.Rate))
	}
	l.line = append(l.line, pack{b, l.free.Add(l.link.RTT / 2)})
	l.held += len(b)
	l.more.Broadcast()
	return true
}

// write delivers packets at their time, until the lane has ended and is empty, or c accepts no
// more.
func (l *lane) write(c io.Writer) {
	for {
		p, ok := l.next()
		if !ok {
			return
		}
		time.Sleep(time.Until(p.due))
		if _, err := c.Write(p.b); err != nil {
			return
		}
		l.mu.Lock()
		l.held -= len(p.b)
		l.more.Broadcast()
		l.mu.Unlock()
	}
}

func (l *lane) next() (pack, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.line) == 0 {
		if l.end {
			return pack{}, false
		}
		l.more.Wait()
	}
	p := l.line[0]
	l.line = l.line[1:]
	return p, true
}

// drop ends the lane. Packets on the way still arrive.
func (l *lane) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = true
	l.more.Broadcast()
}
