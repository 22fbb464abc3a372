package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

const (
	firstPause = 500 * time.Millisecond
	maxPause   = 30 * time.Second
	// A source that cannot seek serves a blob only from byte 0. Such a blob is read again at
	// most maxSkips times, and skips at most maxSkip bytes each time. Without these limits,
	// the bytes read grow with the square of the number of breaks.
	maxSkips = 2
	maxSkip  = 256 << 20
)

// errNoRange is the error of a strict stream if the source does not begin at the requested byte.
var errNoRange = errors.New("the source does not support range requests")

// stream reads the bytes from at to end of one blob over one connection. If the connection
// breaks, stream reopens it where it broke. It counts the attempts since the last received byte.
type stream struct {
	ctx     context.Context
	want    Want
	retries int
	strict  bool // fail instead of skipping bytes before at

	at, end int64
	asked   int64 // end of the range that was requested for the open body
	beyond  bool  // the open body may go on after asked: it may be that of a source that has no ranges
	body    io.ReadCloser
	tries   int // attempts since the last received byte
	skips   int // how often bytes before at were skipped
}

// stream returns a stream of the bytes from at to end of w. It is not opened yet.
func (f *Fetcher) stream(ctx context.Context, w Want, at, end int64) *stream {
	return &stream{ctx: ctx, want: w, retries: f.retries, at: at, end: end}
}

// open opens the body, and tries again if that fails.
func (s *stream) open() error {
	err := s.reopen()
	if err != nil {
		err = s.recover(err)
	}
	return err
}

// Read reads the next bytes. It reports the end of the stream even if p is empty.
func (s *stream) Read(p []byte) (int, error) {
	for {
		n, err := s.readOnce(p)
		if n > 0 {
			s.at += int64(n)
			s.tries = 0
			return n, nil
		}
		if err == nil {
			continue
		}
		if err == io.EOF {
			return 0, io.EOF
		}
		if err := s.recover(err); err != nil {
			return 0, err
		}
	}
}

// readOnce reads from the open body. It returns io.EOF only at the end of the stream. It returns the last
// bytes only if the body ends there, because a target that has all bytes of a blob may store it at once.
func (s *stream) readOnce(p []byte) (int, error) {
	left := s.end - s.at
	if left == 0 {
		if s.want.Blob.Size == 0 {
			return 0, cmp.Or(s.ended(nil), io.EOF)
		}
		return 0, io.EOF
	}
	n, err := s.body.Read(p[:min(int64(len(p)), left)])
	switch {
	case n > 0 && int64(n) == left:
		if err := s.ended(err); err != nil {
			return 0, err
		}
		return n, nil
	case n > 0:
		return n, nil
	}
	if err == io.EOF {
		err = s.fail(fault.Unavailable, fmt.Errorf("the body ended at byte %d of %d", s.at, s.end))
		if s.at == s.asked {
			return 0, s.reopen() // the end of the requested range, not of the stream
		}
	}
	return 0, err
}

// ended returns an error of Kind Corrupt if the open body goes on where the requested bytes end. err is the
// error of the read that returned the last of them. Errors of another Kind do not matter any more.
func (s *stream) ended(err error) error {
	if s.end < s.want.Blob.Size && (s.end != s.asked || s.beyond) {
		return nil
	}
	var more [1]byte
	n := 0
	if err == nil {
		n, err = io.ReadFull(s.body, more[:])
	}
	switch {
	case n > 0 && s.end < s.want.Blob.Size:
		return s.fail(fault.Corrupt, fmt.Errorf("the body goes on after byte %d, where the requested range ends", s.end))
	case n > 0:
		return s.fail(fault.Corrupt, fmt.Errorf("the body is longer than the blob's %d bytes", s.want.Blob.Size))
	case fault.Is(err, fault.Corrupt):
		return err
	}
	return nil
}

// recover reopens the body after err. If it cannot, it returns an error.
func (s *stream) recover(err error) error {
	for {
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		var f *fault.Fault
		if errors.Is(err, errNoRange) || errors.As(err, &f) && f.Kind != fault.Unavailable {
			return err
		}
		if s.tries++; s.tries > s.retries {
			return s.fail(fault.Unavailable, fmt.Errorf("no progress in %d attempts: %w", s.retries, err))
		}
		if err := s.pause(err); err != nil {
			return err
		}
		if err = s.reopen(); err == nil {
			return nil
		}
	}
}

// pause waits before an attempt. It does not wait before the first one, because a broken
// connection usually works again at once.
func (s *stream) pause(cause error) error {
	if s.tries == 1 {
		return nil
	}
	wait := min(firstPause<<(s.tries-2), maxPause)
	wait = wait/2 + rand.N(wait/2) //nolint:gosec // spreads the load; needs no secure randomness
	host := s.want.From.Repo().Host
	if s.want.From.Repo().IsLayout() {
		host = ""
	}
	s.want.tell(event.Event{
		Kind:   event.Retried,
		Side:   string(fault.Source),
		Host:   host,
		Digest: string(s.want.Blob.Digest),
		Wait:   wait,
		Err:    cause,
	})
	select {
	case <-time.After(wait):
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// reopen opens the body at s.at. If the source cannot seek, it reads and discards the bytes
// before s.at.
func (s *stream) reopen() error {
	if s.body != nil {
		s.body.Close()
	}
	s.body = io.NopCloser(eof{})
	n := s.end - s.at
	if n == s.want.Blob.Size {
		n = -1
	}
	body, from, err := s.want.From.Blob(s.ctx, s.want.Blob, s.at, n)
	if err != nil {
		return err
	}
	s.body, s.asked, s.beyond = body, s.end, s.end < s.want.Blob.Size && (from != s.at || s.at == 0)
	if from == s.at {
		return nil
	}
	if s.strict {
		return errNoRange
	}
	if s.skips++; from > s.at || s.skips > maxSkips || s.at-from > maxSkip {
		return s.fail(fault.Corrupt, fmt.Errorf("the connection broke at byte %d, and the source cannot resume there", s.at))
	}
	if _, err := io.CopyN(io.Discard, body, s.at-from); err != nil {
		return s.fail(fault.Unavailable, fmt.Errorf("skipping to byte %d again: %w", s.at, err))
	}
	return nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// Close closes the connection.
func (s *stream) Close() error {
	if s.body == nil {
		return nil
	}
	return s.body.Close()
}

func (s *stream) fail(k fault.Kind, err error) error {
	return &fault.Fault{
		Kind: k,
		Side: fault.Source,
		Op:   "read blob",
		Name: s.want.From.Repo().At(string(s.want.Blob.Digest)).String(),
		Err:  err,
	}
}
