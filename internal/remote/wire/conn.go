package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// warmed is how many connections are dialed early. An image has at least a config and a layer.
	warmed = 2
	// warmFor is how long an early connection may wait for its first request. Servers close
	// connections that stay silent.
	warmFor = 5 * time.Second
	// handshake is the longest time that a TLS handshake may take.
	handshake = 15 * time.Second
)

var errHandshake = errors.New("no TLS handshake within 15 s")

// spares holds connections for blob bodies that are dialed before a body is sent or requested.
type spares struct {
	mu     sync.Mutex
	asked  bool // fill was called
	over   bool // the connections are no longer needed
	stop   context.CancelFunc
	coming []chan net.Conn // each delivers a connection, or is closed without one
}

// fill dials the connections in the background. Only the first call has an effect.
func (s *spares) fill(ctx context.Context, dial func(context.Context) (net.Conn, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked {
		return
	}
	ctx, s.stop = context.WithTimeout(ctx, warmFor)
	s.asked = true
	context.AfterFunc(ctx, s.drain)
	for range warmed {
		one := make(chan net.Conn, 1)
		s.coming = append(s.coming, one)
		go func() {
			defer close(one)
			if conn, err := dial(ctx); err == nil {
				one <- conn
			}
		}()
	}
}

// take waits for a connection that is being dialed. It returns nil if there is none.
func (s *spares) take(ctx context.Context) net.Conn {
	for {
		s.mu.Lock()
		if len(s.coming) == 0 {
			s.mu.Unlock()
			return nil
		}
		one := s.coming[0]
		s.coming = s.coming[1:]
		s.mu.Unlock()
		select {
		case conn := <-one:
			if conn != nil {
				return conn
			}
		case <-ctx.Done():
			s.mu.Lock()
			s.coming = append(s.coming, one)
			over := s.over
			s.mu.Unlock()
			if over {
				s.drain()
			}
			return nil
		}
	}
}

// drain closes the connections that nobody took.
func (s *spares) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.coming {
		if conn := <-one; conn != nil {
			conn.Close()
		}
	}
	s.coming, s.over = nil, true
}

func (s *spares) close() {
	s.mu.Lock()
	stop := s.stop
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
	s.drain()
}

// wideSize is the number of bytes of a body that are read and written at once: 128 KiB, which stays
// in a core's own cache between the hash and the write.
const wideSize = 128 << 10

// wide is a connection that bodies are written to in large pieces. net/http copies 32 KiB at a
// time, but it leaves the copying to a connection that implements io.ReaderFrom.
type wide struct {
	net.Conn
	pool *sync.Pool
}

// widened wraps dial so that its connections are wide.
func widened(dial dialer, pool *sync.Pool) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &wide{conn, pool}, nil
	}
}

type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// ReadFrom implements io.ReaderFrom with a pooled buffer of wideSize bytes.
func (w *wide) ReadFrom(r io.Reader) (n int64, err error) {
	buf, ok := w.pool.Get().(*[wideSize]byte)
	if !ok {
		buf = new([wideSize]byte)
	}
	defer w.pool.Put(buf)
	for {
		m, readErr := r.Read(buf[:])
		if m > 0 {
			m, err = w.Write(buf[:m])
			if n += int64(m); err != nil {
				return n, err
			}
		}
		switch {
		case readErr == io.EOF:
			return n, nil
		case readErr != nil:
			return n, readErr
		}
	}
}
