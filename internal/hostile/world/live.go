package world

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/plan"
)

// Live lets the work be done three times: in trouble, after it, and when nothing is to do. It returns the first promise
// that was broken, with what happened, or "". Each run is that of another process if the world says so; do is told.
func (s *Stage) Live(do func(fresh bool) Outcome) (broken string) {
	for n, run := range []string{"in trouble", "after the trouble", "with nothing to do"} {
		if n == 1 {
			close(s.calm)
		}
		fresh := n > 0 && s.Fresh
		if fresh {
			s.proofs = newProofs()
		}
		s.forget()
		out := do(fresh)
		time.Sleep(time.Minute) // a registry notes a request that was cut when it notices
		if wrong := s.wrong(out, n); wrong != "" {
			return fmt.Sprintf("%s: %s\n%v\n%s", run, wrong, out.Err, s.story())
		}
	}
	return ""
}

// wrong returns the promise that the nth run broke, or "".
func (s *Stage) wrong(out Outcome, n int) string {
	now, ahead := names(s.diary.next), s.diary.turn()
	refused := slices.ContainsFunc(out.Steps, func(r dray.StepReport) bool { return r.Referrers.Missing() })
	s.refused = s.refused || refused
	if refused {
		ahead = "" // the report says that the image arrived without
	}
	checks := []func() string{
		s.diary.wrong,
		func() string { return s.torn(now) },
		s.half,
		func() string { return ahead },
		s.strayed,
		s.untouched,
		func() string { return s.untrue(out, now) },
		func() string { return s.miscounted(out) },
		func() string { return s.proofs.learn(s.diary, s.dst.log(s.dst.Registry)) },
		func() string { return s.incomplete(out, n, s.missing(now)) },
	}
	for _, check := range checks {
		if wrong := check(); wrong != "" {
			return wrong
		}
	}
	return ""
}

// incomplete returns what should have been done and was not, or "".
func (s *Stage) incomplete(out Outcome, n int, missing []string) string {
	if kept := s.kept(); len(kept) > 0 {
		switch {
		case out.Err == nil || n > 0 && !fault.Is(out.Err, fault.Conflict):
			return fmt.Sprintf("%v may not move, and the run does not end with a conflict", kept)
		case n > 0 && s.Work != Import && !slices.Equal(missing, kept):
			return fmt.Sprintf("%v may not move, and %v are missing", kept, missing)
		}
		return ""
	}
	if out.Err != nil {
		if n == 0 && len(s.Faults) > 0 {
			return ""
		}
		return "the run failed"
	}
	if len(missing) > 0 {
		return fmt.Sprintf("the run succeeded without %v", missing)
	}
	if wrong := s.unsigned(); wrong != "" && !s.mayLack() {
		return wrong
	}
	if n == 2 && s.Overwrite != plan.Always {
		return s.busy()
	}
	return ""
}

// mayLack reports whether a report said that the target refused something that refers to an image. Only a run that
// looks at images which are up to date brings it later.
func (s *Stage) mayLack() bool {
	return s.refused && s.Referrers == plan.ReferrersMoving
}

// busy returns a request of a run that had nothing to do and sent or read content, or "".
func (s *Stage) busy() string {
	for _, p := range []*party{s.src, s.dst} {
		for _, q := range p.log(p.Registry) {
			writes := q.Method != http.MethodGet && q.Method != http.MethodHead && q.Kind != testbed.Token
			if s.Work == Tag && q.Kind == testbed.Manifest {
				continue // tags are set, whatever they point to
			}
			content := q.Method == http.MethodGet && q.Kind == testbed.Blob
			if content && s.Platforms && s.model.configs(q.Ref) {
				continue // it says for which platform an image is
			}
			if writes || content {
				return fmt.Sprintf("%s %s: nothing was to do", q.Method, q.Path)
			}
		}
	}
	return ""
}
