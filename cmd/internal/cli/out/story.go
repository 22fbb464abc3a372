package out

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/visible"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/plan"
)

// heartbeat is the time between two progress lines of a run without a terminal.
const heartbeat = 10 * time.Second

// Story writes to stderr what happens while a verb runs: progress bars on a terminal, else a progress line
// every ten seconds, and the lines of --verbose and --debug. After End it writes nothing, so that a verb
// that did not return after an interrupt does not disturb the output. Its methods may be called
// concurrently.
type Story struct {
	console *Console
	tally   *tally
	bars    *bars // nil without a terminal

	mu    sync.Mutex
	over  bool
	quit  chan struct{}
	ended sync.WaitGroup
}

// NewStory begins a story. Call End when the verb has returned.
func (c *Console) NewStory() *Story {
	s := &Story{console: c, tally: newTally(), quit: make(chan struct{})}
	c.Relay.set(s.request)
	if c.Quiet || c.NoProgress {
		return s
	}
	if c.Terminal {
		s.bars = &bars{out: visible.Under(c.Err), tally: s.tally}
		return s
	}
	s.ended.Go(s.beat)
	return s
}

// End stops the story and clears the progress bars. It may be called more than once.
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

// Steps sets the number of steps of the plan.
func (s *Story) Steps(n int) {
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	s.tally.steps = n
}

// Waits sets whether the job still waits for a worker of the server.
func (s *Story) Waits(yes bool) {
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	s.tally.queued = yes
}

// Far sets the text that says what a run without a plan does, or how far one of many repositories is.
func (s *Story) Far(head string) {
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	s.tally.head = head
	clear(s.tally.finished) // steps are counted for each repository
}

// Report returns what is known about a run that did not return after an interrupt. A step that has not
// reported its end is not finished.
func (s *Story) Report(p plan.Plan) dray.Report {
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	r := dray.Report{Verb: p.Verb, Notes: p.Notes, Traffic: map[string]dray.Traffic{}}
	for i, step := range p.Steps {
		state := dray.NotFinished
		if s.tally.finished[i] {
			state = dray.Done
		}
		r.Steps = append(r.Steps, dray.StepReport{Step: step, State: state})
	}
	return r
}

// Note writes a note for a person; with --quiet it writes nothing.
func (s *Story) Note(text string) {
	if !s.console.Quiet {
		s.Say("note: " + text)
	}
}

// Say writes a line, above the progress bars if there are any.
func (s *Story) Say(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	w := s.console.Err
	if s.bars != nil {
		w = s.bars
	}
	fmt.Fprintln(w, "dray: "+OneLine(line))
}

// SayLines writes a text of several lines.
func (s *Story) SayLines(text string) {
	for line := range strings.Lines(text) {
		s.Say(strings.TrimSuffix(line, "\n"))
	}
}

// Observe handles an event of the run. It is an event.Observer.
func (s *Story) Observe(e event.Event) {
	s.tally.see(e)
	if s.bars != nil {
		s.bars.see()
	}
	s.Tell(e)
}

// Progress sets how far a run at a server is.
func (s *Story) Progress(p wire.Progress) {
	s.tally.set(p)
	if s.bars != nil {
		s.bars.see()
	}
}

// Tell writes the line of an event, if it has one with the given flags.
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

// request writes the line of an HTTP request, with --debug.
func (s *Story) request(q event.Request) {
	if s.console.Debug {
		s.Say(requestLine(q))
	}
}

// Asked is for requests to a dray server, which many commands send without a story: with --debug it writes
// their lines itself until there is one.
func (c *Console) Asked(q event.Request) {
	switch {
	case c.Relay != nil && c.told.Load() != nil:
		c.Request(q)
	case c.Debug:
		c.Warnf("%s", requestLine(q))
	}
}

// requestLine returns the line of --debug about a request. It has no headers, since these may hold secrets.
func requestLine(e event.Request) string {
	status := "no answer"
	if e.Status != 0 {
		status = strconv.Itoa(e.Status)
	}
	line := fmt.Sprintf("%s %s %s sent=%d received=%d took=%.3fs",
		e.Method, e.URL, status, e.Sent, e.Received, e.Took.Seconds())
	if e.Err != nil {
		line += " err=" + e.Err.Error()
	}
	return line
}

// eventLine returns the line of --verbose about an event; "" if the event has none.
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

// beat writes a progress line every ten seconds, so that the log of a long run shows that it goes on.
func (s *Story) beat() {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	s.tally.at(time.Now()) // the first sample of the rate
	for {
		select {
		case <-s.quit:
			return
		case now := <-tick.C:
			s.Say(beatLine(s.tally.at(now)))
		}
	}
}

// BeatOf returns the progress line of a run at a server.
func BeatOf(p wire.Progress) string {
	t := newTally()
	t.set(p)
	return beatLine(t.at(time.Now()))
}

// EndOf returns the line of a run at a server that has ended, such as "5 of 7 steps done, 1 failed, 1 not
// finished".
func EndOf(p wire.Progress) string {
	left := map[dray.State]int{dray.Failed: p.Failed, dray.NotFinished: p.Steps - p.Finished - p.Failed}
	parts := append([]string{stepsDone(p.Finished, p.Steps)}, Left(left)...)
	if p.Total > 0 {
		parts = append(parts, Size(p.Done)+" of "+Size(p.Total))
	}
	return strings.Join(parts, ", ")
}

// stepsDone returns "2 of 5 steps done".
func stepsDone(done, all int) string { return fmt.Sprintf("%d of %s done", done, Plural(all, "step")) }

// beatLine returns a line such as "2 of 5 steps done, 12 MiB of 45 MiB, 3.1 MiB/s, 11 s left; waiting for
// docker.io until 14:05:00, 429".
func beatLine(s state) string {
	head := cmp.Or(s.head, "planning")
	switch {
	case s.queued:
		head = "waiting for a worker of the server"
	case s.head == "" && s.steps > 0:
		head = stepsDone(s.finished, s.steps)
	}
	if s.parts > s.partsEnded && s.head == "" && s.steps > 0 {
		head += fmt.Sprintf(", %d of %d parts", s.partsEnded, s.parts)
	}
	if p := s.progress(); p != "" {
		head += ", " + p
	}
	return strings.Join(append([]string{head}, s.waiting...), "; ")
}
