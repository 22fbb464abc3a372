package out

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/plan"
)

// heartbeat is how often a run without a terminal says how far it is.
const heartbeat = 10 * time.Second

// Story tells stderr what happens while a verb runs: bars on a terminal, a heartbeat elsewhere,
// lines for --verbose and --debug. After end it is silent, also for a verb that was left behind.
type Story struct {
	console *Console
	tally   *tally
	bars    *bars // nil where there is no terminal

	mu    sync.Mutex
	over  bool
	quit  chan struct{}
	ended sync.WaitGroup
}

// NewStory begins to tell. Call End when the verb has returned.
func (c *Console) NewStory() *Story {
	s := &Story{console: c, tally: newTally(), quit: make(chan struct{})}
	c.Relay.set(s.request)
	if c.Quiet || c.NoProgress {
		return s
	}
	if c.Terminal {
		s.bars = &bars{out: c.Err, tally: s.tally}
		return s
	}
	s.ended.Go(s.beat)
	return s
}

// End stops the telling and takes the bars off the screen. It may be called twice.
func (s *Story) End() {
	s.mu.Lock()
	first := !s.over
	s.over = true
	s.mu.Unlock()
	if !first {
		return
	}
	close(s.quit)
	s.ended.Wait()
	if s.bars != nil {
		s.bars.end()
	}
}

// Steps says how many steps the plan has.
func (s *Story) Steps(n int) {
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	s.tally.steps = n
}

// Waits says whether a server has begun.
func (s *Story) Waits(yes bool) {
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	s.tally.queued = yes
}

// Far says how far a run of many repositories is.
func (s *Story) Far(head string) {
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	s.tally.head = head
	clear(s.tally.finished) // steps count for each repository
}

// Report is what is known of a run that was left behind: a step that did not tell its end may yet be
// done, and is not said to be.
func (s *Story) Report(p plan.Plan) dray.Report {
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	r := dray.Report{Verb: p.Verb, Notes: p.Notes, Traffic: map[string]dray.Traffic{}}
	for i, step := range p.Steps {
		state := dray.NotStarted
		if s.tally.finished[i] {
			state = dray.Done
		}
		r.Steps = append(r.Steps, dray.StepReport{Step: step, State: state})
	}
	return r
}

// Note is for a person, not for a script that only looks at errors.
func (s *Story) Note(text string) {
	if !s.console.Quiet {
		s.Say("note: " + text)
	}
}

// Say writes a line; above the bars where there are some.
func (s *Story) Say(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	var w io.Writer = s.console.Err
	if s.bars != nil {
		w = s.bars.above()
	}
	fmt.Fprintln(w, "dray: "+OneLine(line))
}

// SayLines writes a text of several lines.
func (s *Story) SayLines(text string) {
	for line := range strings.Lines(text) {
		s.Say(strings.TrimSuffix(line, "\n"))
	}
}

// Observe is the event.Observer of the run.
func (s *Story) Observe(e event.Event) {
	s.tally.see(e)
	if s.bars != nil {
		s.bars.see()
	}
	s.Tell(e)
}

// Progress is how far a run at a server is.
func (s *Story) Progress(p wire.Progress) {
	s.tally.set(p)
	if s.bars != nil {
		s.bars.see()
	}
}

// Tell writes a line for an event that wants one.
func (s *Story) Tell(e event.Event) {
	c := s.console
	switch {
	case e.Kind == event.Noted:
		s.Note(e.Text)
	case c.Verbose || c.Debug:
		if line := eventLine(e); line != "" {
			s.Say(line)
		}
	}
}

// request writes a line for a request, with --debug.
func (s *Story) request(q event.Request) {
	if s.console.Debug {
		s.Say(requestLine(q))
	}
}

// requestLine is what --debug tells of one request. Headers, and with them secrets, are not in it.
func requestLine(e event.Request) string {
	status := "no answer"
	if e.Status != 0 {
		status = fmt.Sprint(e.Status)
	}
	line := fmt.Sprintf("%s %s %s sent=%d received=%d took=%.3fs", e.Method, e.URL, status, e.Sent, e.Received, e.Took.Seconds())
	if e.Err != nil {
		line += " err=" + e.Err.Error()
	}
	return line
}

// eventLine is what --verbose tells of an event; "" for what is too small to tell.
func eventLine(e event.Event) string {
	switch e.Kind {
	case event.Resolved, event.Committed, event.Tagged:
		return fmt.Sprintf("%s %s %s", e.Kind, e.Name, e.Digest)
	case event.Present, event.Mounted, event.Started, event.Moved:
		return fmt.Sprintf("%s %s %s %s", e.Kind, e.Name, e.Digest, Size(e.Total))
	case event.Restarted:
		return fmt.Sprintf("restarted %s: %v", e.Digest, e.Err)
	case event.Retried:
		return fmt.Sprintf("trying %s again in %s: %v", cmp.Or(e.Host, e.Digest, e.Name), Seconds(e.Wait), e.Err)
	case event.Waiting:
		return waitLine(e.Host, wait{e.Time.Add(e.Wait), e.Text})
	}
	return ""
}

// beat writes a line every ten seconds, so that a log of a long run says that it lives.
func (s *Story) beat() {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	s.tally.at(time.Now()) // the rate begins here
	for {
		select {
		case <-s.quit:
			return
		case now := <-tick.C:
			s.Say(beatLine(s.tally.at(now)))
		}
	}
}

// BeatOf is how far a run at a server is, as a story tells it.
func BeatOf(p wire.Progress) string {
	t := newTally()
	t.set(p)
	return beatLine(t.at(time.Now()))
}

// beatLine is "2 of 5 steps done, 12 MiB of 45 MiB, 3.1 MiB/s, 11 s left; waiting for docker.io until 14:05:00, 429".
func beatLine(s state) string {
	head := "planning"
	if s.steps > 0 {
		head = fmt.Sprintf("%d of %d steps done", s.finished, s.steps)
	}
	if s.queued {
		head = "waiting for a worker of the server"
	}
	head = cmp.Or(s.head, head)
	if p := s.progress(); p != "" {
		head += ", " + p
	}
	return strings.Join(append([]string{head}, s.waiting...), "; ")
}
