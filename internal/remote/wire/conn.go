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
	warmed    = 2                // connections that are dialled early: an image has a configuration and a layer at least
	warmFor   = 5 * time.Second  // how long one may wait for its first request: servers close those that say nothing
	handshake = 15 * time.Second // how long one may take
)

var errHandshake = errors.New("no TLS handshake within 15 s")

// spares are connections for blob bodies that were dialled before there was a body to send or to ask for.
type spares struct {
	mu     sync.Mutex
	asked  bool
	over   bool // nobody waits any more
	stop   context.CancelFunc
	coming []chan net.Conn // one gives a connection, or is closed without
}

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

// take waits for a connection that is on its way; nil where there is none.
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

// drain lets go of what nobody took.
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

// wideSize is how many bytes of a body are read and written at once: 128 KiB, which
// stays in a core's own cache between the hash and the write.
const wideSize = 128 << 10

// wide is a connection that bodies are written to in large pieces. net/http copies 32
// KiB at a time, and where it can it leaves copying to the connection.
type wide struct {
	net.Conn
	pool *sync.Pool
}

// widened dials connections that are wide.
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

// ReadFrom implements io.ReaderFrom.
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
