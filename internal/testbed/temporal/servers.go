package temporal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// Servers is the Temporal that the tests of a package share, and that none of them stops. The zero value
// starts it for the first test that asks for it.
type Servers struct {
	once   sync.Once
	server *Server
	err    error
}

// Namespace returns the URL of a new namespace for this test. Without Temporal on this machine the test
// is skipped, and the message says why.
func (s *Servers) Namespace(tb testing.TB) string {
	tb.Helper()
	s.once.Do(func() {
		dir, err := os.MkdirTemp("", "dray-temporal-") //nolint:usetesting // it outlives this test
		if err != nil {
			s.err = err
			return
		}
		s.server, s.err = start(dir)
		if s.err != nil {
			_ = os.RemoveAll(dir)
		}
	})
	if errors.Is(s.err, ErrNoTemporal) {
		tb.Skip("SKIPPED:", s.err)
	}
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.server.Namespace(tb)
}

// End stops the server. Call it in TestMain.
func (s *Servers) End() {
	if s.server == nil {
		return
	}
	if err := errors.Join(s.server.Kill(), os.RemoveAll(s.server.dir)); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
	}
}

// New starts a Temporal of its own for a test that stops or kills it. Without Temporal on this machine
// the test is skipped.
func New(tb testing.TB) *Server {
	tb.Helper()
	s, err := start(tb.TempDir())
	if errors.Is(err, ErrNoTemporal) {
		tb.Skip("SKIPPED:", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Kill(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// Namespace creates a namespace and returns its URL.
func (s *Server) Namespace(tb testing.TB) string {
	tb.Helper()
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	name := fmt.Sprintf("n%d", time.Now().UnixNano())
	if err := s.register(ctx, name); err != nil {
		tb.Fatal(err)
	}
	return "temporal://" + s.Address + "/" + name
}
