package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drayage/dray/event"
)

// stalled is the cause of a request that the watchdog ended.
type stalled struct {
	after time.Duration
	late  bool // the request was sent, and no answer began
}

func (s *stalled) Error() string {
	if s.late {
		return fmt.Sprintf("no answer for %v", s.after)
	}
	return fmt.Sprintf("no progress for %v", s.after)
}

// IsLate reports whether err means that a request was sent and that no answer began in time.
func IsLate(err error) bool {
	var s *stalled
	return errors.As(err, &s) && s.late
}

// watchdog ends a request if no byte moves for its limit, or if no answer begins within first. It runs
// only while the network is waited for, and not while the source or the reader of a body is slow.
type watchdog struct {
	limit  time.Duration
	first  time.Duration
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	timer    *time.Timer
	stall    stalled // what the timer means
	answered bool
}

func newWatchdog(limit, first time.Duration, cancel context.CancelCauseFunc) *watchdog {
	return &watchdog{limit: limit, first: first, cancel: cancel}
}

// kick restarts the timer with the limit.
func (w *watchdog) kick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set(stalled{after: w.limit})
}

// sending is kick for the body of a request, which may still be sent after the answer began.
func (w *watchdog) sending() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.answered {
		w.set(stalled{after: w.limit})
	}
}

// sent starts the wait for the answer. The transport may call it after the answer has come.
func (w *watchdog) sent() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.answered {
		w.set(stalled{after: w.first, late: true})
	}
}

// answer ends the wait for the answer.
func (w *watchdog) answer() {
	w.mu.Lock()
	w.answered = true
	w.mu.Unlock()
	w.hold()
}

func (w *watchdog) set(s stalled) {
	w.stall = s
	if w.timer == nil {
		w.timer = time.AfterFunc(s.after, w.bark)
		return
	}
	w.timer.Reset(s.after)
}

func (w *watchdog) bark() {
	w.mu.Lock()
	s := w.stall
	w.mu.Unlock()
	w.cancel(&s)
}

// hold stops the timer.
func (w *watchdog) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
}

// sending is the body of a request in transfer.
type sending struct {
	io.ReadCloser
	w     *watchdog
	sent  *atomic.Int64
	spend func(n int) error // waits while the host's BytesPerSecond is used up
}

func (s *sending) Read(p []byte) (int, error) {
	s.w.hold() // a slow source is not a stalled connection
	n, err := s.ReadCloser.Read(p)
	if err == nil {
		err = s.spend(n)
	}
	s.sent.Add(int64(n))
	s.w.sending()
	return n, err
}

// receiving is the body of an answer in transfer. Its errors are of type *fault.Fault.
type receiving struct {
	body   io.ReadCloser
	w      *watchdog
	cancel context.CancelCauseFunc
	spend  func(n int) error // as in sending
	broke  func(error) error // turns an error of body into the error of the exchange
	told   *told
	leave  func() // gives back the place that Exchange took
	floor  floor
	got    int64
	err    error
	once   sync.Once
}

func (r *receiving) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	r.w.kick()
	begin := time.Now()
	n, err := r.body.Read(p)
	r.w.hold()
	r.got += int64(n)
	if err == nil {
		err = r.floor.passed(n, time.Since(begin))
	}
	if err == nil {
		err = r.spend(n)
	}
	if err != nil && err != io.EOF {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("the connection ended after %d bytes", r.got)
		}
		err = r.broke(err)
	}
	r.err = err
	return n, err
}

// Close ends the request. The connection is reused if the body was read to its end.
func (r *receiving) Close() error {
	r.once.Do(func() {
		r.w.hold()
		r.body.Close()
		r.cancel(nil)
		var failed error
		if r.err != io.EOF {
			failed = r.err
		}
		r.told.tell(r.got, r.told.status, failed)
		if r.leave != nil {
			r.leave()
		}
	})
	return nil
}

// A body slower than this counts as stalled.
const (
	floorBytes = 120 << 10
	floorTime  = 2 * time.Minute
)

// floor ends a body that transfers less than 1 KiB/s during two minutes of waiting for it.
type floor struct {
	bytes  int64
	waited time.Duration
}

func (f *floor) passed(n int, waited time.Duration) error {
	f.bytes += int64(n)
	f.waited += waited
	if f.waited < floorTime {
		return nil
	}
	if f.bytes < floorBytes {
		return fmt.Errorf("only %d bytes in %v", f.bytes, f.waited.Round(time.Second))
	}
	*f = floor{}
	return nil
}

// told holds what the event of one exchange reports.
type told struct {
	call   *Call
	host   string
	url    *url.URL
	begin  time.Time
	status int
	sent   *atomic.Int64
}

func (t *told) tell(received int64, status int, err error) {
	t.call.Observe.Request(event.Request{
		Host: t.host, Name: t.call.Name, Method: t.call.Method, URL: bare(t.url),
		Status: status, Sent: t.sent.Load(), Received: received, Took: time.Since(t.begin), Err: err,
	})
}

// bare returns the text of a URL with the names of its query parameters but without their values, which may be secret.
// The size of a page is none.
func bare(u *url.URL) string {
	s := u.Scheme + "://" + u.Host + u.EscapedPath()
	var keys []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if n, err := strconv.ParseUint(value, 10, 32); key == "n" && err == nil {
			keys = append(keys, fmt.Sprintf("n=%d", n))
		} else if key != "" {
			keys = append(keys, key+"=")
		}
	}
	if len(keys) > 0 {
		s += "?" + strings.Join(keys, "&")
	}
	return s
}
