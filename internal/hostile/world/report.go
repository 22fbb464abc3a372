package world

import (
	"fmt"
	"net/http"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
)

// untrue returns what a report says and is not so, or "".
func (s *Stage) untrue(out Outcome, now map[string]digest.Digest) string {
	for _, step := range out.Steps {
		name := step.To.Path + ":" + step.To.Tag
		n, ok := s.model.wishes[name]
		there := step.State == dray.Done || step.State == dray.Unchanged
		switch {
		case there && (!ok || !n.is(s.diary.next, now[name])):
			return fmt.Sprintf("the report says that %s is %s, and it is %q", name, step.State, now[name])
		case !there && out.Err == nil:
			return fmt.Sprintf("the run succeeded, and %s is %s", name, step.State)
		}
	}
	return ""
}

// miscounted returns a difference between the traffic in a report and what the registries got, or "".
func (s *Stage) miscounted(out Outcome) string {
	if out.Err != nil || s.has("source: a download stalls") {
		return "" // a request that was canceled may not have arrived, and one that stalls is noted later
	}
	for _, p := range []*party{s.src, s.dst} {
		log := p.log(p.Registry)
		if p.away != nil {
			log = append(log, p.log(p.away)...) // counted for the registry that redirects there
		}
		if wrong := s.differs(out.Traffic[p.Host], log); wrong != "" {
			return p.Host + ": " + wrong
		}
		if p.apart == nil {
			continue
		}
		if wrong := s.differs(out.Traffic[p.apart.Host], p.log(p.apart)); wrong != "" {
			return p.apart.Host + ": " + wrong
		}
	}
	return ""
}

func (s *Stage) differs(got dray.Traffic, log []testbed.Request) string {
	want := dray.Traffic{Requests: len(log)}
	for _, q := range log {
		want.Sent += q.In
		if q.Method != http.MethodHead { // its body is counted by the registry, and not sent
			want.Received += q.Out
		}
	}
	if got.Requests != want.Requests {
		return fmt.Sprintf("the report counts %d requests, and the host got %d", got.Requests, want.Requests)
	}
	if !s.breaksBodies() && (got.Sent != want.Sent || got.Received != want.Received) {
		return fmt.Sprintf("the report counts %d bytes to it and %d from it, which are %d and %d",
			got.Sent, got.Received, want.Sent, want.Received)
	}
	return ""
}

// breaksBodies reports whether a body may end before its reader or its writer has counted all of it.
func (s *Stage) breaksBodies() bool {
	return s.has("source: a download is reset", "source: a body ends early", "source: a body is longer",
		"source: a body is endless",
		"source: a download stalls", "source: no answer", "source: a range is ignored", "source: another range",
		"source: a bit is flipped",
		"target: an upload is reset", "target: a session is lost", "target: it stops reading", "target: a token is refused")
}
