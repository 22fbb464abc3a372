package remote

import (
	"context"
	"io"
	"net"
	"sync"
)

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
