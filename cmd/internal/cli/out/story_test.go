package out

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/plan"
)

// lockedBuffer is a buffer that may be written and read at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestARunWithoutATerminalTellsWhereItIsEveryTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var err lockedBuffer
		s := (&Console{Err: &err}).NewStory()
		time.Sleep(9 * time.Second)
		if err.String() != "" {
			t.Errorf("a short run must print nothing, but it printed %q", err.String())
		}
		s.Steps(2)
		s.Observe(event.Event{Kind: event.Sized, Name: "dst/app", Total: 40 << 20, Count: 2, Time: time.Now()})
		s.Observe(event.Event{Kind: event.Present, Name: "dst/app", Digest: "sha256:00", Total: 10 << 20, Time: time.Now()})
		s.Observe(event.Event{Kind: event.Started, Name: "dst/app", Digest: "sha256:aa", Total: 30 << 20, Time: time.Now()})
		s.Observe(event.Event{Kind: event.Advanced, Name: "dst/app", Digest: "sha256:aa", Done: 10 << 20, Total: 30 << 20, Time: time.Now()})
		s.Observe(event.Event{Kind: event.Waiting, Host: "docker.io", Wait: 5 * time.Minute, Text: "429", Time: time.Now()})
		time.Sleep(2 * time.Second)
		want := "dray: 0 of 2 steps done, 10 MiB of 30 MiB, 1.0 MiB/s, 20 s left; waiting for docker.io until " +
			time.Now().Add(5*time.Minute-2*time.Second).UTC().Format("2006-01-02 15:04:05 UTC") + ", 429\n"
		if err.String() != want {
			t.Errorf("got  %q\nwant %q", err.String(), want)
		}
		s.Observe(event.Event{Kind: event.Retried, Host: "a.example", Wait: 5 * time.Minute, Err: errors.New("the registry answers 503"), Time: time.Now()})
		time.Sleep(10 * time.Second)
		if !strings.Contains(err.String(), "; waiting for a.example until ") || !strings.HasSuffix(err.String(), "the registry answers 503; "+strings.SplitN(want, "; ", 2)[1]) {
			t.Errorf("what is tried again is not told: %q", err.String())
		}
		s.End()
		if n := strings.Count(err.String(), "\n"); n != 2 {
			t.Errorf("%d lines after 21 s", n)
		}
		s.Observe(event.Event{Kind: event.Noted, Text: "late"})
		if strings.Contains(err.String(), "late") {
			t.Error("a story printed a line after its end")
		}
	})
}

func TestARunThatIsLeftBehindReportsTheStepsThatToldTheirEnd(t *testing.T) {
	s := (&Console{How: How{Quiet: true}}).NewStory()
	defer s.End()
	s.Observe(event.Event{Kind: event.Finished, Step: 1})
	s.Observe(event.Event{Kind: event.Failed, Step: 2})
	r := s.Report(plan.Plan{Verb: "copy", Steps: make([]plan.Step, 3)})
	if r.Verb != "copy" || r.Steps[0].State != dray.NotFinished || r.Steps[1].State != dray.Done || r.Steps[2].State != dray.NotFinished {
		t.Errorf("%+v", r)
	}
}

func TestQuietAndNoProgressHaveNoHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []How{{Quiet: true}, {NoProgress: true}} {
			var err lockedBuffer
			s := (&Console{Err: &err, How: c}).NewStory()
			time.Sleep(time.Minute)
			s.End()
			if err.String() != "" {
				t.Errorf("%+v: %q", c, err.String())
			}
		}
	})
}

func TestBarsLeaveTheScreenAsTheyFoundIt(t *testing.T) {
	var err lockedBuffer
	s := (&Console{Err: &err, Terminal: true}).NewStory()
	now := time.Now()
	s.Observe(event.Event{Kind: event.Sized, Name: "dst/app", Total: 30 << 20, Time: now})
	s.Observe(event.Event{Kind: event.Started, Name: "dst/app", Digest: "sha256:0123456789abcdef", Total: 30 << 20, Time: now})
	s.Observe(event.Event{Kind: event.Advanced, Name: "dst/app", Digest: "sha256:0123456789abcdef", Done: 15 << 20, Total: 30 << 20, Time: now})
	time.Sleep(3 * refresh)
	s.Observe(event.Event{Kind: event.Noted, Text: "above the bars"})
	time.Sleep(2 * refresh)
	s.End()
	shown := screen(err.String())
	if shown != "dray: note: above the bars\n" {
		t.Errorf("left on the screen: %q\nwritten: %q", shown, err.String())
	}
	if !strings.Contains(err.String(), "sha256:0123456789ab [============>           ] 15 MiB of 30 MiB\n") {
		t.Errorf("no bar in %q", err.String())
	}
	s.End()
}

// slow is a terminal that does not take two writes at a time.
type slow struct {
	t    *testing.T
	busy sync.Mutex
}

func (s *slow) Write(p []byte) (int, error) {
	if !s.busy.TryLock() {
		s.t.Error("two write to the terminal at the same time")
		return len(p), nil
	}
	defer s.busy.Unlock()
	time.Sleep(2 * refresh)
	return len(p), nil
}

func TestLinesAndTheFirstBarsAreWrittenOneAfterTheOther(t *testing.T) {
	s := (&Console{Err: &slow{t: t}, Terminal: true}).NewStory()
	var lines sync.WaitGroup
	lines.Go(func() { s.Observe(event.Event{Kind: event.Noted, Text: "before the bars"}) })
	time.Sleep(refresh / 2)
	s.Observe(event.Event{Kind: event.Started, Name: "dst/app", Digest: "sha256:01", Total: 30 << 20, Time: time.Now()})
	lines.Wait()
	s.End()
}

// screen returns what a terminal shows after s, which has text, line feeds, and the sequence for "up n lines
// and clear below".
func screen(s string) string {
	var lines []string
	rest := s
	for rest != "" {
		if after, ok := strings.CutPrefix(rest, "\x1b["); ok {
			n := 0
			for after[0] >= '0' && after[0] <= '9' {
				n, after = n*10+int(after[0]-'0'), after[1:]
			}
			rest = strings.TrimPrefix(after, "A\x1b[J")
			lines = lines[:max(0, len(lines)-n)]
			continue
		}
		line, more, _ := strings.Cut(rest, "\n")
		lines, rest = append(lines, line), more
	}
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestDebugLinesTellOneRequest(t *testing.T) {
	e := event.Request{Method: "PUT", URL: "https://reg/v2/a/blobs/uploads/1", Status: 201, Sent: 5, Took: 12 * time.Millisecond}
	if got, want := requestLine(e), "PUT https://reg/v2/a/blobs/uploads/1 201 sent=5 received=0 took=0.012s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	e.Status, e.Err = 0, errors.New("connection reset")
	if got, want := requestLine(e), "PUT https://reg/v2/a/blobs/uploads/1 no answer sent=5 received=0 took=0.012s err=connection reset"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSizesAndTimesReadAsPeopleWriteThem(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 10 << 10: "10 KiB", 45 << 20: "45 MiB", 1<<30 + 1<<29: "1.5 GiB", 1<<20 - 1: "1.0 MiB", 3 << 40: "3.0 TiB", 9000 << 40: "9000 TiB"} {
		if got := Size(bytes); got != want {
			t.Errorf("%d: %q, want %q", bytes, got, want)
		}
	}
	for d, want := range map[time.Duration]string{12 * time.Millisecond: "12 ms", 2140 * time.Millisecond: "2.1 s", 200 * time.Second: "3m20s", 2*time.Hour + 5*time.Minute: "2h05m"} {
		if got := Seconds(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestWhatAServerAddsUpReadsAsARunHere(t *testing.T) {
	tally, now := newTally(), time.Unix(1000, 0)
	tally.set(wire.Progress{Steps: 5, Finished: 2, Done: 30, Total: 100,
		Blobs:   []wire.Blob{{Name: "a", Digest: "sha256:1", Done: 10, Total: 50, Since: now}},
		Waiting: []wire.Wait{{Host: "docker.io", Until: now.Add(time.Minute), Why: "429"}, {Host: "old", Until: now}}})
	s := tally.at(now)
	if s.done != 30 || s.total != 100 || s.finished != 2 || s.steps != 5 || len(s.blobs) != 1 || len(s.waiting) != 1 || !tally.visible() {
		t.Errorf("%+v", s)
	}
	if line := beatLine(s); !strings.HasPrefix(line, "2 of 5 steps done, 30 B of 100 B; waiting for docker.io until") {
		t.Errorf("%q", line)
	}
	tally.set(wire.Progress{})
	tally.queued = true
	if line := beatLine(tally.at(now)); line != "waiting for a worker of the server" {
		t.Errorf("%q", line)
	}
}
